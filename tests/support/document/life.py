"""Statuses, renewal, import, keys, and what to do about symptoms."""

import io
import re
import zipfile

from support.document.lines import promised
from support.document_walk import DOMAIN

# -- Statuses


@promised("Expired — reissue/renew required.")
def _expired(walk):
    assert "Expired" in walk["expired"].text
    shown = {*walk["expired"].buttons(), *(text for text, _ in walk["expired"].links())}
    assert {"Renew now", "Reissue"} & {text.rstrip("…") for text in shown}


@promised("Error — check logs/CA setup/DNS path.")
def _error(walk):
    certificate = walk.notes["error"]
    assert "Error" in walk["error"].text
    assert str(certificate.problem.title_text) in walk["error"].text
    assert certificate.problem.advice in walk["error"].text


@promised("Revoked — revoked per CA policy.")
def _revoked(walk):
    assert "Revoked" in walk["revoked"].text
    assert "Certificate is active!" not in walk["revoked"].text


# -- Renewal


@promised("The panel tracks Days Remaining and triggers renewal ahead of expiry.")
def _renewed(walk):
    assert 0 < walk.notes["due"].days_remaining < 7
    assert walk.notes["renewed"].days_remaining > 7
    assert "CN=Pebble" in str(walk.notes["renewed"].leaf.issuer)


@promised("For LE/ZeroSSL via DNS-01, ensure your CNAME and tech zone remain")
def _cname_is_watched(walk):
    page = walk["renewal waits"]
    assert "Active" in page.text
    assert "_acme-challenge.soon.test" in page.text
    assert "Missing" in page.text


# -- Import


@promised("Open SSL Certificates → + Import (or equivalent).")
def _import_link(walk):
    assert any("Import" in text for text, _ in walk["list"].links())
    assert walk["import"].status == 200


@promised("Paste CRT / Private Key / CA Bundle in PEM.")
def _paste(walk):
    for label in ("Certificate", "Private key", "CA bundle"):
        assert walk["import"].input(label).name == "textarea", label


@promised("Save and verify validity/expiry.")
def _verified(walk):
    assert "old.test" in walk["import checked"].text
    assert "Valid until" in walk["import checked"].text
    assert walk.notes["after the mismatch"] == ()
    assert str(walk.notes["imported"].days_remaining) in walk["imported"].text


@promised("Configure Auto Renew manually if needed (imports are usually not tied")
def _import_renewal(walk):
    assert walk.notes["imported"].certificate.authority_id is None
    assert walk["imported"].input("Days before the end") is not None


# -- Key security


@promised("Visibility follows your role-based access.")
def _roles(walk):
    assert DOMAIN not in walk["list of bert"].text
    assert walk["page of bert"].status == 404
    viewer = walk["page of viewer"]
    assert viewer.status == 200
    shown = {*viewer.buttons(), *(text for text, _ in viewer.links())}
    assert not {"Save", "Revoke", "Delete", "Reissue", "Renew now"} & {text.rstrip("…") for text in shown}
    assert not any("private key" in text.lower() for text in shown)


@promised("Export a secure copy and store it in your organization's secret vault.")
def _exported(walk):
    response = walk["exported"].response
    assert response.headers["content-disposition"].startswith("attachment")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"].startswith("no-store")
    with zipfile.ZipFile(io.BytesIO(response.content)) as files:
        assert any(b"PRIVATE KEY-----" in files.read(name) for name in files.namelist())
    assert "for the vault" in walk["timeline"].text


# -- Troubleshooting


@promised("| Stuck in Pending | CNAME not resolving / wrong target | Verify")
def _stuck(walk):
    assert "Missing" in walk["pending"].text
    assert "Wrong" in walk["wrong target"].text
    assert "elsewhere.test" in walk["wrong target"].text  # what was seen in its place


@promised("| Issuance doesn't start | CSR not generated | Click Generate CSR,")
def _not_started(walk):
    assert "generate the CSR" in walk["draft"].text
    assert "_acme-challenge" in walk["draft"].text


@promised("| No “Certificate is active!” after CNAME | DCV incomplete / CA error")
def _logs(walk):
    assert "Certificate is active!" not in walk["error"].text
    assert walk.notes["error"].problem.advice in walk["error"].text
    assert any("timeline" in target for _, target in walk["error"].links())


@promised("| Auto-renew doesn't trigger | Bad Auto Renew Days or broken CNAME |")
def _no_renewal(walk):
    assert walk["bad days"].status == 422
    assert "Days before the end" in walk["bad days"].text
    assert "_acme-challenge.soon.test" in walk["renewal waits"].text


@promised("| PEM mismatch on import | Key/cert pair doesn't match | Import the")
def _mismatch(walk):
    assert walk["mismatch"].status in {409, 422}
    error = walk["mismatch"].soup.find(id=re.compile("private_key.*error"))
    assert error is not None
    assert "does not belong" in error.get_text(" ")
