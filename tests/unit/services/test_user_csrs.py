"""Requests whose private key never comes here: issued, renewed with the same request, and exported without a key."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from certcore import Status
from certcore.errors import CertCoreError, InvalidInputError
from certcore.model.hints import hint_to_json
from certcore.model.issuance import Purpose
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.testing.scripted_ca import Act
from certcore.x509.keys import generate_key, spki_sha256
from support.inside import inside

KEY = generate_key(KeyType.EC_P384)
KEY_PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def csr_of(*names, key=KEY, common=None):
    """A request as it comes from a server."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        general = [x509.DNSName(name) for name in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


CSR = csr_of("shop.example", "*.shop.example", "b.example")


def _keys(bench):
    with inside(bench.core).storage.read() as transaction:
        return transaction.secrets.names("certificate-key")


def _issued(bench, certificate_id):
    bench.ca.script = (Act.ISSUE,)
    for _ in range(5):
        bench.core.reconcile(certificate_id)
    assert bench.get(certificate_id).status is Status.ACTIVE


def test_the_request_says_what_the_draft_is_for(bench):
    """Names and key type are the request's; whatever the text was, the same request is kept."""
    pasted = f"Here it is:\r\n{CSR}\r\nThanks!"
    draft = bench.draft(None, csr=pasted, owner="anna", subject={"organization": "Shop"})
    assert draft == bench.get(draft.id)
    assert [name.ascii for name in draft.names] == ["shop.example", "*.shop.example", "b.example"]
    assert (draft.domain.ascii, draft.wildcard) == ("shop.example", True)
    assert draft.key_type is KeyType.EC_P384
    assert draft.csr_pem == CSR
    assert bench.draft(None, csr=x509.load_pem_x509_csr(CSR.encode()).public_bytes(Encoding.DER)).csr_pem == CSR
    assert "BEGIN CERTIFICATE REQUEST" not in repr(draft)
    assert _keys(bench) == []


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("domain", {"domain": "shop.example"}),
        ("aliases", {"aliases": "b.example"}),
        ("wildcard", {"wildcard": True}),
        ("key_type", {"key_type": "ec-p384"}),
        ("csr", {"csr": ""}),
        ("csr", {"csr": "nonsense"}),
        ("csr", {"csr": KEY_PEM}),
        ("csr", {"csr": csr_of("a_b.example")}),
        ("csr", {"csr": csr_of(*(f"d{number}.example" for number in range(101)))}),
        ("authority", {"authority": "nobody"}),
    ],
)
def test_what_does_not_fit_beside_it(bench, field, more):
    """Names and key type cannot be given a second time; the error is about the field that was given."""
    given = {"domain": None, "csr": CSR, "authority": bench.authority.id, **more}
    with pytest.raises(InvalidInputError) as refused:
        bench.core.certificates.create(given.pop("domain"), **given)
    assert refused.value.field == field
    assert KEY_PEM.splitlines()[1] not in str(refused.value)
    with inside(bench.core).storage.read() as transaction:
        assert transaction.certificates.page() == []


def test_a_profile_without_wildcards_refuses_them_in_a_request(bench):
    """What the form may not have, a request may not have either."""
    bench.core.authorities.edit(bench.authority.id, settings={"allow_wildcard": False})
    with pytest.raises(InvalidInputError) as refused:
        bench.draft(None, csr=CSR)
    assert refused.value.field == "wildcard"


def test_the_leaf_is_for_the_users_key(bench):
    """The request goes to the CA as it is; no key is made, and the page says that it is not here."""
    draft = bench.draft(None, csr=CSR)
    pending = bench.core.certificates.generate_csr(draft.id)
    assert pending.status is Status.PENDING
    _issued(bench, draft.id)
    view = bench.core.certificates.view(draft.id)
    assert view.active.csr_pem == CSR
    assert view.active.is_keyless
    assert view.leaf.spki_sha256 == spki_sha256(KEY.public_key())
    assert set(view.leaf.names) == {"shop.example", "*.shop.example", "b.example"}
    assert _keys(bench) == []
    values = {field.field.name: field.value for field in view.fields}
    assert (values["private_key"], values["csr"], values["csr_pem"]) == ("not here", CSR, CSR)


@pytest.mark.parametrize("rotate_key", [True, False])
def test_every_renewal_uses_the_same_request(bench, rotate_key):
    """By itself or by hand, whatever the policy says about keys, and after the end, too."""
    certificate_id = bench.draft(None, csr=CSR, renewal={"rotate_key": rotate_key}).id
    bench.core.certificates.generate_csr(certificate_id)
    _issued(bench, certificate_id)
    bench.environment.set(bench.core.certificates.view(certificate_id).renews_at)
    _issued(bench, certificate_id)
    bench.core.certificates.renew(certificate_id)
    _issued(bench, certificate_id)
    bench.core.certificates.reissue(certificate_id, subject={"organization": "Shop"})
    _issued(bench, certificate_id)
    bench.core.certificates.edit(certificate_id, renewal={"auto": False})
    bench.environment.set(bench.get(certificate_id).not_after)
    bench.core.reconcile(certificate_id)
    assert bench.get(certificate_id).status is Status.EXPIRED
    bench.core.certificates.renew(certificate_id)
    _issued(bench, certificate_id)
    issuances = bench.core.certificates.issuances(certificate_id)
    assert [issuance.csr_pem for issuance in issuances] == [CSR] * 5
    assert [issuance.purpose for issuance in issuances][1] is Purpose.RENEW
    assert len({issuance.leaf.serial_hex for issuance in issuances}) == 5
    assert _keys(bench) == []


def test_a_fallback_takes_the_same_request(bench):
    """When the first CA keeps failing, the next one gets the user's request, and no key is made for it."""
    other = bench.core.authorities.create("other", module="scripted", settings={"region": "us"})
    bench.ca.scripts = {"eu": (Act.CA_REFUSES,), "us": (Act.ISSUE,)}
    certificate_id = bench.draft(None, csr=CSR, fallbacks=[other.id]).id
    bench.core.certificates.generate_csr(certificate_id)
    for _ in range(6):
        bench.core.reconcile(certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert view.active.authority_id == other.id
    assert (view.active.csr_pem, view.active.is_keyless) == (CSR, True)
    assert _keys(bench) == []


@pytest.mark.parametrize("name", ["nginx", "apache", "haproxy", "lighttpd", "postfix", "pkcs12", "pem", "zip", "der"])
def test_what_needs_the_key_is_refused_before_anything_is_recorded(bench, name):
    """In words that say where the key is; the record does not tell of a key that left."""
    certificate_id = bench.draft(None, csr=CSR).id
    bench.core.certificates.generate_csr(certificate_id)
    _issued(bench, certificate_id)
    before = bench.core.certificates.timeline(certificate_id)
    from certcore.model.secret import Secret

    formats = {export_format.name: export_format for export_format in bench.core.certificates.formats()}
    password = Secret("pass word") if formats[name].password == "required" else None
    with pytest.raises(CertCoreError) as refused:
        bench.core.certificates.export(certificate_id, name, password=password, reason="test")
    assert "never in the store" in refused.value.message
    assert "without it" in refused.value.advice
    for call in (bench.core.certificates.export, bench.core.certificates.private_key):
        with pytest.raises(CertCoreError, match="never in the store"):
            call(certificate_id, reason="test")
    assert bench.core.certificates.timeline(certificate_id) == before


@pytest.mark.parametrize("name", ["pem", "zip", "der", "pkcs7"])
def test_what_needs_no_key_is_exported(bench, name):
    """The certificate and its chain can be had in every format that can do without the key, without a reason."""
    certificate_id = bench.draft(None, csr=CSR).id
    bench.core.certificates.generate_csr(certificate_id)
    _issued(bench, certificate_id)
    files = bench.core.certificates.export(certificate_id, name, with_key=False).files
    assert files
    assert not any(file.secret for file in files)


def test_the_request_can_be_dropped_and_given_again_in_draft(bench):
    """Without it a key is made here, for the names that it had; with it the form's key fields are refused."""
    certificate_id = bench.draft(None, csr=CSR).id
    for field, change in (
        ("domain", {"domain": "new.example"}),
        ("aliases", {"aliases": []}),
        ("wildcard", {"wildcard": False}),
        ("key_type", {"key_type": "ec-p256"}),
    ):
        with pytest.raises(InvalidInputError) as refused:
            bench.core.certificates.edit(certificate_id, **change)
        assert refused.value.field == field
        assert "CSR" in refused.value.reason
    bench.core.certificates.edit(certificate_id, subject={"organization": "Shop"}, renewal={"days_before": 9})
    dropped = bench.core.certificates.edit(certificate_id, csr="")
    assert dropped.csr_pem == ""
    assert [name.ascii for name in dropped.names] == ["shop.example", "*.shop.example", "b.example"]
    assert dropped.key_type is KeyType.EC_P384
    changed = bench.core.certificates.edit(certificate_id, aliases="c.example", key_type="rsa-2048")
    assert (changed.key_type, changed.aliases) == (KeyType.RSA_2048, (DnsName("c.example"),))
    back = bench.core.certificates.edit(certificate_id, csr=csr_of("own.example"))
    assert (back.names, back.key_type) == ((DnsName("own.example"),), KeyType.EC_P384)
    assert bench.core.certificates.edit(certificate_id, csr="", domain="new.example").domain.ascii == "new.example"
    told = [
        event.data["changes"].get("csr")
        for event in bench.core.certificates.timeline(certificate_id)
        if event.kind == "edited"
    ]
    assert [bool(one) for one in told] == [False, True, False, True, True]
    bench.core.certificates.generate_csr(certificate_id)
    _issued(bench, certificate_id)
    assert bench.core.certificates.export(certificate_id, reason="test").private_key
    assert bench.core.certificates.view(certificate_id).leaf.spki_sha256 != spki_sha256(KEY.public_key())


def test_back_to_draft_keeps_the_request(bench):
    """An attempt that is given up leaves the user's request in the form; the next one uses it again."""
    certificate_id = bench.draft(None, csr=CSR).id
    bench.core.certificates.generate_csr(certificate_id)
    bench.step(certificate_id)
    draft = bench.core.certificates.back_to_draft(certificate_id)
    assert (draft.status, draft.csr_pem) == (Status.DRAFT, CSR)
    bench.core.certificates.generate_csr(certificate_id)
    _issued(bench, certificate_id)
    assert bench.core.certificates.view(certificate_id).active.csr_pem == CSR
    assert bench.ca.held == set()


def test_a_request_for_a_common_name_alone(bench):
    """The common name is the certificate's name; a CA that puts no other into the leaf is fine."""
    draft = bench.draft(None, csr=csr_of(common="shop.example"))
    assert [name.ascii for name in draft.names] == ["shop.example"]


def test_secrets_are_nowhere(bench):
    """A request that has a private key beside it is refused, and the key is in no event, page or error."""
    certificate_id = bench.draft(None, csr=CSR).id
    shown = []
    for call in (
        lambda: bench.draft(None, csr=CSR + KEY_PEM),
        lambda: bench.core.certificates.edit(certificate_id, csr=KEY_PEM),
        lambda: bench.core.certificates.reissue(certificate_id, csr=KEY_PEM),
    ):
        with pytest.raises(CertCoreError) as refused:
            call()
        shown.append(f"{refused.value} {refused.value.as_dict()}")
    shown.append(repr(bench.core.certificates.view(certificate_id)))
    shown.append(str([hint_to_json(hint) for hint in bench.core.certificates.hints(certificate_id)]))
    assert KEY_PEM.splitlines()[1] not in "".join(shown)


def test_a_revoked_key_is_not_used_again(bench):
    """After a revocation a CSR with another key is needed; the error says so."""
    certificate_id = bench.draft(None, csr=CSR).id
    bench.core.certificates.generate_csr(certificate_id)
    _issued(bench, certificate_id)
    bench.core.certificates.revoke(certificate_id)
    for call in (bench.core.certificates.renew, bench.core.certificates.reissue):
        with pytest.raises(InvalidInputError) as refused:
            call(certificate_id)
        assert refused.value.field == "csr"
        assert "another key" in refused.value.advice
    with pytest.raises(InvalidInputError):
        bench.core.certificates.reissue(certificate_id, csr=csr_of("c.example"))
    assert bench.get(certificate_id).status is Status.REVOKED
    other = generate_key(KeyType.EC_P256)
    bench.core.certificates.reissue(certificate_id, csr=csr_of("shop.example", key=other))
    _issued(bench, certificate_id)
    assert bench.core.certificates.view(certificate_id).leaf.spki_sha256 == spki_sha256(other.public_key())
