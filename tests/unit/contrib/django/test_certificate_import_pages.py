"""Import on a page: pasted or uploaded, checked before it is stored, and never sent back."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from support.django_pages import KEY, LIST, text

_IMPORT = f"{LIST}import/"


@pytest.fixture
def material(panel):
    """A certificate that another CA has issued: leaf, key and intermediates; and the key of another one."""
    certificate_id = panel.active("bought.example")
    exported = panel.core.certificates.export(certificate_id, reason="test")
    other = panel.core.certificates.private_key(panel.active("other.example"), reason="test").reveal_text()
    panel.core.certificates.delete(certificate_id)
    return {
        "leaf": exported.leaf_pem,
        "private_key": exported.private_key.reveal_text(),
        "ca_bundle": exported.chain_pem,
    }, other


def test_the_check_stores_nothing_and_save_does(panel, admin, material):
    """The page shows what would be imported; Save stores it with its key."""
    pasted, _ = material
    count = len(panel.core.certificates.list().items)
    checked = text(admin.post(_IMPORT, {**pasted, "check": "yes"}))
    assert "What would be imported" in checked
    assert "bought.example" in checked
    assert "belongs to the certificate" in checked
    assert len(panel.core.certificates.list().items) == count
    saved = admin.post(_IMPORT, {**pasted, "authority": panel.authority.id, "auto": "yes", "days_before": "9"})
    assert saved.status_code == 302
    certificate = panel.core.certificates.get(saved["Location"].rstrip("/").rpartition("/")[2])
    assert (certificate.status, certificate.renewal.days_before) == ("active", 9)
    again = admin.post(_IMPORT, pasted)
    assert again.status_code == 422
    assert "is here already" in text(again)


def test_a_key_of_another_certificate_is_told_beside_the_field(panel, admin, material):
    """With and without htmx; the key is not in the answer, nothing is stored."""
    pasted, other = material
    count = len(panel.core.certificates.list().items)
    wrong = {**pasted, "private_key": other}
    answer = admin.post(_IMPORT, wrong)
    shown = text(answer)
    assert answer.status_code == 422
    assert 'href="#field-private_key"' in shown
    assert "private_key: " not in shown  # the label is beside it
    assert '<div class="error" id="field-private_key-errors"></div>' not in shown
    part = text(admin.post(_IMPORT, {**wrong, "check": "yes"}, headers={"HX-Request": "true"}))
    assert 'id="field-private_key-errors" hx-swap-oob' in part
    assert "<html" not in part
    for each in (shown, part):
        assert f"-----BEGIN {KEY}-----\n" not in each
    assert len(panel.core.certificates.list().items) == count


def test_files_are_read(panel, admin, material):
    """Each part can be uploaded; text and a file for the same part are too much."""
    pasted, _ = material
    files = {f"{name}_file": SimpleUploadedFile(f"{name}.pem", value.encode()) for name, value in pasted.items()}
    both = admin.post(_IMPORT, {"leaf": pasted["leaf"], **files})
    assert both.status_code == 422
    assert 'href="#field-leaf"' in text(both)
    files = {f"{name}_file": SimpleUploadedFile(f"{name}.pem", value.encode()) for name, value in pasted.items()}
    saved = admin.post(_IMPORT, files, headers={"HX-Request": "true"})
    assert (saved.status_code, saved["HX-Redirect"][: len(LIST)]) == (204, LIST)


@pytest.mark.parametrize("name", ["leaf", "private_key", "ca_bundle"])
def test_what_cannot_be_read_is_told(panel, admin, material, name):
    """Each part of it is named."""
    pasted, _ = material
    answer = admin.post(_IMPORT, {**pasted, name: "-----BEGIN NOTHING-----\nabc"})
    assert answer.status_code == 422
    assert f'href="#field-{name}"' in text(answer)


def test_doubts_are_shown_before_anything_is_stored(panel, admin, material):
    """Without intermediates a server cannot prove the chain: the check says so, and it can be saved nevertheless."""
    pasted, _ = material
    checked = text(admin.post(_IMPORT, {"leaf": pasted["leaf"], "check": "yes"}))
    assert "What would be imported" in checked
    assert "Nothing is doubtful about it." not in checked
    assert admin.post(_IMPORT, {"leaf": pasted["leaf"]}).status_code == 302
