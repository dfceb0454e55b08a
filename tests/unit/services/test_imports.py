"""Certificates that were issued elsewhere: taken in as they are, watched, exported, and renewed by whom one says."""

import io
import ipaddress
import zipfile
from datetime import timedelta

import pytest
from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12

from certcore import CertCore, NoticePolicy, RenewalPolicy, Status
from certcore.errors import CertCoreError, InvalidInputError, KeyMismatchError, NotFoundError
from certcore.model.events import EventKind
from certcore.model.issuance import Outcome, Purpose
from certcore.model.keys import KeyType
from certcore.model.names import DnsName, IpAddress, parse_identifier
from certcore.model.renewal_info import SuggestedWindow
from certcore.model.secret import Secret
from certcore.model.subject import Subject
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.local_ca import LittleAuthority
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key, private_key_pem, spki_sha256
from support.cores import core_on
from support.databases import sqlite_with_tables
from support.inside import inside
from support.keys import rsa_key

NOW = FrozenEnvironment().now()
DAY = timedelta(days=1)
CA = LittleAuthority(NOW, name="Other CA")
KEY = generate_key(KeyType.EC_P256)
KEY_PEM = private_key_pem(KEY).decode()
OTHER_PEM = private_key_pem(generate_key(KeyType.EC_P256)).decode()


def leaf_of(*names, key=KEY, at=NOW, days=90.0):
    """A leaf of another CA with its chain, PEM."""
    request = build_csr(KEY, [parse_identifier(name) for name in names or ("shop.example",)], Subject()).decode()
    return CA.issue(request, now=at, lifetime=days * DAY, public_key=key.public_key())


LEAF = leaf_of()
LEAF_NAMES = ("shop.example",)


def _stored(core):
    with inside(core).storage.read() as transaction:
        return (
            transaction.certificates.page(),
            transaction.events.after(0),
            transaction.secrets.names("certificate-key"),
        )


def _kinds(bench, certificate_id):
    return [event.kind for event in bench.core.certificates.timeline(certificate_id)]


def _rest(bench, certificate_id):
    """Look until there is nothing more to do now."""
    for _ in range(10):
        if not bench.core.reconcile(certificate_id).stepped:
            return
    raise AssertionError("it does not come to rest")


# -- with and without --------------------------------------------------------------------------------------------------


def test_an_import_with_its_key(bench):
    """It is active at once, with leaf, chain and key exactly as they were given."""
    certificate = bench.core.certificates.import_certificate(LEAF, KEY_PEM, owner="anna", actor="bert")
    assert certificate == bench.get(certificate.id)
    assert (certificate.status, certificate.owner, certificate.authority_id, certificate.domain.ascii) == (
        Status.ACTIVE,
        "anna",
        None,
        "shop.example",
    )
    view = bench.core.certificates.view(certificate.id)
    assert view.active.purpose is Purpose.IMPORT
    assert view.active.outcome is Outcome.ISSUED
    assert view.active.fullchain_pem == LEAF
    assert view.certificate.not_after == view.leaf.not_after == NOW + 90 * DAY
    assert view.days_remaining == 90
    exported = bench.core.certificates.export(certificate.id, reason="test")
    assert (exported.fullchain_pem, exported.private_key.reveal_text()) == (LEAF, KEY_PEM)
    assert bench.core.certificates.private_key(certificate.id, reason="test").reveal_text() == KEY_PEM
    (event,) = [event for event in view.events if event.kind is EventKind.IMPORTED]
    assert event.actor == "bert"
    assert event.to_status is Status.ACTIVE
    assert event.data == {
        "serial": view.leaf.serial_hex,
        "not_after": view.leaf.not_after.isoformat(),
        "issuer": view.leaf.issuer,
        "names": ["shop.example"],
        "has_key": True,
        "warnings": [],
    }
    _rest(bench, certificate.id)
    assert bench.core.certificates.view(certificate.id).schedule.due_at == certificate.not_after
    assert bench.ca.calls == 0


def test_an_import_without_its_key(bench):
    """It is watched and shown, and cannot be exported with a key; what that means is said in words."""
    certificate = bench.core.certificates.import_certificate(LEAF)
    view = bench.core.certificates.view(certificate.id)
    assert view.active.is_keyless
    (event,) = view.events
    assert event.data["has_key"] is False
    assert any("no private key" in text for text in event.data["warnings"])
    before = _stored(bench.core)
    for call in (
        lambda: bench.core.certificates.export(certificate.id, reason="test"),
        lambda: bench.core.certificates.private_key(certificate.id, reason="test"),
        lambda: bench.core.certificates.export(certificate.id, "nginx", reason="test").files,
    ):
        with pytest.raises(CertCoreError) as refused:
            call()
        assert "never in the store" in refused.value.message
        assert refused.value.advice
    assert _stored(bench.core) == before
    (bundle,) = bench.core.certificates.export(certificate.id, "pkcs7").files
    assert not bundle.secret


def test_keyless_and_renewed(bench):
    """The first renewal of a certificate imported without its key has a new key, which can be exported."""
    certificate_id = bench.core.certificates.import_certificate(LEAF, authority=bench.authority.id).id
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(certificate_id)
    _rest(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert not view.active.is_keyless
    assert view.leaf.spki_sha256 != spki_sha256(KEY.public_key())
    assert bench.core.certificates.export(certificate_id, reason="test").private_key


def test_a_kept_key_is_the_imported_one(bench):
    """A policy that keeps the key keeps the one that was imported."""
    policy = RenewalPolicy(rotate_key=False)
    certificate_id = bench.core.certificates.import_certificate(
        LEAF, KEY_PEM, authority=bench.authority.id, renewal=policy
    ).id
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(certificate_id)
    _rest(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert view.active.number == 2
    assert view.leaf.spki_sha256 == spki_sha256(KEY.public_key())
    assert bench.core.certificates.private_key(certificate_id, reason="test").reveal_text() == KEY_PEM


def test_checking_stores_nothing(bench):
    """What an import would make of it, or refuse, is told before; nothing is stored, no key is kept."""
    before = _stored(bench.core)
    bundle = bench.core.certificates.check_import(LEAF, KEY_PEM)
    assert [str(name) for name in bundle.names] == ["shop.example"]
    assert bundle.leaf.not_after == NOW + 90 * DAY
    for wrong in (("", None), (LEAF, OTHER_PEM), ("nonsense", KEY_PEM)):
        with pytest.raises(CertCoreError):
            bench.core.certificates.check_import(*wrong)
    assert _stored(bench.core) == before


@pytest.mark.parametrize(
    ("given", "error", "field"),
    [
        ((LEAF, OTHER_PEM), KeyMismatchError, None),
        ((LEAF, "nonsense"), InvalidInputError, "private_key"),
        (("", KEY_PEM), InvalidInputError, "leaf"),
        ((None,), InvalidInputError, "leaf"),
        ((LEAF, KEY_PEM, leaf_of("b.example")), InvalidInputError, "ca_bundle"),
        ((leaf_of("10.0.0.1"), KEY_PEM), InvalidInputError, "leaf"),
        ((leaf_of(*(f"d{number}.example" for number in range(1001))), KEY_PEM), InvalidInputError, "leaf"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_the_check_and_the_import_alike(bench, given, error, field):
    """With the same words, for a field of the import, and with nothing stored."""
    before = _stored(bench.core)
    refusals = []
    for call in (bench.core.certificates.check_import, bench.core.certificates.import_certificate):
        with pytest.raises(error) as refused:
            call(*given)
        refusals.append(str(refused.value))
        assert field is None or refused.value.field == field
        assert "PRIVATE" not in str(refused.value)
        assert KEY_PEM.splitlines()[1] not in str(refused.value)
    assert refusals[0] == refusals[1]
    assert _stored(bench.core) == before


def test_a_wrong_owner_profile_or_policy_stores_nothing(bench):
    """Whatever else is given with it is checked, too, before anything is stored."""
    before = _stored(bench.core)
    for field, more in (
        ("owner", {"owner": "x" * 101}),
        ("authority", {"authority": "nobody"}),
        ("auto", {"renewal": {"auto": "perhaps"}}),
        ("password", {"password": 7}),
    ):
        with pytest.raises(InvalidInputError) as refused:
            bench.core.certificates.import_certificate(LEAF, KEY_PEM, **more)
        assert refused.value.field == field
    strict = bench.core.authorities.create("strict", module="scripted", settings={"allow_wildcard": False})
    with pytest.raises(InvalidInputError) as refused:
        bench.core.certificates.import_certificate(leaf_of("*.shop.example"), KEY_PEM, authority=strict.id)
    assert refused.value.field == "wildcard"
    assert _stored(bench.core) == before


# -- who renews it -----------------------------------------------------------------------------------------------------


def test_without_a_ca_nobody_renews_it(bench):
    """It runs to its end and is expired then; renewing it says what is missing."""
    certificate_id = bench.core.certificates.import_certificate(LEAF, KEY_PEM).id
    view = bench.core.certificates.view(certificate_id)
    assert view.renews_at is None
    assert not view.certificate.renews_itself
    assert {"renew", "generate_csr"}.isdisjoint(view.actions)
    for call in (bench.core.certificates.renew, bench.core.certificates.reissue):
        with pytest.raises(InvalidInputError) as refused:
            call(certificate_id)
        assert refused.value.field == "authority"
        assert refused.value.advice
    _rest(bench, certificate_id)
    bench.step(certificate_id)
    _rest(bench, certificate_id)
    assert bench.get(certificate_id).status is Status.EXPIRED
    assert _kinds(bench, certificate_id) == ["imported", "expired"]
    assert bench.core.certificates.view(certificate_id).schedule.due_at is None


@pytest.mark.parametrize("bound", ["at the import", "later by an edit"])
def test_with_a_ca_it_is_renewed_by_its_policy(bench, bound):
    """When it is due, with the names of the leaf; the imported leaf stays in service until the new one is there."""
    leaf = leaf_of("shop.example", "*.shop.example", "b.example")
    at_once = {"authority": bench.authority.id} if bound == "at the import" else {}
    certificate_id = bench.core.certificates.import_certificate(
        leaf, KEY_PEM, renewal={"days_before": 20}, **at_once
    ).id
    _rest(bench, certificate_id)
    if not at_once:
        assert bench.core.certificates.view(certificate_id).renews_at is None
        bench.core.certificates.edit(certificate_id, authority=bench.authority.id)
    _rest(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert view.schedule.due_at == view.renews_at
    assert 19 * DAY <= view.certificate.not_after - view.renews_at <= 20 * DAY
    bench.environment.set(view.renews_at)
    for _ in range(3):
        bench.step(certificate_id)
        during = bench.core.certificates.view(certificate_id)
        assert during.active == view.active
        assert during.certificate.status is Status.ACTIVE
        assert bench.core.certificates.export(certificate_id, reason="test").private_key.reveal_text() == KEY_PEM
    assert {name.ascii for name in during.issuance.names} == {"shop.example", "*.shop.example", "b.example"}
    bench.step(certificate_id)
    _rest(bench, certificate_id)
    after = bench.core.certificates.view(certificate_id)
    assert after.active.number == 2
    assert after.active.purpose is Purpose.RENEW
    assert set(after.leaf.names) == {"shop.example", "*.shop.example", "b.example"}
    assert after.leaf.spki_sha256 != view.leaf.spki_sha256
    assert bench.ca.held == set()


@pytest.mark.parametrize("imported", [True, False])
def test_without_a_ca_profile_it_is_not_renewed_any_more(bench, imported):
    """Empty text takes the profile away; the leaf stays in service to its end, and a profile can be given again."""
    certificate_id = bench.active()
    if imported:
        certificate_id = bench.core.certificates.import_certificate(LEAF, KEY_PEM, authority=bench.authority.id).id
        _rest(bench, certificate_id)
    assert bench.core.certificates.view(certificate_id).renews_at is not None
    bench.core.certificates.edit(certificate_id, authority="")
    _rest(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert (view.certificate.authority_id, view.renews_at) == (None, None)
    for field, change in {"fallbacks": ["nobody"], "module_data": {"order_reference": "7"}}.items():
        with pytest.raises(InvalidInputError) as refused:
            bench.core.certificates.edit(certificate_id, authority="", **{field: change})
        assert refused.value.field == field
    bench.environment.advance(91 * DAY)
    _rest(bench, certificate_id)
    ended = bench.core.certificates.view(certificate_id)
    assert (ended.certificate.status, ended.active.id) == (Status.EXPIRED, view.active.id)
    with pytest.raises(InvalidInputError) as refused:
        bench.core.certificates.reissue(certificate_id)
    assert refused.value.field == "authority"
    bench.core.certificates.edit(certificate_id, authority=bench.authority.id)
    bench.ca.script = (Act.ISSUE,)
    _rest(bench, certificate_id)
    assert bench.core.certificates.get(certificate_id).status is Status.ACTIVE


def test_an_overdue_import_is_renewed_at_once(bench):
    """One that ends in some days is due when it comes in, or when it gets its CA profile."""
    bench.ca.script = (Act.ISSUE,)
    for more in ({"authority": bench.authority.id}, {}):
        leaf = leaf_of(at=NOW - 85 * DAY)
        certificate_id = bench.core.certificates.import_certificate(
            leaf, KEY_PEM, owner=f"tenant {len(more)}", **more
        ).id
        if not more:
            bench.core.certificates.edit(certificate_id, authority=bench.authority.id)
        _rest(bench, certificate_id)
        view = bench.core.certificates.view(certificate_id)
        assert view.active.number == 2
        assert view.days_remaining > 80


def test_the_ca_of_an_import_is_asked_when_it_wants_a_renewal(wishing_bench):
    """From when it has a CA profile on: a mass revocation reaches certificates that moved in, too (RFC 9773)."""
    bench = wishing_bench
    certificate_id = bench.core.certificates.import_certificate(LEAF, KEY_PEM).id
    now = bench.environment.now()
    bench.ca.windows[LEAF_NAMES] = SuggestedWindow(start=now + 5 * DAY, end=now + 6 * DAY)
    bench.core.certificates.edit(certificate_id, authority=bench.authority.id)
    _rest(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert now + 5 * DAY <= view.renews_at <= now + 6 * DAY
    bench.environment.set(view.renews_at)
    _rest(bench, certificate_id)
    assert bench.core.certificates.view(certificate_id).active.number == 2


def test_without_a_ca_profile_nobody_is_asked_any_more(wishing_bench):
    """An import that has lost its CA profile rests until its end: nobody knows which CA it is from."""
    bench = wishing_bench
    certificate_id = bench.core.certificates.import_certificate(LEAF, KEY_PEM, authority=bench.authority.id).id
    _rest(bench, certificate_id)
    assert bench.ca.asked > 0
    asked_again = bench.core.certificates.view(certificate_id).schedule.due_at
    bench.core.certificates.edit(certificate_id, authority="")
    _rest(bench, certificate_id)
    assert bench.core.certificates.view(certificate_id).schedule.due_at > asked_again


def test_a_reissue_names_the_ca(bench):
    """An imported certificate is reissued with a CA profile that is named in the call, and has it from then on."""
    certificate_id = bench.core.certificates.import_certificate(LEAF, KEY_PEM).id
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.reissue(
        certificate_id, authority=bench.authority.id, aliases="www.shop.example", keep_key=True
    )
    _rest(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert view.certificate.authority_id == bench.authority.id
    assert view.leaf.names == ("shop.example", "www.shop.example")
    assert view.leaf.spki_sha256 == spki_sha256(KEY.public_key())


def test_giving_a_reissue_of_an_import_up(bench):
    """The names are those of the imported leaf again, the primary one first."""
    leaf = leaf_of("*.shop.example", "b.example", "shop.example")
    certificate = bench.core.certificates.import_certificate(leaf, KEY_PEM, authority=bench.authority.id)
    bench.core.certificates.reissue(certificate.id, domain="new.example", aliases="", wildcard=False)
    back = bench.core.certificates.cancel_attempt(certificate.id)
    assert back.names == certificate.names
    assert (back.domain, back.aliases, back.wildcard) == (certificate.domain, certificate.aliases, certificate.wildcard)


# -- expired, and other moments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("quiet", [True, False])
def test_an_expired_leaf_is_expired_at_once(quiet):
    """There is one event, of the import; nothing else is told of it, and nothing is asked of a CA that it has not."""
    environment = FrozenEnvironment()
    policy = NoticePolicy(days_before=() if quiet else (30, 7, 1))
    with CertCore.in_memory(installed_plugins=False, environment=environment, notices=policy) as core:
        certificate = core.certificates.import_certificate(leaf_of(at=NOW - 100 * DAY), KEY_PEM)
        assert certificate.status is Status.EXPIRED
        for _ in range(5):
            core.reconcile(certificate.id)
            environment.advance(DAY)
        view = core.certificates.view(certificate.id)
        assert view.days_remaining == -15
        assert view.schedule.due_at is None
        assert [event.kind for event in view.events] == ["imported"]
        assert any("expired" in text for text in view.events[0].data["warnings"])
        assert core.certificates.export(certificate.id, reason="test").private_key.reveal_text() == KEY_PEM


def test_an_expired_leaf_with_a_ca_is_renewed(bench):
    """Taken in to be renewed, it is: at once, and active then."""
    bench.ca.script = (Act.ISSUE,)
    certificate = bench.core.certificates.import_certificate(
        leaf_of(at=NOW - 100 * DAY), KEY_PEM, authority=bench.authority.id
    )
    assert certificate.status is Status.EXPIRED
    _rest(bench, certificate.id)
    assert bench.get(certificate.id).status is Status.ACTIVE
    assert _kinds(bench, certificate.id) == ["imported", "renewal_started", "installed"]


@pytest.mark.parametrize(
    ("days", "remaining", "status"),
    [
        (0.5, 0, Status.ACTIVE),
        (1, 1, Status.ACTIVE),
        (1.5, 1, Status.ACTIVE),
        (398, 398, Status.ACTIVE),
        (0, 0, Status.EXPIRED),
        (-0.5, -1, Status.EXPIRED),
        (-400, -400, Status.EXPIRED),
    ],
)
def test_days_remaining(bench, days, remaining, status):
    """Whole days, rounded down; at its very end a certificate is expired."""
    leaf = leaf_of(at=NOW - 500 * DAY, days=500 + days)
    certificate = bench.core.certificates.import_certificate(leaf, KEY_PEM)
    assert certificate.status is status
    assert bench.core.certificates.view(certificate.id).days_remaining == remaining


def test_a_leaf_that_is_not_valid_yet(bench):
    """It is taken with a warning, and its renewal is worked out like any other."""
    certificate_id = bench.core.certificates.import_certificate(
        leaf_of(at=NOW + 3 * DAY), KEY_PEM, authority=bench.authority.id
    ).id
    view = bench.core.certificates.view(certificate_id)
    assert any("not valid before" in text for text in view.events[0].data["warnings"])
    _rest(bench, certificate_id)
    assert bench.core.certificates.view(certificate_id).schedule.due_at == view.renews_at


# -- names and keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "domain", "aliases", "wildcard"),
    [
        (["shop.example"], "shop.example", [], False),
        (["*.shop.example", "shop.example"], "shop.example", [], True),
        (["www.shop.example", "shop.example"], "www.shop.example", ["shop.example"], False),
        (["*.b.example", "*.a.example"], "*.b.example", ["*.a.example"], False),
        (["*.a.example", "b.example", "*.b.example"], "b.example", ["*.a.example"], True),
        (["*.a.example", "b.example", "a.example"], "b.example", ["*.a.example", "a.example"], False),
        (["SHOP.example", "shop.EXAMPLE"], "shop.example", [], False),
        (["xn--gre-6ka8i.example"], "xn--gre-6ka8i.example", [], False),
        ([f"d{number}.example" for number in range(100)], "d0.example", None, False),
    ],
)
def test_names(bench, names, domain, aliases, wildcard):
    """All names of the leaf are in the form, each once, and a renewal asks for exactly these."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    request = request.add_extension(alternative, critical=False).sign(KEY, hashes.SHA256())
    leaf = CA.issue(request.public_bytes(Encoding.PEM).decode(), now=NOW)
    certificate = bench.core.certificates.import_certificate(leaf, KEY_PEM, authority=bench.authority.id)
    assert (certificate.domain.ascii, certificate.wildcard) == (domain, wildcard)
    assert aliases is None or [name.ascii for name in certificate.aliases] == aliases
    assert {name.ascii for name in certificate.names} == {name.lower() for name in names}
    assert bench.core.certificates.view(certificate.id).active.names == certificate.names
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(certificate.id)
    _rest(bench, certificate.id)
    view = bench.core.certificates.view(certificate.id)
    assert view.active.number == 2
    assert set(view.leaf.names) == {name.lower() for name in names}


def test_addresses_beside_names_are_told_of(bench):
    """A renewal will be without them, which the check, and the record, say."""
    leaf = leaf_of("shop.example", "10.0.0.1", "2001:db8::1")
    checked = bench.core.certificates.check_import(leaf, KEY_PEM)
    assert IpAddress("10.0.0.1") in checked.names
    certificate = bench.core.certificates.import_certificate(leaf, KEY_PEM)
    assert [name.ascii for name in certificate.names] == ["shop.example"]
    (event,) = bench.core.certificates.timeline(certificate.id)
    assert event.data["warnings"] == [warning.text for warning in checked.warnings]
    assert any("10.0.0.1, 2001:db8::1" in text for text in event.data["warnings"])
    assert event.data["names"] == ["shop.example", "10.0.0.1", "2001:db8::1"]
    assert ipaddress.ip_address("10.0.0.1")


RSA_2304 = rsa_key(2304)
RSA_3200 = rsa_key(3200)


@pytest.mark.parametrize(
    ("key", "shown", "size", "renewed"),
    [
        (KEY, "EC P-256", 256, KeyType.EC_P256),
        (generate_key(KeyType.EC_P384), "EC P-384", 384, KeyType.EC_P384),
        (ec.generate_private_key(ec.SECP521R1()), "EC P-521", 521, KeyType.EC_P384),
        (rsa_key(), "RSA", 2048, KeyType.RSA_2048),
        (RSA_2304, "RSA", 2304, KeyType.RSA_2048),
        (RSA_3200, "RSA", 3200, KeyType.RSA_3072),
    ],
)
def test_kinds_of_key(bench, key, shown, size, renewed):
    """Any key that servers use is taken and given back; where we make none of its kind, the page says what comes."""
    pem = private_key_pem(key).decode()
    certificate = bench.core.certificates.import_certificate(leaf_of(key=key), pem, authority=bench.authority.id)
    view = bench.core.certificates.view(certificate.id)
    assert (view.leaf.public_key_algorithm, view.leaf.key_size) == (shown, size)
    assert certificate.key_type is renewed
    assert bench.core.certificates.private_key(certificate.id, reason="test").reveal_text() == pem
    unusual = [text for text in view.events[0].data["warnings"] if "unusual" in text]
    assert bool(unusual) is (size not in (256, 384, 2048))
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.reissue(certificate.id, keep_key=True)
    _rest(bench, certificate.id)
    assert bench.core.certificates.view(certificate.id).leaf.spki_sha256 == view.leaf.spki_sha256


@pytest.mark.parametrize(
    ("key", "shown", "size"),
    [
        (ec.generate_private_key(ec.SECP521R1()), "EC P-384", 384),
        (RSA_2304, "RSA", 2048),
        (rsa_key(2048, exponent=3), "RSA", 2048),
    ],
    ids=["P-521", "2304", "exponent"],
)
def test_a_policy_keeps_no_key_that_cas_refuse(bench, key, shown, size):
    """Where the key is kept at renewals, one that we would not make gives way to one of the kind that was told of."""
    policy = RenewalPolicy(rotate_key=False)
    leaf, pem = leaf_of(key=key), private_key_pem(key).decode()
    certificate_id = bench.core.certificates.import_certificate(
        leaf, pem, authority=bench.authority.id, renewal=policy
    ).id
    bench.ca.script = (Act.ISSUE,)
    bench.environment.set(bench.core.certificates.view(certificate_id).renews_at)
    _rest(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert (view.leaf.public_key_algorithm, view.leaf.key_size) == (shown, size)
    usual = view.leaf.spki_sha256
    bench.core.certificates.renew(certificate_id)
    _rest(bench, certificate_id)
    assert bench.core.certificates.view(certificate_id).leaf.spki_sha256 == usual


def test_keys_that_no_browser_takes(bench):
    """They are refused with the reason, and nothing is stored."""
    for key, words in (
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
        (rsa_key(1024), "1024"),
    ):
        pem = key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        with pytest.raises(InvalidInputError, match=words):
            bench.core.certificates.import_certificate(leaf_of(key=key), pem)
    assert _stored(bench.core)[0] == []


# -- duplicates ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "sqlite"])
def core(request, tmp_path):
    """A core in each kind of store."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with core_on(request.param, tmp_path, plugins=[ca.plugin()], environment=environment) as one:
        yield one


def test_what_is_here_already(core):
    """A tenant has a leaf once, whoever else has it; the refusal names the one that is there."""
    first = core.certificates.import_certificate(LEAF, KEY_PEM, owner="anna")
    second = core.certificates.import_certificate(LEAF, KEY_PEM, owner="bert")
    assert first.id != second.id
    before = _stored(core)
    for one in (first, second):
        for call in (core.certificates.check_import, core.certificates.import_certificate):
            with pytest.raises(InvalidInputError) as refused:
                call(LEAF, owner=one.owner)
            assert refused.value.field == "leaf"
            assert one.id in refused.value.reason
    assert _stored(core) == before
    again = core.certificates.import_certificate(leaf_of(), KEY_PEM, owner="anna")
    assert [certificate.id for certificate in core.certificates.overlaps(again.id)] == [first.id]
    core.certificates.delete(first.id)
    core.certificates.import_certificate(LEAF, owner="anna")


def test_a_leaf_of_ours_is_no_import(core):
    """What certcore issued itself is here already, also after it was renewed."""
    authority = core.authorities.create("test", module="scripted")
    certificate_id = core.certificates.create("shop.example", authority=authority.id).id
    core.certificates.generate_csr(certificate_id)
    core.reconcile(certificate_id)
    leaf = core.certificates.view(certificate_id).active.fullchain_pem
    core.certificates.renew(certificate_id)
    core.reconcile(certificate_id)
    with pytest.raises(InvalidInputError, match=certificate_id):
        core.certificates.import_certificate(leaf)


def test_deleting_an_import_deletes_its_key(core):
    """Nothing of it stays but the record; another with the same key is another."""
    certificate = core.certificates.import_certificate(LEAF, KEY_PEM)
    other = core.certificates.import_certificate(LEAF, KEY_PEM, owner="bert")
    core.certificates.delete(certificate.id, actor="carl")
    with inside(core).storage.read() as transaction:
        assert len(transaction.secrets.names("certificate-key")) == 1
    with pytest.raises(NotFoundError):
        core.certificates.get(certificate.id)
    assert [event.kind for event in core.certificates.timeline(certificate.id)] == ["imported", "deleted"]
    assert core.certificates.verify_timeline(certificate.id).fault == ""
    assert core.certificates.export(other.id, reason="test").private_key.reveal_text() == KEY_PEM


def test_an_import_is_the_same_after_a_restart(tmp_path):
    """What is read back from the disk is what was imported: view, key, warnings."""
    environment = FrozenEnvironment()
    CertCore.create_keyring(tmp_path / "keyring.json")

    def opened():
        url = sqlite_with_tables(tmp_path)
        return CertCore.open(url, keyring=tmp_path / "keyring.json", installed_plugins=False, environment=environment)

    with opened() as first:
        certificate_id = first.certificates.import_certificate(
            leaf_of("*.a.example", "a.example", "10.0.0.1"), KEY_PEM
        ).id
        keyless = first.certificates.import_certificate(LEAF).id
        seen = [first.certificates.view(each) for each in (certificate_id, keyless)]
    with opened() as second:
        assert [second.certificates.view(each) for each in (certificate_id, keyless)] == seen
        assert second.certificates.private_key(certificate_id, reason="test").reveal_text() == KEY_PEM


# -- what can be done with it ------------------------------------------------------------------------------------------


def test_revoking_an_import(bench):
    """It takes a named CA profile, which is asked with the key; without one the advice says what to name."""
    certificate_id = bench.core.certificates.import_certificate(LEAF, KEY_PEM).id
    with pytest.raises(InvalidInputError) as refused:
        bench.core.certificates.revoke(certificate_id)
    assert refused.value.field == "authority"
    assert bench.get(certificate_id).status is Status.ACTIVE
    revoked = bench.core.certificates.revoke(certificate_id, authority=bench.authority.id, reason="key_compromise")
    assert revoked.status is Status.REVOKED
    assert list(bench.ca.revoked) == [bench.core.certificates.view(certificate_id).active.leaf_pem]
    assert _kinds(bench, certificate_id)[-1] == "revoked"
    assert bench.core.certificates.view(certificate_id).renews_at is None


def test_a_certificate_of_a_bound_profile_is_revoked_through_it(bench):
    """Once a CA profile is bound, that is the one that is asked."""
    certificate_id = bench.core.certificates.import_certificate(LEAF, KEY_PEM, authority=bench.authority.id).id
    assert bench.core.certificates.revoke(certificate_id).status is Status.REVOKED


def _pkcs12(password=b"canary-password"):
    certificates = x509.load_pem_x509_certificates(LEAF.encode())
    locked = BestAvailableEncryption(password)
    return pkcs12.serialize_key_and_certificates(b"shop", KEY, certificates[0], certificates[1:], locked)


@pytest.mark.parametrize(
    "password", ["canary-password", b"canary-password", Secret("canary-password"), Secret(b"canary-password")]
)
def test_a_pkcs12_file(bench, password):
    """All in one, with its password as text or as a secret; the password is nowhere afterwards."""
    certificate = bench.core.certificates.import_certificate(_pkcs12(), password=password)
    assert bench.core.certificates.export(certificate.id, reason="test").private_key.reveal_text() == KEY_PEM
    view = bench.core.certificates.view(certificate.id)
    assert view.active.fullchain_pem == LEAF
    assert "canary" not in repr(view)


@pytest.mark.parametrize("password", [None, "wrong", Secret("wrong"), Secret(b"\xff\xfe"), ""])
def test_a_pkcs12_file_with_a_wrong_password(bench, password):
    """It is refused for the field of the password, whose text is not repeated."""
    with pytest.raises(InvalidInputError) as refused:
        bench.core.certificates.import_certificate(_pkcs12(), password=password)
    assert refused.value.field == "password"
    assert "wrong'" not in str(refused.value)
    assert "canary" not in str(refused.value)


def _content(files, password):
    """What a person has on disk of an export, as it is given to an import: leaf, key, chain."""
    names = {file.name.rpartition("/")[2]: file.content for file in files}
    (first,) = list(names) if len(names) == 1 else [""]
    if first.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(names[first])) as archive:
            names = {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist()}
        return [
            (names["fullchain.pem"], names["privkey.pem"], None),
            (names["cert.pem"], names["privkey.pem"], names["chain.pem"]),
            (names["cert.der"], names["privkey.der"], names["fullchain.p7b"]),
            *([(names["cert.p12"], None, None)] if password else []),
        ]
    if "cert.der" in names:
        return [(names["cert.der"], names["privkey.der"], names["fullchain.p7b"])]
    if "fullchain.pem" in names:
        return [(names["fullchain.pem"], names["privkey.pem"], None)]
    return [(names[first], None, None)]


FORMATS = ["pem", "zip", "pkcs12", "der", "nginx", "apache", "haproxy", "lighttpd", "postfix"]


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_what_was_exported_comes_back_as_it_was(bench, name, locked):
    """Exported in any format that holds the key, deleted, and imported: leaf, chain and key are the same."""
    certificate_id = bench.active(wildcard=True, aliases="b.example")
    before = bench.core.certificates.export(certificate_id, reason="test")
    leaf = bench.core.certificates.view(certificate_id).leaf
    formats = {export_format.name: export_format for export_format in bench.core.certificates.formats()}
    assert set(FORMATS) == {
        export_format.name for export_format in formats.values() if export_format.private_key != "never"
    }
    password = Secret("canary password 7") if locked else None
    if (locked and formats[name].password == "never") or (not locked and formats[name].password == "required"):
        return
    files = bench.core.certificates.export(certificate_id, name, password=password, reason="test").files
    bench.core.certificates.delete(certificate_id)
    for given in _content(files, password):
        again = bench.core.certificates.import_certificate(*given, password=password)
        after = bench.core.certificates.export(again.id, reason="test")
        assert after == before
        view = bench.core.certificates.view(again.id)
        assert view.leaf == leaf
        assert view.events[0].data["warnings"] == []
        assert [name.ascii for name in view.certificate.names] == ["shop.example", "*.shop.example", "b.example"]
        bench.core.certificates.delete(again.id)


def test_an_import_is_edited_like_any_other(bench):
    """Its policy in every status; its names by a reissue alone; its owner never."""
    certificate = bench.core.certificates.import_certificate(LEAF, KEY_PEM)
    saved = bench.core.certificates.edit(certificate.id, renewal={"auto": False})
    assert evolve(saved, renewal=certificate.renewal, version=1) == evolve(certificate, updated_at=saved.updated_at)
    bench.core.certificates.edit(certificate.id, authority=bench.authority.id, key_type="ec-p384")
    assert bench.core.certificates.view(certificate.id).renews_at is None
    with pytest.raises(InvalidInputError) as refused:
        bench.core.certificates.edit(certificate.id, aliases="www.shop.example")
    assert "reissue" in refused.value.advice


def test_a_copy_of_an_import(bench):
    """It is a draft for the same names, which says that it needs a CA profile."""
    certificate = bench.core.certificates.import_certificate(LEAF, KEY_PEM)
    copy = bench.core.certificates.clone(certificate.id)
    assert copy.status is Status.DRAFT
    assert copy.names == certificate.names
    with pytest.raises(InvalidInputError) as refused:
        bench.core.certificates.generate_csr(copy.id)
    assert refused.value.field == "authority"
    bench.core.certificates.edit(copy.id, authority=bench.authority.id)
    assert bench.core.certificates.generate_csr(copy.id).status is Status.PENDING


def test_an_import_may_have_more_names_than_a_ca_takes(bench):
    """It is watched, found and exported; what is limited is its renewal, and that is said where it is asked for."""
    leaf = leaf_of(*(f"d{number}.example" for number in range(150)))
    warnings = {warning.key: warning.text for warning in bench.core.certificates.check_import(leaf, KEY_PEM).warnings}
    assert "a renewal can have at most 100" in warnings["bundle.many_names"]
    certificate_id = bench.core.certificates.import_certificate(leaf, KEY_PEM).id
    assert len(bench.get(certificate_id).names) == 150
    assert bench.core.certificates.export(certificate_id, reason="a test").leaf_pem in leaf
    assert [certificate.id for certificate in bench.core.certificates.search("d149.example")] == [certificate_id]
    assert bench.core.certificates.view(certificate_id).fields
    with pytest.raises(InvalidInputError, match="at most 100"):
        bench.core.certificates.edit(certificate_id, authority=bench.authority.id)
    with pytest.raises(InvalidInputError, match="a renewal can have at most 100") as refused:
        bench.core.certificates.import_certificate(leaf, KEY_PEM, authority=bench.authority.id, owner="anna")
    assert refused.value.field == "authority"
    fewer = bench.core.certificates.reissue(certificate_id, aliases=["d1.example"], authority=bench.authority.id)
    assert len(fewer.names) == 2


def test_an_emoji_name_is_imported(bench):
    """A CA has certified it, so that it is one."""
    name = DnsName.parse("xn--ls8h.la")
    request = build_csr(KEY, [name], Subject()).decode()
    issued = CA.issue(request, now=NOW, lifetime=DAY)
    assert bench.core.certificates.import_certificate(issued, KEY_PEM).domain == name
