"""Names as people paste them: any separators, invisible characters, duplicates, URLs and e-mail addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import InvalidFieldsError, InvalidInputError, InvalidNameError
from certcore.model.names import DnsName
from certcore.model.pasted_names import parse_pasted_name, parse_pasted_names

SEPARATORS = [" ", "\t", "\n", "\r", ",", ";", "\u00a0", "\u2028", "\u3000", "\uff0c", "\u060c"]
UNSEEN = ["\u200b", "\ufeff", "\u2060", "\u200e", "\u202a", "\u2069", "\u200d"]
NAMES = ["a.example", "b.example", "*.c.example", "www.shop.example", "xn--bcher-kva.example"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.text(st.sampled_from(UNSEEN), max_size=2),
            st.text(st.sampled_from(SEPARATORS), min_size=1, max_size=4),
        ),
        max_size=12,
    ),
    st.text(st.sampled_from([*SEPARATORS, *UNSEEN]), max_size=3),
)
def test_names_with_any_separators(parts, before):
    """Whatever stands between the names and is not seen, the names are read in their order, each once."""
    text = before + "".join(f"{unseen}{name.upper()}.{unseen}{separator}" for name, unseen, separator in parts)
    names = list(dict.fromkeys(name for name, _, _ in parts))
    assert [name.ascii for name in parse_pasted_names(text)] == names


def test_a_list_is_read_like_a_text():
    """The entries of a list may have blanks around them and be there twice; empty ones are left out."""
    entries = [" a.example\u00a0", "", "A.example.", "\ufeffb.example", "  "]
    assert parse_pasted_names(entries) == (DnsName("a.example"), DnsName("b.example"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("https://shop.example/x", "'https://shop.example/x' is a URL; the name in it is shop.example."),
        ("shop.example/x", "'shop.example/x' is a URL; the name in it is shop.example."),
        ("https://me@Shop.example:8443/", "'https://me@Shop.example:8443/' is a URL; the name in it is shop.example."),
        ("https://10.0.0.1/", "'https://10.0.0.1/' is a URL; give the host name alone."),
        ("info@shop.example", "'info@shop.example' is an e-mail address; the domain in it is shop.example."),
        ("me@@", "'me@@' is an e-mail address; give the domain alone."),
    ],
)
def test_what_is_no_name_is_named_for_what_it_is(text, reason):
    """A URL and an e-mail address are called so, and the name in them is told."""
    for read in (parse_pasted_name, parse_pasted_names):
        with pytest.raises(InvalidNameError) as refused:
            read(text)
        assert refused.value.reason == reason


def test_every_wrong_name_is_named():
    """Of a pasted list, all the wrong entries are told at once."""
    with pytest.raises(InvalidFieldsError) as refused:
        parse_pasted_names("a.example, b_c.example; localhost\nd.example")
    assert [error.field for error in refused.value.errors] == ["aliases", "aliases"]
    assert [error.reason.split()[0] for error in refused.value.errors] == ["'b_c.example'", "'localhost'"]


@pytest.mark.parametrize("value", [5, None, b"a.example", "x " * 40_000, ["a.example"] * 1001])
def test_what_is_no_list_or_too_long(value):
    """The field is named, and no time is spent on what is too long."""
    with pytest.raises(InvalidInputError) as refused:
        parse_pasted_names(value)
    assert refused.value.field == "aliases"


def test_more_names_than_a_certificate_has():
    """Duplicates do not count; what is left does."""
    many = [f"a{number}.example" for number in range(100)]
    assert len(parse_pasted_names([*many, *many])) == 100
    with pytest.raises(InvalidNameError):
        parse_pasted_names([*many, "b.example"])
