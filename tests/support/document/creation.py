"""How a certificate is made, and what its page has."""

import re
from datetime import UTC, datetime

from certcore import Status
from support.document.lines import promised, row_of
from support.document_walk import ALIAS, DOMAIN, cname_records

# -- Create a certificate


@promised("Domain — primary domain (CN).", "Domain — CN.")
def _domain(walk):
    assert walk["create"].input("Domain").has_attr("required")
    assert "shop.test" in walk["active"].text


@promised("Certificate Authority — select a CA profile (e.g., Let's Encrypt /")
def _profile_choice(walk):
    options = [option.get_text().strip() for option in walk["create"].input("Certificate authority").find_all("option")]
    assert "Pebble" in options


@promised(
    "Aliases — SAN domains, one per line (optional).", "Aliases (SANs) — additional domains/subdomains, one per line."
)
def _aliases(walk):
    assert walk["create"].input("Aliases").name == "textarea"
    assert not walk["create"].input("Aliases").has_attr("required")
    assert {name.ascii for name in walk.notes["draft"].certificate.names} >= {ALIAS, f"mail.{DOMAIN}"}


@promised(
    "Click Save — this only saves form data (no keys or certificate yet).",
    "Save — persist form changes (no CA interaction).",
    "Save only stores data; no key/CSR is created.",
)
def _save(walk):
    for name in ("draft", "saved draft"):
        assert walk.notes[name].certificate.status is Status.DRAFT
        assert walk.notes[name].issuance is None
    shown = {value.field.name: value.value for value in walk.notes["saved draft"].fields}
    assert shown["organization"] == "Shop and Co"
    assert "-----BEGIN" not in walk["draft"].html


@promised(
    "Click Generate CSR:",
    "The system creates the CSR and Private Key (they do not exist before",
    "Creates CSR and Private Key (encrypted; visible only on this page).",
)
def _made_by_generate(walk):
    assert walk.notes["saved draft"].issuance is None
    assert walk.notes["generated"].issuance.csr_pem


@promised(
    "Status switches to Pending. The panel shows instructions to create a",
    "_acme-challenge.<domain>pointing into your tech zone",
    "Pending (CNAME → tech zone)",
    "The panel displays the exact CNAME instruction for",
    "_acme-challenge.<domain>→ into your tech zone. -",
)
def _instruction(walk):
    assert "Pending" in walk["pending"].text
    records = dict(cname_records(walk["pending"]))
    assert set(records) == {f"_acme-challenge.{name}" for name in (DOMAIN, ALIAS, f"mail.{DOMAIN}")}
    assert all(target.endswith(".acme.panel.test") for target in records.values())


@promised(
    "Once the CNAME resolves, issuance starts automatically. When",
    "As soon as the CNAME resolves, the panel continues issuance (DNS-01).",
    "Certificate is issued; Certificate PEM is available; a success panel",
)
def _issued(walk):
    assert "Active" in walk["active"].text
    assert "Certificate is active!" in walk["active"].text
    assert walk.notes["active"].leaf.serial_hex.lower() in walk["active"].text.lower()
    assert "-----BEGIN CERTIFICATE-----" in walk["active"].html


# -- Certificate page, left column


@promised(
    "Top block (editable in Draft)",
    "In Draft, the upper part of the left column is editable; after",
    "Edit primary fields (domain, SANs, email, ToS, auto-renew threshold).",
)
def _editable(walk):
    for label in ("Domain", "Aliases", "Renew automatically", "Days before the end"):
        assert walk["draft"].input(label) is not None, label
    assert walk["active"].input("Days before the end") is not None
    plain = walk["active"].soup.select_one(".two > section")
    assert walk["pending"].input("Domain") is None
    assert DOMAIN in plain.get_text(" ")


@promised("Certificate Status (Draft toggle) — draft state.")
def _draft_toggle(walk):
    assert "Draft" in walk["draft"].text
    shown = {*walk["pending"].buttons(), *(text for text, _ in walk["pending"].links())}
    assert "Back to draft" in {text.rstrip("…") for text in shown}


@promised(
    "Auto Renew Days — how many days before expiry to auto-renew (typically", "Controlled by Auto Renew Days (e.g.,"
)
def _auto_renew_days(walk):
    assert walk["draft"].input("Days before the end")["value"] == "7"
    assert walk.notes["active"].certificate.renewal.days_before == 7


@promised("7). -")
def _typical_days(walk):
    row = row_of(walk["list"], DOMAIN)
    assert re.search(r"auto.*\b7\b", row, re.IGNORECASE)


@promised("Days Remaining — remaining days until expiry (LE defaults are ~90")
def _days_remaining(walk):
    leaf = walk.notes["active"].leaf
    assert walk.notes["active"].days_remaining == (leaf.not_after - datetime.now(UTC)).days
    assert "Days remaining" in walk["active"].text


@promised("Email (ACME account email) and Agree to Terms of Service — required")
def _account(walk):
    fields = {field.name: str(field.label) for field in walk.site.core.authorities.form("Pebble").fields}
    page = walk["profile"]
    for name in ("email", "terms_agreed"):
        assert page.input(fields[name]) is not None, name
    assert page.input(fields["email"])["value"] == "ca@panel.test"
    assert page.input(fields["terms_agreed"]).has_attr("checked")


@promised(
    "Domain & Organization",
    "Organization / Organizational Unit / Country / State / Locality —",
)
def _subject(walk):
    for label in ("Organization", "Organizational unit", "Country", "State or province", "Locality"):
        assert walk["draft"].input(label) is not None, label
    assert walk["active"].input("Organization")["value"] == "Shop and Co"


@promised("Wildcard —", "*.domain(works with DNS-01 and “Allow wildcard” enabled in the CA")
def _wildcard(walk):
    assert walk["create"].input("Wildcard") is not None
    assert f"*.{DOMAIN}" in walk.notes["active"].leaf.names
    assert walk["profile"].input("Allow wildcard") is not None


@promised("Email (contact) — certificate contact (may differ from ACME account")
def _contact(walk):
    assert walk["draft"].input("E-mail")["value"] == "it@shop.test"


@promised("CA / Crypto / Metadata", "Crypto fields/PEM blocks appear.")
def _metadata(walk):
    for label in ("Issuer", "Serial number", "Fingerprint", "Public key", "Signature algorithm"):
        assert label in walk["active"].text, label
        assert label not in walk["draft"].text, label
    assert "-----BEGIN CERTIFICATE REQUEST-----" in walk["pending"].html


@promised("Days Remaining and Auto Renew operate; crypto/metadata are filled.")
def _operate(walk):
    view = walk.notes["active"]
    assert view.renews_at is not None
    leaf = view.leaf
    assert view.renews_at < leaf.not_after
    assert leaf.fingerprint_sha256.replace(":", "").lower() in re.sub(r"[\s:]", "", walk["active"].text).lower()
