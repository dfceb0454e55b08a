"""What people send to break the pages: each answer is a page, and nothing fails or is done twice."""

import threading

import pytest
from django.db import connections

from support.django_addresses import addresses
from support.django_pages import LIST, form_values, page

#: Too long, too large a number, of another alphabet, of a database's language, of HTML, of a header; not text at all.
_HOSTILE = (
    "9" * 5000,
    "-99999999999999999999",
    "\u0661\u00b2",
    "a\x00b",
    b"\xed\xa0\x80",
    "\r\nSet-Cookie: a=b",
    "'; <script>alert(1)</script>",
)
#: What the pages take from their addresses, and from forms.
_QUERY = ("search", "days_to", "order", "status", "condition", "authority", "owner", "after", "before", "kind", "seen")
_FORM = ("version", "days_before", "authority", "domain", "aliases", "to", "reason", "format", "leaf", "query", "ids")


@pytest.fixture
def storage():
    """A database: what it cannot take is refused before."""
    return "sqlite"


def _answered(answer, *what):
    assert answer.status_code < 500, what
    assert "<script>alert(1)" not in answer.content.decode(errors="replace"), what
    assert "a=b" not in str(answer.cookies), what


@pytest.mark.slow(reason="tries many values everywhere")
@pytest.mark.parametrize("value", _HOSTILE, ids=lambda value: ascii(value)[:24])
def test_hostile_addresses(panel, admin, value):
    """As an id, and as each value of a query."""
    for each in addresses(certificate_id=value, authority_id=value):
        if each.parameters:
            _answered(admin.get(each.path), each)
    for address in (
        "",
        "numbers/",
        "certificates/",
        "certificates/rows/",
        "certificates/new/",
        "audit/",
        "deliveries/",
    ):
        for name in _QUERY:
            _answered(admin.get(f"/ssl/{address}", {name: value}), address, name)
    certificate_id = panel.certificate()
    for part in ("live/", "timeline/"):
        for name in _QUERY:
            _answered(admin.get(page(certificate_id, part), {name: value}), part, name)


@pytest.mark.slow(reason="tries many values everywhere")
@pytest.mark.parametrize("value", _HOSTILE, ids=lambda value: ascii(value)[:24])
def test_hostile_forms(panel, admin, value):
    """As each value of what is posted, beside others that are right."""
    certificate_id = panel.active(owner="7")
    usual = form_values(panel, certificate_id) | {"action": "renew", "to": "8", "confirmed": "yes", "reason": "x"}
    parts = ("", "clone/", "transfer/", "export/", "key/", "actions/reissue/", "actions/revoke/")
    profile = f"/ssl/authorities/{panel.authority.id}/"
    for address in (
        *(page(certificate_id, part) for part in parts),
        *(f"{LIST}new/", f"{LIST}import/", f"{LIST}bulk/", profile, f"{profile}fallback/"),
    ):
        for name in _FORM:
            _answered(admin.post(address, {**usual, name: value}), address, name)


@pytest.mark.parametrize("posted", [{"leaf": "x" * 3_000_000}, {"ids": ["x"] * 2_000}], ids=["long", "many"])
def test_a_huge_form_is_refused(panel, admin, posted):
    """Django's limits hold, for strangers, too; the answer has the headers of the section."""
    for browser in (admin, panel.browser()):
        for address in (f"{LIST}import/", f"{LIST}bulk/"):
            answer = browser.post(address, posted)
            assert answer.status_code in (302, 400)
            assert answer["Cache-Control"] == "no-store"


def test_a_button_that_is_pressed_twice_at_once_asks_once(panel):
    """Two posts of "Renew now" that overlap begin one renewal, and neither is a failure."""
    certificate_id = panel.active()
    begin, answers = threading.Barrier(2), []

    def press(browser):
        begin.wait()
        answers.append(browser.post(page(certificate_id, "actions/renew/")).status_code)
        connections.close_all()

    user = panel.user("ada", "SSL administrators")
    browsers = [panel.browser(user) for _ in range(2)]
    presses = [threading.Thread(target=press, args=(each,)) for each in browsers]
    for each in presses:
        each.start()
    for each in presses:
        each.join()
    assert [answer for answer in answers if answer not in (302, 409)] == []
    assert len(panel.core.certificates.issuances(certificate_id)) == 2
