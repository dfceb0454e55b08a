"""Pages that a CA names: what may become a link, and what a CA's text asks of people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore_puq_acme.links import asks_for_a_visit, page_url, pages_in

PAUSED = (
    "Your account is temporarily prevented from requesting certificates for shop.test and possibly others. "
    "Please visit: https://portal.ca.test/sfe/v1/unpause?jwt=abc.def-g"
)


@pytest.mark.parametrize("url", ["https://ca.test/terms", "https://ca.test/terms?a=b#c", "HTTPS://ca.test/"])
def test_pages(url):
    """Pages of https are taken as they are."""
    assert page_url(url) == url


@pytest.mark.parametrize(
    "value",
    [
        "javascript:alert(1)",
        "http://ca.test/terms",
        "https://user:password@ca.test/",
        "JavaScript://ca.test/%0aalert(1)",
        "data:text/html,<script>",
        "vbscript:x",
        "//ca.test/terms",
        "https:ca.test",
        "https://[::1",
        " https://ca.test/",
        "https://ca.test/\nx",
        "https://ca.test/" + "x" * 2000,
        'https://ca.test/"onmouseover="alert(1)',
        "https://ca.test/'onmouseover='alert(1)",
        "https://ca.test/<script>",
        "https://ca.test/>",
        "https://ca.test/`x`",
        "https://ca.test/\\x",
        "https://ca.test/{x|y}^",
        "https://ca.test/a b",
        "https://c\N{CYRILLIC SMALL LETTER A}.test/",
        "https://ca.test/\N{RIGHT-TO-LEFT OVERRIDE}x",
        "",
        None,
        7,
    ],
)
def test_what_is_no_page(value):
    """Whatever a browser might run or resolve against the panel's own address is no page."""
    assert page_url(value) == ""


def test_a_page_in_a_text():
    """The link is found in the CA's sentence, whole, and without the sentence's own full stop."""
    assert pages_in(PAUSED) == ("https://portal.ca.test/sfe/v1/unpause?jwt=abc.def-g",)
    assert pages_in("see https://ca.test/limits. Or (https://ca.test/faq), https://ca.test/limits!") == (
        "https://ca.test/limits",
        "https://ca.test/faq",
    )
    assert pages_in("see http://ca.test/limits or javascript:https:alert(1)") == ()


def test_a_visit_is_asked_for():
    """A page to visit is something else than a page to read; words without a page ask for nothing."""
    assert asks_for_a_visit(PAUSED)
    assert not asks_for_a_visit("too many certificates: see https://ca.test/limits")
    assert not asks_for_a_visit("please visit our office")


@given(st.text() | st.text(alphabet="htps:/.?#[]@ \"'<>a1"))
def test_any_text(text):
    """Whatever a CA writes, what comes out is a page, and part of what went in."""
    found = pages_in(text)
    assert len(found) <= 3
    for page in (*found, *filter(None, [page_url(text)])):
        assert page in text
        assert page.isprintable()
        assert page.lower().startswith("https://")
