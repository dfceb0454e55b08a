"""Requests whose private key never comes here: issued, renewed with the same request, and exported without a key."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from certcore import Status
from certcore.errors import CertCoreError, InvalidInput
from certcore.model.hints import hint_to_json
from certcore.model.issuance import Purpose
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.testing.scripted_ca import Act
from certcore.x509.keys import generate_key, spki_sha256

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
    with bench.core.engine.storage.read() as transaction:
        return transaction.secrets.names("certificate-key")


def _issued(bench, one):
    bench.ca.script = (Act.ISSUE,)
    for _ in range(5):
        bench.core.reconcile(one)
    assert bench.get(one).status is Status.ACTIVE


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
    with pytest.raises(InvalidInput) as refused:
        bench.core.certificates.create(given.pop("domain"), **given)
    assert refused.value.field == field
    assert KEY_PEM.splitlines()[1] not in str(refused.value)
    with bench.core.engine.storage.read() as transaction:
        assert transaction.certificates.page() == []


def test_a_profile_without_wildcards_refuses_them_in_a_request(bench):
    """What the form may not have, a request may not have either."""
    bench.core.authorities.edit(bench.authority.id, settings={"allow_wildcard": False})
    with pytest.raises(InvalidInput) as refused:
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
    values = {one.field.name: one.value for one in view.fields}
    assert (values["private_key"], values["csr"], values["csr_pem"]) == ("not here", CSR, CSR)


@pytest.mark.parametrize("rotate_key", [True, False])
def test_every_renewal_uses_the_same_request(bench, rotate_key):
    """By itself or by hand, whatever the policy says about keys, and after the end, too."""
    one = bench.draft(None, csr=CSR, renewal={"rotate_key": rotate_key}).id
    bench.core.certificates.generate_csr(one)
    _issued(bench, one)
    bench.environment.set(bench.core.certificates.view(one).renews_at)
    _issued(bench, one)
    bench.core.certificates.renew(one)
    _issued(bench, one)
    bench.core.certificates.reissue(one, subject={"organization": "Shop"})
    _issued(bench, one)
    bench.core.certificates.edit(one, renewal={"auto": False})
    bench.environment.set(bench.get(one).not_after)
    bench.core.reconcile(one)
    assert bench.get(one).status is Status.EXPIRED
    bench.core.certificates.renew(one)
    _issued(bench, one)
    issuances = bench.core.certificates.issuances(one)
    assert [issuance.csr_pem for issuance in issuances] == [CSR] * 5
    assert [issuance.purpose for issuance in issuances][1] is Purpose.RENEW
    assert len({issuance.leaf.serial_hex for issuance in issuances}) == 5
    assert _keys(bench) == []


def test_a_fallback_takes_the_same_request(bench):
    """When the first CA keeps failing, the next one gets the user's request, and no key is made for it."""
    other = bench.core.authorities.create("other", module="scripted", settings={"region": "us"})
    bench.ca.scripts = {"eu": (Act.CA_REFUSES,), "us": (Act.ISSUE,)}
    one = bench.draft(None, csr=CSR, fallbacks=[other.id]).id
    bench.core.certificates.generate_csr(one)
    for _ in range(6):
        bench.core.reconcile(one)
    view = bench.core.certificates.view(one)
    assert view.active.authority_id == other.id
    assert (view.active.csr_pem, view.active.is_keyless) == (CSR, True)
    assert _keys(bench) == []


@pytest.mark.parametrize("name", ["nginx", "apache", "haproxy", "lighttpd", "postfix", "pkcs12", "pem", "zip", "der"])
def test_what_needs_the_key_is_refused_before_anything_is_recorded(bench, name):
    """In words that say where the key is; the record does not tell of a key that left."""
    one = bench.draft(None, csr=CSR).id
    bench.core.certificates.generate_csr(one)
    _issued(bench, one)
    before = bench.core.certificates.timeline(one)
    from certcore.model.secret import Secret

    formats = {found.name: found for found in bench.core.certificates.formats()}
    password = Secret("pass word") if formats[name].password == "required" else None
    with pytest.raises(CertCoreError) as refused:
        bench.core.certificates.export_as(one, name, password=password, reason="test")
    assert "never here" in refused.value.message
    assert "without it" in refused.value.advice
    for call in (bench.core.certificates.export, bench.core.certificates.reveal_private_key):
        with pytest.raises(CertCoreError, match="never here"):
            call(one, reason="test")
    assert bench.core.certificates.timeline(one) == before


@pytest.mark.parametrize("name", ["pem", "zip", "der", "pkcs7"])
def test_what_needs_no_key_is_exported(bench, name):
    """The certificate and its chain can be had in every format that can do without the key, without a reason."""
    one = bench.draft(None, csr=CSR).id
    bench.core.certificates.generate_csr(one)
    _issued(bench, one)
    files = bench.core.certificates.export_as(one, name, with_key=False)
    assert files
    assert not any(file.secret for file in files)


def test_the_request_can_be_dropped_and_given_again_in_draft(bench):
    """Without it a key is made here, for the names that it had; with it the form's key fields are refused."""
    one = bench.draft(None, csr=CSR).id
    for field, change in (
        ("domain", {"domain": "new.example"}),
        ("aliases", {"aliases": []}),
        ("wildcard", {"wildcard": False}),
        ("key_type", {"key_type": "ec-p256"}),
    ):
        with pytest.raises(InvalidInput) as refused:
            bench.core.certificates.edit(one, **change)
        assert refused.value.field == field
        assert "CSR" in refused.value.reason
    bench.core.certificates.edit(one, subject={"organization": "Shop"}, renewal={"days_before": 9})
    dropped = bench.core.certificates.edit(one, csr="")
    assert dropped.csr_pem == ""
    assert [name.ascii for name in dropped.names] == ["shop.example", "*.shop.example", "b.example"]
    assert dropped.key_type is KeyType.EC_P384
    changed = bench.core.certificates.edit(one, aliases="c.example", key_type="rsa-2048")
    assert (changed.key_type, changed.aliases) == (KeyType.RSA_2048, (DnsName("c.example"),))
    back = bench.core.certificates.edit(one, csr=csr_of("own.example"))
    assert (back.names, back.key_type) == ((DnsName("own.example"),), KeyType.EC_P384)
    assert bench.core.certificates.edit(one, csr="", domain="new.example").domain.ascii == "new.example"
    told = [
        event.data["changes"].get("csr") for event in bench.core.certificates.timeline(one) if event.kind == "edited"
    ]
    assert [bool(one) for one in told] == [False, True, False, True, True]
    bench.core.certificates.generate_csr(one)
    _issued(bench, one)
    assert bench.core.certificates.export(one, reason="test").private_key
    assert bench.core.certificates.view(one).leaf.spki_sha256 != spki_sha256(KEY.public_key())


def test_back_to_draft_keeps_the_request(bench):
    """An attempt that is given up leaves the user's request in the form; the next one uses it again."""
    one = bench.draft(None, csr=CSR).id
    bench.core.certificates.generate_csr(one)
    bench.step(one)
    draft = bench.core.certificates.back_to_draft(one)
    assert (draft.status, draft.csr_pem) == (Status.DRAFT, CSR)
    bench.core.certificates.generate_csr(one)
    _issued(bench, one)
    assert bench.core.certificates.view(one).active.csr_pem == CSR
    assert bench.ca.held == set()


def test_a_request_for_a_common_name_alone(bench):
    """The common name is the certificate's name; a CA that puts no other into the leaf is fine."""
    draft = bench.draft(None, csr=csr_of(common="shop.example"))
    assert [name.ascii for name in draft.names] == ["shop.example"]


def test_secrets_are_nowhere(bench):
    """A request that has a private key beside it is refused, and the key is in no event, page or error."""
    one = bench.draft(None, csr=CSR).id
    shown = []
    for call in (
        lambda: bench.draft(None, csr=CSR + KEY_PEM),
        lambda: bench.core.certificates.edit(one, csr=KEY_PEM),
        lambda: bench.core.certificates.reissue(one, csr=KEY_PEM),
    ):
        with pytest.raises(CertCoreError) as refused:
            call()
        shown.append(f"{refused.value} {refused.value.as_dict()}")
    shown.append(repr(bench.core.certificates.view(one)))
    shown.append(str([hint_to_json(hint) for hint in bench.core.certificates.hints(one)]))
    assert KEY_PEM.splitlines()[1] not in "".join(shown)


def test_a_revoked_key_is_not_used_again(bench):
    """After a revocation it takes a request for another key, as keys of ours are new then; what to do is said."""
    one = bench.draft(None, csr=CSR).id
    bench.core.certificates.generate_csr(one)
    _issued(bench, one)
    bench.core.certificates.revoke(one)
    for call in (bench.core.certificates.renew, bench.core.certificates.reissue):
        with pytest.raises(InvalidInput) as refused:
            call(one)
        assert refused.value.field == "csr"
        assert "another key" in refused.value.advice
    with pytest.raises(InvalidInput):
        bench.core.certificates.reissue(one, csr=csr_of("c.example"))
    assert bench.get(one).status is Status.REVOKED
    other = generate_key(KeyType.EC_P256)
    bench.core.certificates.reissue(one, csr=csr_of("shop.example", key=other))
    _issued(bench, one)
    assert bench.core.certificates.view(one).leaf.spki_sha256 == spki_sha256(other.public_key())
