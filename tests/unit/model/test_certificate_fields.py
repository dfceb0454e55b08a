"""The left column of a certificate's page: one table, with a place for everything, and never a private key."""

import hashlib
import json
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from certcore import Status
from certcore.model.certificate_fields import CERTIFICATE_FIELDS
from certcore.model.edit_rules import EditMethod, EditRule, edit_method
from certcore.model.form_fields import FieldGroup
from certcore.model.keys import KeyType
from certcore.testing.scripted_ca import Act
from certcore.x509.chain import parse_certificates
from certcore.x509.csr import csr_names
from certcore.x509.keys import generate_key

#: The left column of the panel that certcore takes its page from, in its order, and what shows the same here.
ORIGINAL = {
    "Certificate Status": "status",
    "Auto Renew Days": "days_before",
    "Days Remaining": "days_remaining",
    "Last error": "problem",
    "Domain": "domain",
    "Wildcard": "wildcard",
    "Aliases": "aliases",
    "Email": "email",
    "Organization": "organization",
    "Organizational Unit": "organizational_unit",
    "Country": "country",
    "State": "state",
    "Locality": "locality",
    "Certificate Authority": "authority",
    "Module": "module",
    "Key Size": "key_size",
    "Signature Algorithm": "signature_algorithm",
    "Issued At": "issued_at",
    "Expires At": "expires_at",
    "CSR Valid From": "csr_made_at",
    "Renewed At": "renewed_at",
    "Issuer": "issuer",
    "Serial Number DEC": "serial_decimal",
    "Serial Number HEX": "serial_hex",
    "Fingerprint MD5": "fingerprint_md5",
    "Fingerprint SHA1": "fingerprint_sha1",
    "Fingerprint SHA256": "fingerprint_sha256",
    "Certificate PEM": "leaf_pem",
    "Private Key PEM": "private_key",
    "CSR PEM": "csr_pem",
    "Chain PEM": "chain_pem",
}
FIELDS = {field.name: field for field in CERTIFICATE_FIELDS}
OF_LEAF = {
    "names",
    "issued_at",
    "expires_at",
    "issuer",
    "subject",
    "public_key",
    "key_size",
    "signature_algorithm",
    "serial_decimal",
    "serial_hex",
    "fingerprint_md5",
    "fingerprint_sha1",
    "fingerprint_sha256",
    "leaf_pem",
    "chain_pem",
    "days_remaining",
}


def _values(bench, one):
    return {one.field.name: one.value for one in bench.core.certificates.view(one).fields}


def test_every_field_has_one_name_and_a_title():
    """Names are identifiers, each once; titles, too; and the groups follow each other as blocks of the page."""
    assert len(FIELDS) == len(CERTIFICATE_FIELDS)
    assert len({str(field.title) for field in CERTIFICATE_FIELDS}) == len(CERTIFICATE_FIELDS)
    assert len({field.title.key for field in CERTIFICATE_FIELDS}) == len(CERTIFICATE_FIELDS)
    assert all(name.isidentifier() and name == name.lower() for name in FIELDS)
    groups = list(dict.fromkeys(field.group for field in CERTIFICATE_FIELDS))
    assert groups == list(FieldGroup)
    assert sorted(CERTIFICATE_FIELDS, key=lambda one: groups.index(one.group)) == list(CERTIFICATE_FIELDS)


@pytest.mark.parametrize("title", ORIGINAL)
def test_every_field_of_the_original_page_has_its_place(title):
    """Whoever knows that page finds each of its fields here."""
    assert ORIGINAL[title] in FIELDS


def test_a_draft(bench):
    """What was typed is there in its normal form; what only a leaf has is empty, without being an error."""
    certificate = bench.draft(
        "Größe.example",
        aliases="www.shop.example",
        wildcard=True,
        subject={"organization": "Shop", "country": "de", "email": "a@b.example"},
        key_type="rsa-2048",
        renewal={"days_before": 12},
        module_data={"order_reference": "7"},
        owner="anna",
    )
    values = _values(bench, certificate.id)
    assert {name: values[name] for name in ("status", "owner", "domain", "wildcard", "aliases")} == {
        "status": "draft",
        "owner": "anna",
        "domain": "xn--gre-6ka8i.example",
        "wildcard": True,
        "aliases": ("www.shop.example",),
    }
    assert (values["organization"], values["country"], values["email"], values["state"]) == (
        "Shop",
        "DE",
        "a@b.example",
        "",
    )
    assert (values["key_type"], values["days_before"], values["auto"], values["rotate_key"]) == (
        "rsa-2048",
        12,
        True,
        True,
    )
    assert (values["authority"], values["module"]) == (bench.authority.id, "scripted")
    assert values["module_data"] == {"order_reference": "7"}
    assert values["fallbacks"] == ()
    nothing = OF_LEAF | {"csr", "csr_pem", "csr_made_at", "private_key", "renewed_at", "renews_at", "problem"}
    assert {name for name, value in values.items() if value is None} == nothing


def test_an_active_certificate(bench):
    """Everything of the leaf is there, and agrees with its bytes."""
    certificate_id = bench.active(wildcard=True, subject={"organization": "Shop"})
    view = bench.core.certificates.view(certificate_id)
    values = _values(bench, certificate_id)
    (leaf,) = parse_certificates(values["leaf_pem"])
    der = leaf.public_bytes(Encoding.DER)
    assert values["fingerprint_md5"] == hashlib.md5(der, usedforsecurity=False).hexdigest()
    assert values["fingerprint_sha1"] == leaf.fingerprint(hashes.SHA1()).hex()
    assert values["fingerprint_sha256"] == leaf.fingerprint(hashes.SHA256()).hex()
    assert int(values["serial_hex"], 16) == int(values["serial_decimal"]) == leaf.serial_number
    assert (values["issued_at"], values["expires_at"]) == (leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    assert set(values["names"]) == {"shop.example", "*.shop.example"}
    assert (values["public_key"], values["key_size"]) == ("EC P-256", 256)
    assert values["signature_algorithm"] == "ecdsa-with-SHA256"
    assert "O=Shop" in values["subject"]
    assert "Little CA Intermediate" in values["issuer"]
    assert values["days_remaining"] == 90
    assert values["renews_at"] == view.renews_at
    assert len(parse_certificates(values["chain_pem"])) == 1
    assert set(csr_names(values["csr_pem"])) == {"shop.example", "*.shop.example"}
    assert values["csr_made_at"] == view.active.created_at
    assert values["private_key"] == "sealed"
    assert (values["renewed_at"], values["problem"], values["csr"]) == (None, None, None)
    assert not [name for name in OF_LEAF if values[name] in (None, "")]


def test_the_renewed_leaf(bench):
    """When it was renewed is told once it was; while a renewal runs, its request is shown beside the old leaf."""
    certificate_id = bench.active()
    old = _values(bench, certificate_id)
    bench.advance(days=10)
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.renew(certificate_id)
    bench.core.reconcile(certificate_id)
    during = _values(bench, certificate_id)
    assert during["csr_pem"] != old["csr_pem"]
    assert during["csr_made_at"] == bench.environment.now()
    assert {name: during[name] for name in OF_LEAF - {"days_remaining"}} == {
        name: old[name] for name in OF_LEAF - {"days_remaining"}
    }
    assert during["renewed_at"] is None
    bench.ca.script = (Act.ISSUE,)
    for _ in range(4):
        bench.step(certificate_id)
        if bench.core.certificates.view(certificate_id).active.number == 2:
            break
    after = _values(bench, certificate_id)
    assert after["csr_pem"] == during["csr_pem"]
    assert after["renewed_at"] == bench.environment.now()
    assert after["serial_hex"] != old["serial_hex"]


def test_a_failed_attempt_does_not_hide_the_leaf_in_service(bench):
    """After a failure for good the CSR shown is that of the leaf in service; the problem is there in words."""
    certificate_id = bench.active()
    before = _values(bench, certificate_id)
    bench.ca.script = (Act.FAIL_NEVER,)
    bench.core.certificates.renew(certificate_id)
    for _ in range(3):
        bench.core.reconcile(certificate_id)
    after = _values(bench, certificate_id)
    assert (after["csr_pem"], after["csr_made_at"]) == (before["csr_pem"], before["csr_made_at"])
    assert "refuses" in str(after["problem"])
    assert after["status"] == "active"


def test_an_attempt_that_failed_before_there_was_a_leaf(bench):
    """Its CSR is shown: somebody may have to compare it with what the CA says."""
    bench.ca.script = (Act.FAIL_NEVER,)
    certificate_id = bench.requested()
    for _ in range(3):
        bench.core.reconcile(certificate_id)
    values = _values(bench, certificate_id)
    assert values["status"] == "error"
    assert csr_names(values["csr_pem"]) == ("shop.example",)
    assert values["private_key"] == "sealed"


KEY = generate_key(KeyType.EC_P256)


def _csr(*names):
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_imported_certificates(bench):
    """An import has a leaf and no CSR; where its key is not here, or there is no CA, the page says so."""
    certificate_id = bench.active()
    exported = bench.core.certificates.export(certificate_id, reason="test")
    bench.core.certificates.delete(certificate_id)
    leaf = exported.fullchain_pem
    whole = bench.core.certificates.import_certificate(leaf, exported.private_key.reveal(), owner="a").id
    keyless = bench.core.certificates.import_certificate(leaf, owner="b").id
    for imported, key in ((whole, "sealed"), (keyless, "not here")):
        values = _values(bench, imported)
        assert values["private_key"] == key
        assert not [name for name in OF_LEAF if values[name] in (None, "")]
        assert (values["authority"], values["module"], values["renews_at"]) == (None, None, None)
        assert (values["csr_pem"], values["csr_made_at"], values["csr"], values["renewed_at"]) == (None,) * 4


def test_an_own_csr(bench):
    """It is shown as the form's, and as that of the attempt; the key is not here."""
    certificate_id = bench.draft(None, csr=_csr("own.example")).id
    assert _values(bench, certificate_id)["csr"] == _csr_pem(bench, certificate_id)
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.generate_csr(certificate_id)
    bench.core.reconcile(certificate_id)
    values = _values(bench, certificate_id)
    assert values["csr"] == values["csr_pem"] == _csr_pem(bench, certificate_id)
    assert values["private_key"] == "not here"


def _csr_pem(bench, one):
    return bench.get(one).csr_pem


@pytest.mark.parametrize("act", list(Act))
def test_no_field_ever_holds_a_private_key(bench, act):
    """Whatever becomes of a certificate, no value of its page has key material, as text or in JSON."""
    certificate_id = bench.requested(renewal={"rotate_key": False})
    keys = [bench.core.certificates.private_key(certificate_id, reason="test").reveal_text()]
    bench.ca.script = (act,)
    bench.step(certificate_id)
    bench.step(certificate_id)
    shown = str(bench.core.certificates.view(certificate_id).fields)
    bench.ca.script = (Act.ISSUE,)
    if bench.get(certificate_id).status is Status.ERROR:
        bench.core.certificates.check_now(certificate_id)
    for _ in range(60):  # a leaf that has ended is kept for a day before another is ordered
        bench.step(certificate_id)
        if bench.get(certificate_id).status is Status.ACTIVE:
            break
    bench.core.certificates.reissue(certificate_id, key_type="ec-p384")
    bench.step(certificate_id)
    keys.append(bench.core.certificates.private_key(certificate_id, reason="test").reveal_text())
    view = bench.core.certificates.view(certificate_id)
    shown += str(view.fields) + json.dumps([field.value for field in view.fields], default=str)
    assert "PRIVATE KEY" not in shown
    assert "canary" not in shown
    for key in keys:
        assert not any(line in shown for line in key.splitlines() if "-" not in line)


# -- when a field can be changed ------------------------------------------------------------------------------------


@given(st.sampled_from(EditRule), st.sampled_from(Status), st.booleans())
def test_the_rules(rule, status, under_way):
    """In draft all that is asked is saved; a reissue is offered only where there is, or was, a leaf."""
    method = edit_method(rule, status, under_way=under_way)
    with_leaf = status in (Status.ACTIVE, Status.EXPIRED, Status.REVOKED)
    if rule in (EditRule.NEVER, EditRule.CREATE):
        assert method is None
    elif rule is EditRule.ALWAYS or status is Status.DRAFT:
        assert method is EditMethod.EDIT
    elif not with_leaf:
        assert method is None
    elif rule is EditRule.REISSUE or under_way:
        assert method is EditMethod.REISSUE
    else:
        assert method is EditMethod.EDIT


def test_names_and_csr_take_a_reissue_and_the_owner_never_changes():
    """Beside a leaf, names and CSR are changed by a reissue; the owner is set at creation only."""
    of = {rule: {field.name for field in CERTIFICATE_FIELDS if field.edit_rule is rule} for rule in EditRule}
    assert of[EditRule.REISSUE] == {"domain", "wildcard", "aliases", "csr"}
    assert of[EditRule.CREATE] == {"owner"}
    assert of[EditRule.ALWAYS] == {"auto", "days_before", "rotate_key", "fallbacks"}
    assert of[EditRule.NEVER] >= OF_LEAF | {"status", "private_key", "csr_pem"}


def test_days_remaining_are_those_of_the_moment(bench):
    """The page counts down by itself; nothing has to be saved for that."""
    certificate_id = bench.active()
    for days in (90, 89, 50):
        bench.environment.set(bench.get(certificate_id).not_after - timedelta(days=days))
        assert _values(bench, certificate_id)["days_remaining"] == days
