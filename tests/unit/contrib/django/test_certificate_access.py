"""Who may do what on the pages of certificates, and what never leaves the panel without a reason."""

import io
import zipfile

import pytest
from django.views.debug import get_exception_reporter_filter

from certcore import RevocationReason
from certcore.testing import Act
from support.django_pages import KEY, LIST, form_values, get_addresses, page, text


@pytest.fixture
def viewer(panel):
    """The browser of somebody who may look at everything."""
    return panel.browser(panel.user("vera", "SSL viewers"))


@pytest.fixture
def tenants(panel):
    """Two customers without a role, each a tenant: their users and browsers."""
    users = [panel.user(name) for name in ("carla", "dora")]
    return [(str(user.pk), panel.browser(user)) for user in users]


#: What is posted to each address that changes something.
_POSTS = (
    ("", {}),
    ("actions/renew/", {}),
    ("actions/reissue/", {}),
    ("actions/revoke/", {"reason": "superseded"}),
    ("actions/delete/", {}),
    ("actions/preflight/", {}),
    ("clone/", {"domain": "copy.example"}),
    ("transfer/", {"to": "9", "confirmed": "yes"}),
    ("key/", {"reason": "curious"}),
    ("export/", {"format": "pem", "with_key": "yes", "reason": "curious"}),
)


def _stored(panel):
    """Everything that a request could have changed."""
    items = panel.core.certificates.list().items
    return items, [event.kind for item in items for event in panel.core.certificates.timeline(item.id)]


def test_no_get_changes_anything_or_has_a_key(panel, admin):
    """Every address of every status, looked at by an administrator; the answers are not kept by browsers."""
    made = [panel.active("a.example"), panel.certificate("p.example", Act.WAIT_OWNER), panel.certificate("d.example")]
    before = _stored(panel)
    for certificate_id in made:
        for address in get_addresses(certificate_id):
            answer = admin.get(address)
            assert answer.status_code in (200, 302, 404, 409), address
            assert KEY not in text(answer).replace('-----BEGIN PRIVATE KEY-----"', ""), address
            assert "no-store" in answer["Cache-Control"], address
    assert _stored(panel) == before


def test_a_viewer_sees_and_does_nothing(panel, viewer):
    """The page has neither inputs nor buttons that change something, and each post is refused."""
    certificate_id = panel.active()
    shown = text(viewer.get(page(certificate_id)))
    for word in ("reveal the private key", "Revoke", "Delete", "Renew now", "Clone", "/transfer/", 'name="domain"'):
        assert word not in shown
    assert "Download" in shown  # the certificate without its key
    before = _stored(panel)
    for part, values in _POSTS:
        posted = values or form_values(panel, certificate_id, days_before="5")
        answer = viewer.post(page(certificate_id, part), posted)
        assert KEY not in text(answer), part
        assert answer.status_code in (403, 404, 422) or (part == "export/" and answer.status_code == 200), part
    assert viewer.get(f"{LIST}new/").status_code == 403
    assert viewer.get(f"{LIST}import/").status_code == 403
    assert _stored(panel) == before


def test_the_certificate_of_another_tenant_is_not_there(panel, tenants):
    """Neither to look at nor to change; the own one is."""
    (owner, carla), (_, dora) = tenants
    certificate_id = panel.active(owner=owner)
    assert carla.get(page(certificate_id)).status_code == 200
    before = _stored(panel)
    for address in get_addresses(certificate_id)[:-2]:
        assert dora.get(address).status_code == 404, address
    for part, values in _POSTS:
        assert dora.post(page(certificate_id, part), values).status_code == 404, part
    assert _stored(panel) == before


def test_a_tenant_makes_certificates_of_its_own(panel, tenants):
    """Whatever owner is posted, the certificate belongs to who is signed in."""
    (owner, carla), (other, _) = tenants
    values = {"domain": "shop.example", "authority": panel.authority.id, "for_owner": other}
    made = carla.post(f"{LIST}new/", values)
    assert made.status_code == 302
    (certificate,) = panel.core.certificates.list().items
    assert certificate.owner == owner
    assert "for_owner" not in text(carla.get(f"{LIST}new/"))


def test_the_private_key_takes_a_reason_and_is_recorded(panel, admin):
    """Without a reason it is refused beside the field; with one it is in the answer alone, which nobody keeps."""
    certificate_id = panel.active()
    assert admin.get(page(certificate_id, "key/")).status_code == 200
    refused = admin.post(page(certificate_id, "key/"), {"reason": " "})
    assert refused.status_code == 422
    assert 'href="#field-reason"' in text(refused)
    revealed = admin.post(page(certificate_id, "key/"), {"reason": "move to web-2"})
    assert f"-----BEGIN {KEY}-----" in text(revealed)
    assert revealed["Cache-Control"] == "no-store"
    (event,) = [each for each in panel.core.certificates.timeline(certificate_id) if each.kind == "key_revealed"]
    assert (event.actor, event.data["reason"]) == ("ada", "move to web-2")
    assert KEY not in text(admin.get(page(certificate_id)))


def test_an_export_is_a_file(panel, admin):
    """Format and password are asked for; what is missing is told beside its field; several files are one archive."""
    certificate_id = panel.active()
    values = {"format": "pkcs12", "with_key": "yes", "reason": "backup"}
    refused = admin.post(page(certificate_id, "export/"), values)
    assert refused.status_code == 422
    assert 'href="#field-password"' in text(refused)
    answer = admin.post(page(certificate_id, "export/"), {**values, "password": "canary-password"})
    assert answer["Content-Disposition"] == 'attachment; filename="shop.example.p12"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "no-store"
    answer = admin.post(page(certificate_id, "export/"), {**values, "format": "pem"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert KEY.encode() in archive.read("privkey.pem")
        assert archive.getinfo("privkey.pem").external_attr >> 16 & 0o777 == 0o600
    answer = admin.post(page(certificate_id, "export/"), {"format": "pem"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert "privkey.pem" not in archive.namelist()


def test_a_revocation_tells_the_ca_why(panel, admin):
    """The reason is chosen from those that a CA knows."""
    certificate_id = panel.active()
    asked = text(admin.get(page(certificate_id, "actions/revoke/")))
    assert "Private key compromised" in asked
    panel.ca.refuses_revocation = True
    refused = admin.post(page(certificate_id, "actions/revoke/"), {"reason": "key_compromise"})
    assert refused.status_code == 502
    assert "does not revoke now" in text(refused)
    assert panel.core.certificates.get(certificate_id).status == "active"
    panel.ca.refuses_revocation = False
    admin.post(page(certificate_id, "actions/revoke/"), {"reason": "key_compromise"})
    assert list(panel.ca.revoked.values()) == [RevocationReason.KEY_COMPROMISE]
    assert "Private key compromised" in text(admin.get(page(certificate_id, "timeline/")))


def test_no_error_report_has_what_was_posted(panel, admin):
    """When a view fails, Django mails what was posted to the administrators: here that may be a key or a password."""
    certificate_id = panel.active()
    for address in (f"{LIST}import/", f"{LIST}new/", *(page(certificate_id, part) for part, _ in _POSTS)):
        answer = admin.post(address, {"private_key": "canary-key", "password": "canary-password", "pin": "canary-pin"})
        shown = get_exception_reporter_filter(answer.wsgi_request).get_post_parameters(answer.wsgi_request)
        assert "canary" not in str(shown), address


def test_posts_of_other_sites_are_refused(panel):
    """Every form has a token."""
    user = panel.user("eva", "SSL administrators")
    certificate_id = panel.active()
    strict = panel.browser(user, enforce_csrf_checks=True)
    for part, values in _POSTS:
        assert strict.post(page(certificate_id, part), values).status_code == 403, part
