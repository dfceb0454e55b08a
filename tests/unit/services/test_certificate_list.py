"""Lists: every filter and order through all pages, cursors that are none, counts, and certificates that overlap."""

import base64
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import certcore
from certcore import CertCore, NoticePolicy, RenewalPolicy, Status
from certcore.errors import AccessDeniedError, InvalidInputError, NotFoundError
from certcore.model.hints import Notice
from certcore.model.keys import KeyType
from certcore.model.listing import CertificateFilter, SortKey
from certcore.model.names import parse_identifier
from certcore.model.permissions import Permission
from certcore.model.subject import Subject
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.local_ca import LittleAuthority
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key, private_key_pem
from support.cores import core_on
from support.examples import examples
from support.inside import inside

DAY = timedelta(days=1)
START = FrozenEnvironment().now()
CA = LittleAuthority(START)
KEY = generate_key(KeyType.EC_P256)
KEY_PEM = private_key_pem(KEY).decode()


def _leaf(name, ends):
    request = build_csr(KEY, [parse_identifier(name)], Subject()).decode()
    return CA.issue(request, now=ends - 90 * DAY, lifetime=90 * DAY)


class Policy:
    """Lets everybody do everything, except those who only see one tenant; writes down what it is asked."""

    def __init__(self):
        self.asked = []

    @certcore.hookimpl
    def certcore_authorize(self, actor, action, subject, owner):
        self.asked.append((actor, action, owner))
        return actor == "system" or owner == actor


@pytest.fixture(params=["memory", "sqlite"], scope="module")
def world(request, tmp_path_factory):
    """A store with certificates of all kinds: only read by the tests here."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    policy = Policy()
    options = {"plugins": [ca.plugin(), policy], "environment": environment, "notices": NoticePolicy(days_before=())}
    with core_on(request.param, tmp_path_factory.mktemp("lists"), **options) as core:
        one, two = (core.authorities.create(name, module="scripted").id for name in ("one", "two"))
        create = core.certificates.create
        create("a.example", authority=one, owner="anna")
        environment.advance(timedelta(hours=1))
        create("b.example", authority=two, owner="anna", aliases="www.a.example", key_type="rsa-2048")
        create("größe.example", authority=one, renewal=RenewalPolicy(auto=False))
        for name, offset in (("c.example", -400), ("d.example", 5.5), ("e.example", 5.5), ("f.example", 0)):
            core.certificates.import_certificate(
                _leaf(name, START + offset * DAY), KEY_PEM, owner="bert", authority=one if name == "d.example" else None
            )
            environment.advance(timedelta(minutes=1))
        active = create("shop.example.org", authority=one, wildcard=True, owner="anna", key_type="ec-p384").id
        core.certificates.generate_csr(active)
        for _ in range(3):
            core.reconcile(active)
        create("deep.shop.example.org", authority=two)
        pending = create("a.example", authority=two, owner="bert").id
        ca.script = (Act.WAIT_OWNER,)
        core.certificates.generate_csr(pending)
        core.reconcile(pending)
        revoked = create("gone.example", authority=one).id
        ca.script = (Act.ISSUE,)
        core.certificates.generate_csr(revoked)
        for _ in range(3):
            core.reconcile(revoked)
        core.certificates.revoke(revoked)
        yield core


@pytest.fixture(scope="module")
def views(world):
    """The view of each certificate, taken once: nothing changes."""
    return [world.certificates.view(certificate.id) for certificate in _all(world)]


def _all(core, limit=1000, **filters):
    """All pages, one after the other."""
    found, after = [], None
    for _ in range(100):
        page = core.certificates.list(limit=limit, after=after, **filters)
        assert len(page.items) <= limit
        found += page.items
        after = page.next_cursor
        if after is None:
            return found
        assert len(page.items) == limit
    raise AssertionError("the pages do not end")


def _domains(found):
    return [one.domain.ascii for one in found]


SORTED = {
    SortKey.DOMAIN: lambda one: (one.domain.ascii, one.id),
    SortKey.NOT_AFTER: lambda one: (one.not_after, one.id),
    SortKey.CREATED_AT: lambda one: (one.created_at, one.id),
}
FILTERS = {
    "nothing": ({}, lambda view: True),
    "status": ({"status": "draft"}, lambda view: view.certificate.status == "draft"),
    "status as a value": ({"status": Status.EXPIRED}, lambda view: view.certificate.status is Status.EXPIRED),
    "owner": ({"owner": "anna"}, lambda view: view.certificate.owner == "anna"),
    "no owner": ({"owner": ""}, lambda view: view.certificate.owner == ""),
    "days from": ({"days_from": 5}, lambda view: (view.days_remaining or -9999) >= 5),
    "days to": ({"days_to": 5}, lambda view: view.days_remaining is not None and view.days_remaining <= 5),
    "both": ({"days_from": -1, "days_to": 5}, lambda view: view.days_remaining in range(-1, 6)),
    "key type": ({"key_type": "RSA 2048"}, lambda view: view.certificate.key_type is KeyType.RSA_2048),
    "renews": ({"renews_itself": True}, lambda view: view.certificate.renews_itself),
    "nobody looks after it": (
        {"renews_itself": False, "status": "expired"},
        lambda view: not view.certificate.renews_itself and view.certificate.status is Status.EXPIRED,
    ),
    "name": ({"name": " EXAMPLE.o "}, lambda view: any("example.o" in name.ascii for name in view.certificate.names)),
    "alias": ({"name": "www."}, lambda view: view.certificate.domain.ascii == "b.example"),
    "a whole U-label": ({"name": "größe.example"}, lambda view: view.certificate.domain.unicode == "größe.example"),
    "below": ({"below": "shop.example.org"}, lambda view: view.certificate.domain.ascii.endswith("shop.example.org")),
    "below a wildcard": (
        {"below": "*.shop.example.org"},
        lambda view: view.certificate.domain.ascii.endswith("shop.example.org"),
    ),
    "below with a dot": ({"below": ".example.org"}, lambda view: view.certificate.domain.ascii.endswith("example.org")),
    "all together": (
        {
            "owner": "anna",
            "status": "active",
            "key_type": "ec-p384",
            "days_from": 80,
            "name": "*.",
            "below": "org.example",
        },
        lambda view: False,
    ),
    "everything at once": (
        {
            "owner": "anna",
            "status": "active",
            "key_type": "ec-p384",
            "days_from": 80,
            "name": "*.",
            "renews_itself": True,
        },
        lambda view: view.certificate.domain.ascii == "shop.example.org",
    ),
}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("order", list(SortKey))
@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_in_every_order_through_pages(world, views, name, order, descending):
    """Each certificate that fits is there once, in the order that was asked for, whatever the size of a page."""
    filters, fits = FILTERS[name]
    assert len(views) == 11
    wanted = [view.certificate for view in views if fits(view)]
    assert wanted or name == "all together"
    with_value = [one for one in wanted if order is not SortKey.NOT_AFTER or one.not_after is not None]
    without = [one for one in wanted if one not in with_value]
    expected = [
        *sorted(with_value, key=SORTED[order], reverse=descending),
        *sorted(without, key=lambda one: one.id, reverse=descending),
    ]
    for limit in (1, 2, 3, 1000):
        found = _all(world, limit, order=str(order), descending=descending, **filters)
        assert found == expected


def test_a_profile_and_its_certificates(world):
    """The filter takes the ID of a CA profile; an unknown ID finds no certificates."""
    for authority in world.authorities.list():
        found = _all(world, 2, authority=authority.id)
        assert {one.authority_id for one in found} == {authority.id}
    with pytest.raises(InvalidInputError, match="there is no CA profile 'nobody'") as refused:
        world.certificates.list(authority="nobody")
    assert refused.value.field == "authority"
    assert world.certificates.list(authority="nobody", owner="anna").items == ()
    assert (
        len(_all(world)) - sum(len(_all(world, authority=authority.id)) for authority in world.authorities.list()) == 3
    )


def test_leaves(world):
    """By serial number or fingerprint, however they are written; also that of a leaf that is no longer in service."""
    for certificate in _all(world):
        leaf = world.certificates.view(certificate.id).leaf
        if leaf is None:
            continue
        pairs = ":".join(leaf.fingerprint_sha256[at : at + 2] for at in range(0, 64, 2)).upper()
        for filters in (
            {"serial": leaf.serial_hex},
            {"serial": "00:" + leaf.serial_hex.upper()},
            {"serial": f"0x{leaf.serial_hex}"},
            {"fingerprint": leaf.fingerprint_sha1},
            {"fingerprint": pairs},
            {"fingerprint": pairs, "serial": leaf.serial_hex, "owner": certificate.owner},
        ):
            assert _all(world, 1, **filters) == [certificate]
        assert _all(world, serial=leaf.serial_hex[:-1]) == []
        assert _all(world, fingerprint=leaf.fingerprint_sha1, status="draft") == []


def test_an_earlier_leaf_is_found(bench):
    """Who has an old serial number finds the certificate that had it, after its renewal."""
    certificate_id = bench.active()
    old = bench.core.certificates.view(certificate_id).leaf
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(certificate_id)
    for _ in range(3):
        bench.core.reconcile(certificate_id)
    new = bench.core.certificates.view(certificate_id).leaf
    assert new.serial_hex != old.serial_hex
    for leaf in (old, new):
        assert [certificate.id for certificate in bench.core.certificates.list(serial=leaf.serial_hex).items] == [
            certificate_id
        ]
        assert [
            certificate.id for certificate in bench.core.certificates.list(fingerprint=leaf.fingerprint_sha256).items
        ] == [certificate_id]


@pytest.mark.parametrize(
    ("field", "filters"),
    [
        ("limit", {"limit": 0}),
        ("limit", {"limit": 1001}),
        ("limit", {"limit": "50"}),
        ("limit", {"limit": True}),
        ("status", {"status": "gone"}),
        ("status", {"status": ""}),
        ("order", {"order": "size"}),
        ("days_from", {"days_from": "5"}),
        ("days_from", {"days_from": 1.5}),
        ("days_from", {"days_from": True}),
        ("days_from", {"days_from": 36_501}),
        ("days_to", {"days_to": "5"}),
        ("days_to", {"days_to": 1.5}),
        ("days_to", {"days_to": True}),
        ("days_to", {"days_to": -36_501}),
        ("key_type", {"key_type": "dsa"}),
        ("name", {"name": "a b"}),
        ("name", {"name": "%"}),
        ("name", {"name": "größe"}),
        ("below", {"below": "a_b.example"}),
        ("below", {"below": "com"}),
        ("below", {"below": "größe"}),
        ("serial", {"serial": "xyz"}),
        ("fingerprint", {"fingerprint": "abcd"}),
        ("after", {"after": ""}),
        ("after", {"after": "nonsense"}),
    ],
)
def test_what_is_no_filter(world, field, filters):
    """It is refused with its name and the reason; a list of everything is not what was asked for."""
    with pytest.raises(InvalidInputError) as refused:
        world.certificates.list(**filters)
    assert refused.value.field == field


def test_the_furthest_days(world):
    """Both limits can be given."""
    assert len(_all(world, days_from=-36_500, days_to=36_500)) == 6


# -- cursors -----------------------------------------------------------------------------------------------------------


def _forged(*parts):
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def test_a_cursor_is_of_one_order(world):
    """In another order, or the other direction, a cursor means nothing, and is refused with what to do."""
    cursors = {
        (order, descending): world.certificates.list(limit=2, order=order, descending=descending).next_cursor
        for order in SortKey
        for descending in (False, True)
    }
    for made, cursor in cursors.items():
        for order, descending in cursors:
            if (order, descending) == made:
                assert world.certificates.list(limit=2, order=order, descending=descending, after=cursor).items
                continue
            with pytest.raises(InvalidInputError) as refused:
                world.certificates.list(order=order, descending=descending, after=cursor)
            assert refused.value.field == "after"


@pytest.mark.parametrize(
    ("order", "cursor"),
    [
        *(
            (order, cursor)
            for order in SortKey
            for cursor in (
                "",
                "=",
                "é",
                "A",
                "AAAA",
                7,
                b"abc",
                "[" * 10,
                base64.urlsafe_b64encode(b"[" * 100_000).decode(),
                base64.urlsafe_b64encode(b"\xff\xfe").decode(),
                base64.urlsafe_b64encode(b"9" * 10_000).decode(),
                _forged(),
                _forged(str(order)),
                _forged(str(order), False, "x"),
                _forged(str(order), False, "x", "y", "z"),
                _forged(str(order), False, "a.example", 7),
                _forged(str(order), False, "a.example", None),
                _forged(str(order), False, ["a.example"], "id"),
                _forged(str(order), False, {"a": 1}, "id"),
                _forged(str(order), 0, "a.example", "id"),
                _forged(str(order), False, "a.example\0", "id"),
                _forged(str(order), False, "\ud800", "id"),
                _forged(str(order), False, "1", "id\ud800"),
                _forged(str(order), False, "1", "\0"),
                _forged(str(order), False, "1", "x" * 10_000),
                _forged("size", False, "a.example", "id"),
            )
        ),
        (SortKey.DOMAIN, _forged("domain", False, None, "id")),
        (SortKey.DOMAIN, _forged("domain", False, 5, "id")),
        (SortKey.CREATED_AT, _forged("created_at", False, None, "id")),
        (SortKey.CREATED_AT, _forged("created_at", False, "a.example", "id")),
        (SortKey.NOT_AFTER, _forged("not_after", False, 10**30, "id")),
        (SortKey.NOT_AFTER, _forged("not_after", False, -(10**30), "id")),
        (SortKey.NOT_AFTER, _forged("not_after", False, 1e400, "id")),
        (SortKey.NOT_AFTER, base64.urlsafe_b64encode(b'["not_after", false, NaN, "id"]').decode()),
    ],
)
def test_forged_cursors(world, order, cursor):
    """A cursor that certcore did not make is refused, in every kind of store."""
    with pytest.raises(InvalidInputError) as refused:
        world.certificates.list(order=order, after=cursor)
    assert refused.value.field == "after"


@examples(200, deadline=None)
@given(
    order=st.sampled_from(SortKey),
    cursor=st.text(max_size=40)
    | st.tuples(
        st.sampled_from([*map(str, SortKey), 1, None]),
        st.booleans() | st.none(),
        st.text(max_size=10) | st.integers() | st.floats() | st.none() | st.lists(st.none(), max_size=1),
        st.text(max_size=10) | st.integers() | st.none(),
    ).map(lambda parts: _forged(*parts)),
)
def test_no_cursor_breaks_anything(world, order, cursor):
    """Whatever is given, a page comes, or the words that it is no cursor."""
    refused = None
    try:
        world.certificates.list(order=order, after=cursor)
    except InvalidInputError as error:
        refused = error
    assert refused is None or refused.field == "after"


# -- days ------------------------------------------------------------------------------------------------------------

OFFSETS = st.integers(-3 * 86_400, 3 * 86_400).map(lambda seconds: timedelta(seconds=seconds)) | st.integers(-3, 3).map(
    lambda days: days * DAY
)


@examples(40, deadline=None)
@given(offsets=st.lists(OFFSETS, min_size=1, max_size=4), late=st.integers(0, 86_400), days=st.integers(-4, 4))
def test_days_are_those_of_the_page(offsets, late, days):
    """``days_from`` and ``days_to`` take exactly those whose page shows so many days, to the microsecond."""
    environment = FrozenEnvironment()
    with CertCore.in_memory(installed_plugins=False, environment=environment) as core:
        for number, offset in enumerate(offsets):
            core.certificates.import_certificate(_leaf(f"d{number}.example", START + offset), KEY_PEM)
        environment.advance(timedelta(seconds=late))
        shown = {certificate.id: core.certificates.view(certificate.id).days_remaining for certificate in _all(core)}
        assert {certificate.id for certificate in _all(core, days_from=days)} == {
            one for one, left in shown.items() if left >= days
        }
        assert {certificate.id for certificate in _all(core, days_to=days)} == {
            one for one, left in shown.items() if left <= days
        }
        assert {certificate.id for certificate in _all(core, days_from=days, days_to=days)} == {
            one for one, left in shown.items() if left == days
        }


# -- counts, searches, overlaps -------------------------------------------------------------------------------------


def test_counts(world):
    """As many as a list of the status has, also none; at most so many, when that is enough."""
    counted = world.certificates.count_by_status()
    assert set(counted) == set(Status)
    for status in Status:
        assert counted[status] == len(_all(world, status=status))
    for owner in ("", "anna", "bert", "nobody"):
        counted = world.certificates.count_by_status(owner=owner)
        assert counted == {status: len(_all(world, status=status, owner=owner)) for status in Status}
        assert sum(world.certificates.count_by_status(owner=owner, at_most=1).values()) <= len(Status)
    (one, _) = world.authorities.list()
    counted = world.certificates.count_by_status(authority=one.id, owner="anna")
    assert sum(counted.values()) == len(_all(world, authority=one.id, owner="anna"))
    with pytest.raises(InvalidInputError):
        world.certificates.count_by_status(at_most=0)


def _notes(core, certificate_id):
    return {
        hint.text.key: str(hint.text) for hint in core.certificates.hints(certificate_id) if isinstance(hint, Notice)
    }


def test_duplicates_are_pointed_out_to_their_owner(bench):
    """A second certificate for the same names is named, with its status; those of other tenants are not."""
    certificate_id = bench.active(aliases="www.shop.example", owner="anna")
    assert "core.duplicate" not in _notes(bench.core, certificate_id)
    same = bench.draft("www.shop.example", aliases="shop.example", owner="anna")
    other = bench.draft("shop.example", aliases="www.shop.example", owner="bert")
    nobodys = bench.draft("shop.example", aliases="www.shop.example")
    assert _notes(bench.core, certificate_id)["core.duplicate"].endswith(f"www.shop.example (draft, {same.id}).")
    assert f"(active, {certificate_id})" in _notes(bench.core, same.id)["core.duplicate"]
    for alone in (other, nobodys):
        assert {"core.duplicate", "core.overlap"}.isdisjoint(_notes(bench.core, alone.id))
    assert [certificate.id for certificate in bench.core.certificates.overlaps(certificate_id)] == [same.id]
    assert [certificate.id for certificate in bench.core.certificates.overlaps(other.id)] == []
    bench.core.certificates.delete(same.id)
    assert "core.duplicate" not in _notes(bench.core, certificate_id)


def test_overlaps_are_pointed_out(bench):
    """A wildcard and a name below it, or one name of many, overlap; names that only look alike do not."""
    certificate = bench.draft(wildcard=True, owner="anna")
    below = bench.draft("a.shop.example", owner="anna")
    alias = bench.draft("b.example", aliases="shop.example", owner="anna")
    for name in ("a.b.shop.example", "myshop.example", "shop.example.org"):
        bench.draft(name, owner="anna")
    assert {found.id for found in bench.core.certificates.overlaps(certificate.id)} == {below.id, alias.id}
    assert [certificate.id for certificate in bench.core.certificates.overlaps(below.id)] == [certificate.id]
    note = _notes(bench.core, certificate.id)["core.overlap"]
    assert below.id in note
    assert alias.id in note
    assert [found.id for found in bench.core.certificates.overlaps(certificate.id, limit=1)] == [below.id]
    for limit in (0, 1001, "1"):
        with pytest.raises(InvalidInputError) as refused:
            bench.core.certificates.overlaps(certificate.id, limit=limit)
        assert refused.value.field == "limit"
    with pytest.raises(NotFoundError):
        bench.core.certificates.overlaps("nobody")


def test_a_page_names_a_few_of_many_overlaps(bench):
    """Hundreds of overlapping certificates do not fill the page."""
    certificate = bench.draft(wildcard=True)
    for number in range(12):
        bench.draft(f"d{number}.shop.example")
    assert _notes(bench.core, certificate.id)["core.overlap"].count("(draft,") == 5
    assert len(bench.core.certificates.overlaps(certificate.id, limit=100)) == 12


# -- who may --------------------------------------------------------------------------------------------------------


def test_permission_is_asked_for_the_tenant(world):
    """A list of one tenant needs the permission for that tenant, a list of all tenants the one for all."""
    policy = next(plugin for plugin in _plugins(world) if isinstance(plugin, Policy))
    policy.asked.clear()
    assert len(world.certificates.list(owner="anna", actor="anna").items) == 3
    for call in (
        lambda: world.certificates.list(actor="anna"),
        lambda: world.certificates.list(owner="bert", actor="anna"),
        lambda: world.certificates.list(owner="", actor="anna"),
        lambda: world.certificates.count_by_status(actor="anna"),
        lambda: world.certificates.search("shop", actor="anna"),
    ):
        with pytest.raises(AccessDeniedError):
            call()
    assert policy.asked == [
        ("anna", Permission.CERTIFICATE_LIST, "anna"),
        ("anna", Permission.CERTIFICATE_LIST_ALL, ""),
        ("anna", Permission.CERTIFICATE_LIST, "bert"),
        ("anna", Permission.CERTIFICATE_LIST, ""),
        *[("anna", Permission.CERTIFICATE_LIST_ALL, "")] * 2,
    ]
    policy.asked.clear()
    mine, theirs = (_all(world, owner=owner)[0] for owner in ("anna", "bert"))
    policy.asked.clear()
    assert world.certificates.overlaps(mine.id, actor="anna") == []
    with pytest.raises(NotFoundError):
        world.certificates.overlaps(theirs.id, actor="anna")
    assert policy.asked == [
        ("anna", Permission.CERTIFICATE_VIEW, "anna"),
        ("anna", Permission.CERTIFICATE_VIEW, "bert"),
    ]


def _plugins(core):
    return [plugin.plugin for plugin in inside(core).plugins.plugins]


def test_filters_as_one_value(bench):
    """A `CertificateFilter` selects as its keywords do; a keyword takes precedence; another type is refused."""
    active, draft = bench.active("a.example"), bench.draft("b.example", owner="anna").id
    certificates = bench.core.certificates

    def ids(**filters):
        return [certificate.id for certificate in certificates.list(**filters).items]

    assert ids(only=CertificateFilter(status=Status.ACTIVE)) == ids(status="active") == [active]
    assert ids(only=CertificateFilter(owner="anna", name_contains="b.ex")) == [draft]
    assert ids(only=CertificateFilter(authority_id="test", ends_from=bench.environment.now())) == [active]
    assert ids(only=CertificateFilter(status=Status.ACTIVE), status="draft") == [draft]
    with pytest.raises(InvalidInputError) as refused:
        certificates.list(only={"status": "active"})
    assert refused.value.field == "only"
    with pytest.raises(InvalidInputError) as refused:
        CertificateFilter(ends_before=bench.environment.now().replace(tzinfo=None))
    assert refused.value.field == "ends_before"
