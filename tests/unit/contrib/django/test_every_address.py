"""What holds for every address of the section: who gets in, what a GET leaves alone, what each answer carries.

The addresses are those of the URLconf, so that a new one is tried without a change here.
"""

import sqlite3

import pytest

from certcore.testing import Act
from support.django_addresses import addresses, everything_posted
from support.django_pages import KEY, text

#: What every answer carries, errors and redirects, too.
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: The field in which a private key may be pasted has this as its example.
_EXAMPLE = '"-----BEGIN PRIVATE KEY-----"'


@pytest.fixture
def storage():
    """A file, so that a test can compare everything that is stored."""
    return "sqlite"


@pytest.fixture
def stored(panel, tmp_path):
    """Gives everything that certcore has stored, row by row."""

    def dump():
        connection = sqlite3.connect(tmp_path / "certcore.db")
        try:
            return list(connection.iterdump())
        finally:
            connection.close()

    return dump


@pytest.fixture
def carla(panel):
    """A tenant with an active certificate: the id, and the owner."""
    owner = str(panel.user("carla").pk)
    return panel.active("hidden.example", owner=owner), owner


def _of(panel, certificate_id):
    return addresses(certificate_id=certificate_id, authority_id=panel.authority.id)


def test_nobody_gets_in_without_a_sign_in(panel, carla, stored):
    """A visitor is sent to the sign-in from everywhere; a part of a page has the whole page loaded anew."""
    certificate_id, owner = carla
    before, nobody = stored(), panel.browser()
    posted = everything_posted(certificate_id, panel.authority.id, owner)
    for each in _of(panel, certificate_id):
        for answer in (nobody.get(each.path), nobody.post(each.path, posted)):
            assert answer.status_code == 302, each
            assert answer["Location"].startswith("/accounts/login/?next=/ssl/"), each
        for answer in (
            nobody.get(each.path, headers={"HX-Request": "true"}),
            nobody.post(each.path, posted, headers={"HX-Request": "true"}),
        ):
            assert (answer.status_code, answer["HX-Refresh"], answer.content) == (401, "true", b""), each
    assert stored() == before


@pytest.mark.slow(reason="asks for every address twice")
def test_another_tenant_finds_nothing(panel, carla, stored):
    """Nothing that belongs to somebody else is found by its id, read on another page, or changed by any form."""
    certificate_id, owner = carla
    before, dora = stored(), panel.browser(panel.user("dora"))
    posted = {**everything_posted(certificate_id, panel.authority.id, owner), "domain": "", "leaf": ""}
    for each in _of(panel, certificate_id):
        for answer in (dora.get(each.path), dora.post(each.path, posted)):
            if "certificate_id" in each.parameters:
                assert answer.status_code in (404, 405), each
            elif "authority_id" in each.parameters:
                assert answer.status_code in (403, 404, 405), each
            shown = text(answer)
            assert "hidden.example" not in shown, each
            assert KEY not in shown.replace(_EXAMPLE, ""), each
    assert stored() == before


@pytest.mark.slow(reason="asks for every address")
def test_a_viewer_changes_nothing(panel, carla, stored):
    """Whatever is posted wherever, by somebody who may look at everything."""
    certificate_id, owner = carla
    before, vera = stored(), panel.browser(panel.user("vera", "SSL viewers"))
    posted = everything_posted(certificate_id, panel.authority.id, owner)
    for each in _of(panel, certificate_id):
        answer = vera.post(each.path, posted)
        assert KEY not in text(answer).replace(_EXAMPLE, ""), each
    assert stored() == before


def test_a_form_of_another_site_is_refused(panel, carla, stored):
    """Every address that takes a post asks for its token, whoever is signed in."""
    certificate_id, owner = carla
    before = stored()
    ada = panel.browser(panel.user("ada", "SSL administrators"), enforce_csrf_checks=True)
    posted = everything_posted(certificate_id, panel.authority.id, owner)
    for each in _of(panel, certificate_id):
        assert ada.post(each.path, posted).status_code == 403, each
        assert ada.post(each.path, posted, headers={"HX-Request": "true"}).status_code == 403, each
    assert stored() == before


def _every_status(panel):
    revoked, expired = panel.active("revoked.example"), panel.active("expired.example", renewal={"auto": False})
    panel.core.certificates.revoke(revoked)
    panel.advance(days=100)
    panel.core.reconcile(expired)
    return {
        "revoked": revoked,
        "expired": expired,
        "draft": panel.certificate("draft.example"),
        "pending": panel.certificate("pending.example", Act.WAIT_OWNER),
        "processing": panel.certificate("processing.example", Act.WORK),
        "error": panel.certificate("error.example", Act.FAIL_NEVER),
        "active": panel.active("active.example"),
    }


@pytest.mark.slow(reason="looks at every address of a certificate in every status")
def test_a_get_changes_nothing_and_has_no_key(panel, stored):
    """Every address, of a certificate in every status, looked at by an administrator."""
    made = _every_status(panel)
    assert {status: panel.core.certificates.get(made[status]).status for status in made} == {
        each: each for each in made
    }
    before, ada = stored(), panel.browser(panel.user("ada", "SSL administrators"))
    for certificate_id in made.values():
        for each in _of(panel, certificate_id):
            answer = ada.get(each.path)
            assert answer.status_code in (200, 204, 302, 404, 405, 409), each
            assert KEY not in text(answer).replace(_EXAMPLE, ""), each
    for each in _of(panel, made["active"]):
        assert ada.head(each.path).status_code in (200, 204, 302, 404, 405, 409), each
    assert stored() == before


@pytest.mark.slow(reason="asks for every address as several people")
def test_every_answer_has_the_headers(panel, carla):
    """Pages, files, redirects and errors, for everybody: no code but the section's own, no frame, kept by nobody."""
    certificate_id, owner = carla
    posted = everything_posted(certificate_id, panel.authority.id, owner) | {"confirmed": "", "reissue": ""}
    browsers = [panel.browser(), panel.browser(panel.user("dora"))]
    browsers += [panel.browser(panel.user(name, f"SSL {name}")) for name in ("viewers", "administrators")]
    for each in _of(panel, certificate_id):
        for answer in (call(each.path) for browser in browsers for call in (browser.get, browser.put, browser.options)):
            _assert_headers(answer, each)
        _assert_headers(browsers[2].post(each.path, posted), each)
        _assert_headers(browsers[3].post(each.path, {}), each)


def _assert_headers(answer, address):
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy, address
    assert "unsafe" not in policy, address
    assert {name: answer[name] for name in _HEADERS} == _HEADERS, address


def test_only_what_a_form_can_send_is_answered(panel, carla, stored):
    """No address has a meaning for PUT, PATCH, DELETE, OPTIONS or TRACE."""
    certificate_id, _ = carla
    before, ada = stored(), panel.browser(panel.user("ada", "SSL administrators"))
    for each in _of(panel, certificate_id):
        for call in (ada.put, ada.patch, ada.delete, ada.options, ada.trace):
            assert call(each.path).status_code == 405, (call, each)
    assert stored() == before


def test_every_view_is_outside_the_transaction_of_a_request(panel):
    """With ATOMIC_REQUESTS, a call of certcore would otherwise wait for the transaction around it."""
    from django.conf import settings

    from certcore.contrib.django.urls import urlpatterns

    for pattern in urlpatterns:
        assert getattr(pattern.callback, "_non_atomic_requests", None) == set(settings.DATABASES), pattern.name
