"""Text that no database stores is refused at the door, with its field, and the same in memory as in a database."""

import pytest

from certcore.adapters.sql import open_storage
from certcore.errors import InvalidInputError, StorageError
from certcore.model.subject import Subject
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import ScriptedCA
from support.cores import core_on
from support.databases import sqlite_with_tables

ODD = ["\ud800", "a\udfffb", "a\x00b"]
#: Keys that a person takes for another one: padded, with control characters, or with characters of no width.
UNSEEN = [
    "anna ",
    " anna",
    "anna\N{NO-BREAK SPACE}",
    "anna\t",
    "anna\n",
    "an\N{ZERO WIDTH SPACE}na",
    "anna\N{ZERO WIDTH JOINER}",
    "\N{RIGHT-TO-LEFT OVERRIDE}anna",
    "anna\N{SOFT HYPHEN}",
    "anna\N{COMBINING GRAPHEME JOINER}",
    "anna\N{HANGUL FILLER}",
    "anna\N{VARIATION SELECTOR-16}",
    "anna\N{BRAILLE PATTERN BLANK}",
    "anna\N{TAG SPACE}",
    "anna\x1b[2K",
    "x" * 300,
]


@pytest.fixture(params=["memory", "sqlite"], scope="module")
def store(request, tmp_path_factory):
    """A store with a CA profile and a draft."""
    environment = FrozenEnvironment()
    plugin = ScriptedCA(now=environment.now()).plugin()
    with core_on(request.param, tmp_path_factory.mktemp("odd"), plugins=[plugin], environment=environment) as core:
        authority = core.authorities.create("test", module="scripted").id
        yield core, authority, core.certificates.create("shop.example", authority=authority).id


REFUSED = [
    ("actor", lambda core, ca, one, odd: core.certificates.create("n.example", authority=ca, actor=odd)),
    ("actor", lambda core, ca, one, odd: core.certificates.check_now(one, actor=odd)),
    ("actor", lambda core, ca, one, odd: core.certificates.list(actor=odd)),
    ("actor", lambda core, ca, one, odd: core.authorities.edit(ca, description="x", actor=odd)),
    ("owner", lambda core, ca, one, odd: core.certificates.create("n.example", authority=ca, owner=odd)),
    ("owner", lambda core, ca, one, odd: core.certificates.clone(one, owner=odd)),
    ("owner", lambda core, ca, one, odd: core.certificates.list(owner=odd)),
    ("owner", lambda core, ca, one, odd: core.certificates.search("shop", owner=odd)),
    ("owner", lambda core, ca, one, odd: core.certificates.count_by_status(owner=odd)),
    ("authority", lambda core, ca, one, odd: core.certificates.list(authority=odd)),
    ("authority", lambda core, ca, one, odd: core.certificates.count_by_status(authority=odd)),
    ("authority", lambda core, ca, one, odd: core.certificates.create("n.example", authority=odd)),
    ("authority", lambda core, ca, one, odd: core.certificates.edit(one, authority=odd)),
    ("fallbacks", lambda core, ca, one, odd: core.certificates.edit(one, fallbacks=[odd])),
    ("order_reference", lambda core, ca, one, odd: core.certificates.edit(one, module_data={"order_reference": odd})),
    ("note", lambda core, ca, one, odd: core.authorities.create("n", module="scripted", settings={"note": odd})),
    ("api_key", lambda core, ca, one, odd: core.authorities.edit(ca, settings={"api_key": odd})),
    ("description", lambda core, ca, one, odd: core.authorities.create("n", module="scripted", description=odd)),
    ("description", lambda core, ca, one, odd: core.authorities.edit(ca, description=odd)),
    ("name", lambda core, ca, one, odd: core.authorities.edit(ca, name=odd)),
    ("whom", lambda core, ca, one, odd: core.authorities.run_action(ca, "greet", {"whom": odd})),
]


@pytest.mark.parametrize("odd", ODD, ids=ascii)
@pytest.mark.parametrize(("field", "call"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_refused_with_its_field(store, field, call, odd):
    """Surrogates and NUL are refused by the field that they are in, whatever the store is."""
    with pytest.raises(InvalidInputError) as caught:
        call(*store, odd)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("field", "call"), [one for one in REFUSED if one[0] in ("actor", "owner", "authority")], ids=lambda value: ""
)
def test_what_identifies_is_what_is_seen(store, field, call):
    """Owners, actors and ids with blanks around them, or characters that nobody sees, are refused by their field."""
    for odd in UNSEEN:
        with pytest.raises(InvalidInputError) as caught:
            call(*store, odd)
        assert caught.value.field == field, ascii(odd)


@pytest.mark.parametrize("odd", ODD, ids=ascii)
@pytest.mark.parametrize("field", sorted(Subject.field_names()))
def test_a_subject_is_text(store, field, odd):
    """So are those of a subject."""
    core, authority, _ = store
    with pytest.raises(InvalidInputError) as caught:
        core.certificates.create("n.example", authority=authority, subject={field: f"{odd}@a.example"})
    assert caught.value.field == field


@pytest.mark.parametrize("odd", [*ODD, *UNSEEN], ids=ascii)
@pytest.mark.parametrize(
    "call",
    [
        lambda core, odd: core.certificates.get(odd),
        lambda core, odd: core.certificates.find(odd),
        lambda core, odd: core.certificates.view(odd),
        lambda core, odd: core.certificates.timeline(odd),
        lambda core, odd: core.certificates.deliveries(odd),
        lambda core, odd: core.certificates.overlaps(odd),
        lambda core, odd: core.certificates.delete(odd),
        lambda core, odd: core.authorities.get(odd),
        lambda core, odd: core.authorities.edit(odd, description="x"),
        lambda core, odd: core.authorities.delete(odd),
    ],
)
def test_no_id_is_odd(store, call, odd):
    """Such text is no id; the error names the argument."""
    with pytest.raises(InvalidInputError) as caught:
        call(store[0], odd)
    assert caught.value.field in ("certificate_id", "authority", "name_or_id")


def test_a_database_says_it_in_our_words(tmp_path):
    """Surrogates that reach the database raise an error of certcore, and the transaction is rolled back."""
    storage = open_storage(sqlite_with_tables(tmp_path))
    with pytest.raises(StorageError) as caught, storage.write() as transaction:
        transaction.certificates.get("\ud800")
    assert str(caught.value).isascii()
    with storage.read() as transaction:
        assert transaction.certificates.page() == []
    storage.close()
