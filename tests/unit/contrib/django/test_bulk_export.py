"""The export of the chosen certificates: who gets what, with which reason, and what is recorded of it."""

import io
import zipfile

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12
from django.views.debug import get_exception_reporter_filter

from support.django_pages import KEY, LIST, text

BULK = f"{LIST}bulk/"


def posted(ids, **values):
    """What the page of the export posts."""
    return {"action": "export", "ids": ids, "confirmed": "yes", "format": "pem", **values}


def files(answer):
    """The files of an archive that was handed out, by name."""
    assert answer.status_code == 200
    assert answer["Content-Disposition"] == 'attachment; filename="certificates.zip"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer["Cache-Control"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def reveals(panel, certificate_id):
    """Who was given the private key, and why."""
    events = panel.core.certificates.timeline(certificate_id)
    return [(event.actor, event.data["reason"]) for event in events if event.kind == "key_revealed"]


def test_the_page_asks_for_format_and_reason_and_hands_nothing_out(panel, admin):
    """It names the certificates; a draft has nothing to export and is left out with the reason."""
    shop, draft = panel.active("shop.example"), panel.certificate("draft.example")
    asked = admin.post(BULK, {"action": "export", "ids": [shop, draft]})
    shown = text(asked)
    assert "Export 1 certificate?" in shown
    assert "Left out, because no certificate has been issued for them: draft.example" in shown
    for name in ("format", "with_key", "reason", "password"):
        assert f'name="{name}"' in shown
    assert f'name="ids" value="{draft}"' not in shown
    assert KEY not in shown
    assert reveals(panel, shop) == []


def test_an_archive_has_a_folder_for_each_certificate_and_each_key_is_recorded(panel, admin):
    """With the reason and the name of the user, in the timeline of each certificate."""
    shop, blog = panel.active("shop.example"), panel.active("blog.example")
    packed = files(admin.post(BULK, posted([shop, blog], with_key="yes", reason="move to web-4")))
    assert {name.split("/")[0] for name in packed} == {"shop.example", "blog.example"}
    for folder in ("shop.example", "blog.example"):
        assert any(KEY.encode() in content for name, content in packed.items() if name.startswith(f"{folder}/"))
    assert reveals(panel, shop) == reveals(panel, blog) == [("ada", "move to web-4")]
    assert "Export: 2 of 2 done." in text(admin.get(LIST))


def test_two_certificates_of_one_domain_have_folders_of_their_own(panel, admin):
    """Neither overwrites the files of the other."""
    ids = [panel.active("shop.example"), panel.active("shop.example")]
    packed = files(admin.post(BULK, posted(ids)))
    assert {name.split("/")[0] for name in packed} == {f"shop.example-{each}" for each in ids}


def test_what_cannot_be_exported_is_listed_in_the_archive(panel, admin):
    """The others are exported nevertheless, and the list says how many."""
    shop, draft = panel.active("shop.example"), panel.certificate("draft.example")
    packed = files(admin.post(BULK, posted([shop, draft], with_key="yes", reason="backup")))
    assert packed["not-exported.txt"].decode().startswith("draft.example: ")
    assert "Export: 1 of 2 done." in text(admin.get(LIST))


def test_a_missing_reason_is_told_beside_its_field(panel, admin):
    """Nothing leaves, nothing is recorded, and what was typed stays."""
    shop = panel.active("shop.example")
    answer = admin.post(BULK, posted([shop], with_key="yes", reason=" ", format="nginx"))
    shown = text(answer)
    assert answer.status_code == 422
    assert 'href="#field-reason"' in shown
    assert "is required to export a private key" in shown
    assert '<option value="nginx" selected>' in shown
    assert reveals(panel, shop) == []


def test_the_password_encrypts_each_key_and_is_not_reported(panel, admin):
    """PKCS#12 opens with it only, and a report of an error would not have it."""
    shop = panel.active("shop.example")
    values = posted([shop], format="pkcs12", with_key="yes", reason="keystore", password="correct horse")
    answer = admin.post(BULK, values)
    (content,) = [content for name, content in files(answer).items() if name.endswith((".p12", ".pfx"))]
    assert pkcs12.load_pkcs12(content, b"correct horse").cert is not None
    with pytest.raises(ValueError, match=r".*"):
        pkcs12.load_pkcs12(content, b"wrong")
    reported = get_exception_reporter_filter(answer.wsgi_request).get_post_parameters(answer.wsgi_request)
    assert "correct horse" not in str(reported)


def test_a_viewer_exports_without_keys(panel):
    """The list offers the export to whoever may look, and nothing else; a key that is asked for is refused."""
    shop = panel.active("shop.example")
    viewer = panel.browser(panel.user("vera", "SSL viewers"))
    listed = text(viewer.get(LIST))
    assert 'name="action" value="export"' in listed
    for action in ("renew", "revoke", "delete"):
        assert f'name="action" value="{action}"' not in listed
    asked = text(viewer.post(BULK, {"action": "export", "ids": [shop]}))
    assert "without the private keys" in asked
    assert 'name="reason"' not in asked
    packed = files(viewer.post(BULK, posted([shop])))
    assert not any(KEY.encode() in content for content in packed.values())
    refused = viewer.post(BULK, posted([shop], with_key="yes", reason="curious"))
    assert refused.status_code in (403, 422)
    assert KEY not in text(refused)
    assert reveals(panel, shop) == []


def test_a_tenant_gets_nothing_of_another(panel):
    """Not even the name: the page shows none of them, and the archive is refused."""
    carla, dora = panel.user("carla"), panel.user("dora")
    of_dora = panel.active("secret.example", owner=str(dora.pk))
    browser = panel.browser(carla)
    asked = text(browser.post(BULK, {"action": "export", "ids": [of_dora]}))
    assert "secret.example" not in asked
    refused = browser.post(BULK, posted([of_dora], with_key="yes", reason="mine"))
    assert refused.status_code in (404, 422)
    assert "secret.example" not in text(refused)
    assert KEY not in text(refused)
    assert reveals(panel, of_dora) == []


def test_an_export_needs_a_post_with_a_token(panel):
    """A link, or a form on somebody else's page, gets nothing."""
    shop = panel.active("shop.example")
    browser = panel.browser(panel.user("ada", "SSL administrators"), enforce_csrf_checks=True)
    values = posted([shop], with_key="yes", reason="x")
    assert browser.get(BULK, values).status_code == 405
    assert browser.post(BULK, values).status_code == 403
    assert reveals(panel, shop) == []
