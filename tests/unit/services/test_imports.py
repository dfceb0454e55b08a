"""Certificates that were issued elsewhere: taken in as they are, watched, exported, and renewed by whom one says."""

import io
import ipaddress
import zipfile
from datetime import timedelta

import pytest
from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12
from stores import core_on

from certcore import CertCore, NoticePolicy, RenewalPolicy, Status
from certcore.errors import CertCoreError, InvalidInput, KeyMismatch, NotFound
from certcore.model.events import EventKind
from certcore.model.issuance import Outcome, Purpose
from certcore.model.keys import KeyType
from certcore.model.names import DnsName, IpAddress, parse_identifier
from certcore.model.renewal_info import SuggestedWindow
from certcore.model.secret import Secret
from certcore.model.subject import Subject
from certcore.testing.authority import LittleAuthority
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key, private_key_pem, spki_sha256

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
    with core.engine.storage.read() as transaction:
        return (
            transaction.certificates.page(),
            transaction.events.after(0),
            transaction.secrets.names("certificate-key"),
        )


def _kinds(bench, one):
    return [event.kind for event in bench.core.certificates.timeline(one)]


def _rest(bench, one):
    """Look until there is nothing more to do now."""
    for _ in range(10):
        if not bench.core.reconcile(one).stepped:
            return
    raise AssertionError("it does not come to rest")


# -- with and without --------------------------------------------------------------------------------------------------


def test_an_import_with_its_key(bench):
    """It is active at once, with leaf, chain and key exactly as they were given."""
    one = bench.core.certificates.import_certificate(LEAF, KEY_PEM, owner="anna", actor="bert")
    assert one == bench.get(one.id)
    assert (one.status, one.owner, one.authority_id, one.domain.ascii) == (Status.ACTIVE, "anna", None, "shop.example")
    view = bench.core.certificates.view(one.id)
    assert view.active.purpose is Purpose.IMPORT
    assert view.active.outcome is Outcome.ISSUED
    assert view.active.fullchain_pem == LEAF
    assert view.certificate.not_after == view.leaf.not_after == NOW + 90 * DAY
    assert view.days_remaining == 90
    exported = bench.core.certificates.export(one.id, reason="test")
    assert (exported.fullchain_pem, exported.private_key.reveal_text()) == (LEAF, KEY_PEM)
    assert bench.core.certificates.reveal_private_key(one.id, reason="test").reveal_text() == KEY_PEM
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
    _rest(bench, one.id)
    assert bench.core.certificates.view(one.id).schedule.due_at == one.not_after
    assert bench.ca.calls == 0


def test_an_import_without_its_key(bench):
    """It is watched and shown, and cannot be exported with a key; what that means is said in words."""
    one = bench.core.certificates.import_certificate(LEAF)
    view = bench.core.certificates.view(one.id)
    assert view.active.is_keyless
    (event,) = view.events
    assert event.data["has_key"] is False
    assert any("no private key" in text for text in event.data["warnings"])
    before = _stored(bench.core)
    for call in (
        lambda: bench.core.certificates.export(one.id, reason="test"),
        lambda: bench.core.certificates.reveal_private_key(one.id, reason="test"),
        lambda: bench.core.certificates.export_as(one.id, "nginx", reason="test"),
    ):
        with pytest.raises(CertCoreError) as refused:
            call()
        assert "never here" in refused.value.message
        assert refused.value.advice
    assert _stored(bench.core) == before
    (bundle,) = bench.core.certificates.export_as(one.id, "pkcs7")
    assert not bundle.secret


def test_keyless_and_renewed(bench):
    """The first renewal of a certificate whose key stayed elsewhere has a key of ours, which can be exported."""
    one = bench.core.certificates.import_certificate(LEAF, authority=bench.authority.id).id
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(one)
    _rest(bench, one)
    view = bench.core.certificates.view(one)
    assert not view.active.is_keyless
    assert view.leaf.spki_sha256 != spki_sha256(KEY.public_key())
    assert bench.core.certificates.export(one, reason="test").private_key


def test_a_kept_key_is_the_imported_one(bench):
    """A policy that keeps the key keeps the one that was imported."""
    policy = RenewalPolicy(rotate_key=False)
    one = bench.core.certificates.import_certificate(LEAF, KEY_PEM, authority=bench.authority.id, renewal=policy).id
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(one)
    _rest(bench, one)
    view = bench.core.certificates.view(one)
    assert view.active.number == 2
    assert view.leaf.spki_sha256 == spki_sha256(KEY.public_key())
    assert bench.core.certificates.reveal_private_key(one, reason="test").reveal_text() == KEY_PEM


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
        ((LEAF, OTHER_PEM), KeyMismatch, None),
        ((LEAF, "nonsense"), InvalidInput, "private_key"),
        (("", KEY_PEM), InvalidInput, "leaf"),
        ((None,), InvalidInput, "leaf"),
        ((LEAF, KEY_PEM, leaf_of("b.example")), InvalidInput, "ca_bundle"),
        ((leaf_of("10.0.0.1"), KEY_PEM), InvalidInput, "leaf"),
        ((leaf_of(*(f"d{number}.example" for number in range(1001))), KEY_PEM), InvalidInput, "leaf"),
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
        ("auto", {"renewal": {"auto": "yes"}}),
        ("password", {"password": 7}),
    ):
        with pytest.raises(InvalidInput) as refused:
            bench.core.certificates.import_certificate(LEAF, KEY_PEM, **more)
        assert refused.value.field == field
    strict = bench.core.authorities.create("strict", module="scripted", settings={"allow_wildcard": False})
    with pytest.raises(InvalidInput) as refused:
        bench.core.certificates.import_certificate(leaf_of("*.shop.example"), KEY_PEM, authority=strict.id)
    assert refused.value.field == "wildcard"
    assert _stored(bench.core) == before


# -- who renews it -----------------------------------------------------------------------------------------------------


def test_without_a_ca_nobody_renews_it(bench):
    """It runs to its end and is expired then; renewing it says what is missing."""
    one = bench.core.certificates.import_certificate(LEAF, KEY_PEM).id
    view = bench.core.certificates.view(one)
    assert view.renews_at is None
    assert not view.certificate.renews_itself
    assert {"renew", "generate_csr"}.isdisjoint(view.actions)
    for call in (bench.core.certificates.renew, bench.core.certificates.reissue):
        with pytest.raises(InvalidInput) as refused:
            call(one)
        assert refused.value.field == "authority"
        assert refused.value.advice
    _rest(bench, one)
    bench.step(one)
    _rest(bench, one)
    assert bench.get(one).status is Status.EXPIRED
    assert _kinds(bench, one) == ["imported", "expired"]
    assert bench.core.certificates.view(one).schedule.due_at is None


@pytest.mark.parametrize("bound", ["at the import", "later by an edit"])
def test_with_a_ca_it_is_renewed_by_its_policy(bench, bound):
    """When it is due, with the names of the leaf; the imported leaf stays in service until the new one is there."""
    leaf = leaf_of("shop.example", "*.shop.example", "b.example")
    at_once = {"authority": bench.authority.id} if bound == "at the import" else {}
    one = bench.core.certificates.import_certificate(leaf, KEY_PEM, renewal={"days_before": 20}, **at_once).id
    _rest(bench, one)
    if not at_once:
        assert bench.core.certificates.view(one).renews_at is None
        bench.core.certificates.edit(one, authority=bench.authority.id)
    _rest(bench, one)
    view = bench.core.certificates.view(one)
    assert view.schedule.due_at == view.renews_at
    assert 19 * DAY <= view.certificate.not_after - view.renews_at <= 20 * DAY
    bench.environment.set(view.renews_at)
    for _ in range(3):
        bench.step(one)
        during = bench.core.certificates.view(one)
        assert during.active == view.active
        assert during.certificate.status is Status.ACTIVE
        assert bench.core.certificates.export(one, reason="test").private_key.reveal_text() == KEY_PEM
    assert {name.ascii for name in during.issuance.names} == {"shop.example", "*.shop.example", "b.example"}
    bench.step(one)
    _rest(bench, one)
    after = bench.core.certificates.view(one)
    assert after.active.number == 2
    assert after.active.purpose is Purpose.RENEW
    assert set(after.leaf.names) == {"shop.example", "*.shop.example", "b.example"}
    assert after.leaf.spki_sha256 != view.leaf.spki_sha256
    assert bench.ca.held == set()


@pytest.mark.parametrize("imported", [True, False])
def test_without_a_ca_profile_it_is_not_renewed_any_more(bench, imported):
    """Empty text takes the profile away; the leaf stays in service to its end, and a profile can be given again."""
    one = bench.active()
    if imported:
        one = bench.core.certificates.import_certificate(LEAF, KEY_PEM, authority=bench.authority.id).id
        _rest(bench, one)
    assert bench.core.certificates.view(one).renews_at is not None
    bench.core.certificates.edit(one, authority="")
    _rest(bench, one)
    view = bench.core.certificates.view(one)
    assert (view.certificate.authority_id, view.renews_at) == (None, None)
    for field, change in {"fallbacks": ["nobody"], "module_data": {"order_reference": "7"}}.items():
        with pytest.raises(InvalidInput) as refused:
            bench.core.certificates.edit(one, authority="", **{field: change})
        assert refused.value.field == field
    bench.environment.advance(91 * DAY)
    _rest(bench, one)
    ended = bench.core.certificates.view(one)
    assert (ended.certificate.status, ended.active.id) == (Status.EXPIRED, view.active.id)
    with pytest.raises(InvalidInput) as refused:
        bench.core.certificates.reissue(one)
    assert refused.value.field == "authority"
    bench.core.certificates.edit(one, authority=bench.authority.id)
    bench.ca.script = (Act.ISSUE,)
    _rest(bench, one)
    assert bench.core.certificates.get(one).status is Status.ACTIVE


def test_an_overdue_import_is_renewed_at_once(bench):
    """One that ends in some days is due when it comes in, or when it gets its CA profile."""
    bench.ca.script = (Act.ISSUE,)
    for more in ({"authority": bench.authority.id}, {}):
        leaf = leaf_of(at=NOW - 85 * DAY)
        one = bench.core.certificates.import_certificate(leaf, KEY_PEM, owner=f"tenant {len(more)}", **more).id
        if not more:
            bench.core.certificates.edit(one, authority=bench.authority.id)
        _rest(bench, one)
        view = bench.core.certificates.view(one)
        assert view.active.number == 2
        assert view.days_remaining > 80


def test_the_ca_of_an_import_is_asked_when_it_wants_a_renewal(wishing_bench):
    """From when it has a CA profile on: a mass revocation reaches certificates that moved in, too (RFC 9773)."""
    bench = wishing_bench
    one = bench.core.certificates.import_certificate(LEAF, KEY_PEM).id
    now = bench.environment.now()
    bench.ca.windows[LEAF_NAMES] = SuggestedWindow(start=now + 5 * DAY, end=now + 6 * DAY)
    bench.core.certificates.edit(one, authority=bench.authority.id)
    _rest(bench, one)
    view = bench.core.certificates.view(one)
    assert now + 5 * DAY <= view.renews_at <= now + 6 * DAY
    bench.environment.set(view.renews_at)
    _rest(bench, one)
    assert bench.core.certificates.view(one).active.number == 2


def test_without_a_ca_profile_nobody_is_asked_any_more(wishing_bench):
    """An import that has lost its CA profile rests until its end: nobody knows which CA it is from."""
    bench = wishing_bench
    one = bench.core.certificates.import_certificate(LEAF, KEY_PEM, authority=bench.authority.id).id
    _rest(bench, one)
    assert bench.ca.asked > 0
    asked_again = bench.core.certificates.view(one).schedule.due_at
    bench.core.certificates.edit(one, authority="")
    _rest(bench, one)
    assert bench.core.certificates.view(one).schedule.due_at > asked_again


def test_a_reissue_names_the_ca(bench):
    """An imported certificate is reissued with a CA profile that is named in the call, and has it from then on."""
    one = bench.core.certificates.import_certificate(LEAF, KEY_PEM).id
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.reissue(one, authority=bench.authority.id, aliases="www.shop.example", keep_key=True)
    _rest(bench, one)
    view = bench.core.certificates.view(one)
    assert view.certificate.authority_id == bench.authority.id
    assert view.leaf.names == ("shop.example", "www.shop.example")
    assert view.leaf.spki_sha256 == spki_sha256(KEY.public_key())


def test_giving_a_reissue_of_an_import_up(bench):
    """The names are those of the imported leaf again, the primary one first."""
    leaf = leaf_of("*.shop.example", "b.example", "shop.example")
    one = bench.core.certificates.import_certificate(leaf, KEY_PEM, authority=bench.authority.id)
    bench.core.certificates.reissue(one.id, domain="new.example", aliases="", wildcard=False)
    back = bench.core.certificates.cancel_attempt(one.id)
    assert back.names == one.names
    assert (back.domain, back.aliases, back.wildcard) == (one.domain, one.aliases, one.wildcard)


# -- expired, and other moments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("quiet", [True, False])
def test_an_expired_leaf_is_expired_at_once(quiet):
    """There is one event, of the import; nothing else is told of it, and nothing is asked of a CA that it has not."""
    environment = FrozenEnvironment()
    policy = NoticePolicy(days_before=() if quiet else (30, 7, 1))
    with CertCore.in_memory(installed_plugins=False, environment=environment, notices=policy) as core:
        one = core.certificates.import_certificate(leaf_of(at=NOW - 100 * DAY), KEY_PEM)
        assert one.status is Status.EXPIRED
        for _ in range(5):
            core.reconcile(one.id)
            environment.advance(DAY)
        view = core.certificates.view(one.id)
        assert view.days_remaining == -15
        assert view.schedule.due_at is None
        assert [event.kind for event in view.events] == ["imported"]
        assert any("expired" in text for text in view.events[0].data["warnings"])
        assert core.certificates.export(one.id, reason="test").private_key.reveal_text() == KEY_PEM


def test_an_expired_leaf_with_a_ca_is_renewed(bench):
    """Taken in to be renewed, it is: at once, and active then."""
    bench.ca.script = (Act.ISSUE,)
    one = bench.core.certificates.import_certificate(leaf_of(at=NOW - 100 * DAY), KEY_PEM, authority=bench.authority.id)
    assert one.status is Status.EXPIRED
    _rest(bench, one.id)
    assert bench.get(one.id).status is Status.ACTIVE
    assert _kinds(bench, one.id) == ["imported", "renewal_started", "installed"]


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
    one = bench.core.certificates.import_certificate(leaf, KEY_PEM)
    assert one.status is status
    assert bench.core.certificates.view(one.id).days_remaining == remaining


def test_a_leaf_that_is_not_valid_yet(bench):
    """It is taken with a warning, and its renewal is worked out like any other."""
    one = bench.core.certificates.import_certificate(
        leaf_of(at=NOW + 3 * DAY), KEY_PEM, authority=bench.authority.id
    ).id
    view = bench.core.certificates.view(one)
    assert any("not valid before" in text for text in view.events[0].data["warnings"])
    _rest(bench, one)
    assert bench.core.certificates.view(one).schedule.due_at == view.renews_at


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
    one = bench.core.certificates.import_certificate(leaf, KEY_PEM, authority=bench.authority.id)
    assert (one.domain.ascii, one.wildcard) == (domain, wildcard)
    assert aliases is None or [name.ascii for name in one.aliases] == aliases
    assert {name.ascii for name in one.names} == {name.lower() for name in names}
    assert bench.core.certificates.view(one.id).active.names == one.names
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(one.id)
    _rest(bench, one.id)
    view = bench.core.certificates.view(one.id)
    assert view.active.number == 2
    assert set(view.leaf.names) == {name.lower() for name in names}


def test_addresses_beside_names_are_told_of(bench):
    """A renewal will be without them, which the check, and the record, say."""
    leaf = leaf_of("shop.example", "10.0.0.1", "2001:db8::1")
    checked = bench.core.certificates.check_import(leaf, KEY_PEM)
    assert IpAddress("10.0.0.1") in checked.names
    one = bench.core.certificates.import_certificate(leaf, KEY_PEM)
    assert [name.ascii for name in one.names] == ["shop.example"]
    (event,) = bench.core.certificates.timeline(one.id)
    assert event.data["warnings"] == [warning.text for warning in checked.warnings]
    assert any("10.0.0.1, 2001:db8::1" in text for text in event.data["warnings"])
    assert event.data["names"] == ["shop.example", "10.0.0.1", "2001:db8::1"]
    assert ipaddress.ip_address("10.0.0.1")


RSA_2304 = rsa.generate_private_key(65537, 2304)
RSA_3200 = rsa.generate_private_key(65537, 3200)


@pytest.mark.parametrize(
    ("key", "shown", "size", "renewed"),
    [
        (KEY, "EC P-256", 256, KeyType.EC_P256),
        (generate_key(KeyType.EC_P384), "EC P-384", 384, KeyType.EC_P384),
        (ec.generate_private_key(ec.SECP521R1()), "EC P-521", 521, KeyType.EC_P384),
        (generate_key(KeyType.RSA_2048), "RSA", 2048, KeyType.RSA_2048),
        (RSA_2304, "RSA", 2304, KeyType.RSA_2048),
        (RSA_3200, "RSA", 3200, KeyType.RSA_3072),
    ],
)
def test_kinds_of_key(bench, key, shown, size, renewed):
    """Any key that servers use is taken and given back; where we make none of its kind, the page says what comes."""
    pem = private_key_pem(key).decode()
    one = bench.core.certificates.import_certificate(leaf_of(key=key), pem, authority=bench.authority.id)
    view = bench.core.certificates.view(one.id)
    assert (view.leaf.public_key_algorithm, view.leaf.key_size) == (shown, size)
    assert one.key_type is renewed
    assert bench.core.certificates.reveal_private_key(one.id, reason="test").reveal_text() == pem
    unusual = [text for text in view.events[0].data["warnings"] if "unusual" in text]
    assert bool(unusual) is (size not in (256, 384, 2048))
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.reissue(one.id, keep_key=True)
    _rest(bench, one.id)
    assert bench.core.certificates.view(one.id).leaf.spki_sha256 == view.leaf.spki_sha256


@pytest.mark.parametrize(
    ("key", "shown", "size"),
    [
        (ec.generate_private_key(ec.SECP521R1()), "EC P-384", 384),
        (RSA_2304, "RSA", 2048),
        (rsa.generate_private_key(3, 2048), "RSA", 2048),
    ],
    ids=["P-521", "2304", "exponent"],
)
def test_a_policy_keeps_no_key_that_cas_refuse(bench, key, shown, size):
    """Where the key is kept at renewals, one that we would not make gives way to one of the kind that was told of."""
    policy = RenewalPolicy(rotate_key=False)
    leaf, pem = leaf_of(key=key), private_key_pem(key).decode()
    one = bench.core.certificates.import_certificate(leaf, pem, authority=bench.authority.id, renewal=policy).id
    bench.ca.script = (Act.ISSUE,)
    bench.environment.set(bench.core.certificates.view(one).renews_at)
    _rest(bench, one)
    view = bench.core.certificates.view(one)
    assert (view.leaf.public_key_algorithm, view.leaf.key_size) == (shown, size)
    usual = view.leaf.spki_sha256
    bench.core.certificates.renew(one)
    _rest(bench, one)
    assert bench.core.certificates.view(one).leaf.spki_sha256 == usual


def test_keys_that_no_browser_takes(bench):
    """They are refused with the reason, and nothing is stored."""
    for key, words in (
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
        (rsa.generate_private_key(65537, 1024), "1024"),
    ):
        pem = key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        with pytest.raises(InvalidInput, match=words):
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
            with pytest.raises(InvalidInput) as refused:
                call(LEAF, owner=one.owner)
            assert refused.value.field == "leaf"
            assert one.id in refused.value.reason
    assert _stored(core) == before
    again = core.certificates.import_certificate(leaf_of(), KEY_PEM, owner="anna")
    assert [one.id for one in core.certificates.overlaps(again.id)] == [first.id]
    core.certificates.delete(first.id)
    core.certificates.import_certificate(LEAF, owner="anna")


def test_a_leaf_of_ours_is_no_import(core):
    """What certcore issued itself is here already, also after it was renewed."""
    authority = core.authorities.create("test", module="scripted")
    one = core.certificates.create("shop.example", authority=authority.id).id
    core.certificates.generate_csr(one)
    core.reconcile(one)
    leaf = core.certificates.view(one).active.fullchain_pem
    core.certificates.renew(one)
    core.reconcile(one)
    with pytest.raises(InvalidInput, match=one):
        core.certificates.import_certificate(leaf)


def test_deleting_an_import_deletes_its_key(core):
    """Nothing of it stays but the record; another with the same key is another."""
    one = core.certificates.import_certificate(LEAF, KEY_PEM)
    other = core.certificates.import_certificate(LEAF, KEY_PEM, owner="bert")
    core.certificates.delete(one.id, actor="carl")
    with core.engine.storage.read() as transaction:
        assert len(transaction.secrets.names("certificate-key")) == 1
    with pytest.raises(NotFound):
        core.certificates.get(one.id)
    assert [event.kind for event in core.certificates.timeline(one.id)] == ["imported", "deleted"]
    assert core.certificates.verify_timeline(one.id).fault == ""
    assert core.certificates.export(other.id, reason="test").private_key.reveal_text() == KEY_PEM


def test_an_import_is_the_same_after_a_restart(tmp_path):
    """What is read back from the disk is what was imported: view, key, warnings."""
    environment = FrozenEnvironment()
    CertCore.create_keyring(tmp_path / "keyring.json")

    def opened():
        url = f"sqlite:///{tmp_path}/certcore.db"
        return CertCore.open(url, keyring=tmp_path / "keyring.json", installed_plugins=False, environment=environment)

    with opened() as first:
        one = first.certificates.import_certificate(leaf_of("*.a.example", "a.example", "10.0.0.1"), KEY_PEM).id
        keyless = first.certificates.import_certificate(LEAF).id
        seen = [first.certificates.view(each) for each in (one, keyless)]
    with opened() as second:
        assert [second.certificates.view(each) for each in (one, keyless)] == seen
        assert second.certificates.reveal_private_key(one, reason="test").reveal_text() == KEY_PEM


# -- what can be done with it ------------------------------------------------------------------------------------------


def test_revoking_an_import(bench):
    """It takes a named CA profile, which is asked with the key; without one the advice says what to name."""
    one = bench.core.certificates.import_certificate(LEAF, KEY_PEM).id
    with pytest.raises(InvalidInput) as refused:
        bench.core.certificates.revoke(one)
    assert refused.value.field == "authority"
    assert bench.get(one).status is Status.ACTIVE
    revoked = bench.core.certificates.revoke(one, authority=bench.authority.id, reason="key_compromise")
    assert revoked.status is Status.REVOKED
    assert list(bench.ca.revoked) == [bench.core.certificates.view(one).active.leaf_pem]
    assert _kinds(bench, one)[-1] == "revoked"
    assert bench.core.certificates.view(one).renews_at is None


def test_a_certificate_of_a_bound_profile_is_revoked_through_it(bench):
    """Once a CA profile is bound, that is the one that is asked."""
    one = bench.core.certificates.import_certificate(LEAF, KEY_PEM, authority=bench.authority.id).id
    assert bench.core.certificates.revoke(one).status is Status.REVOKED


def _pkcs12(password=b"canary-password"):
    certificates = x509.load_pem_x509_certificates(LEAF.encode())
    locked = BestAvailableEncryption(password)
    return pkcs12.serialize_key_and_certificates(b"shop", KEY, certificates[0], certificates[1:], locked)


@pytest.mark.parametrize(
    "password", ["canary-password", b"canary-password", Secret("canary-password"), Secret(b"canary-password")]
)
def test_a_pkcs12_file(bench, password):
    """All in one, with its password as text or as a secret; the password is nowhere afterwards."""
    one = bench.core.certificates.import_certificate(_pkcs12(), password=password)
    assert bench.core.certificates.export(one.id, reason="test").private_key.reveal_text() == KEY_PEM
    view = bench.core.certificates.view(one.id)
    assert view.active.fullchain_pem == LEAF
    assert "canary" not in repr(view)


@pytest.mark.parametrize("password", [None, "wrong", Secret("wrong"), Secret(b"\xff\xfe"), ""])
def test_a_pkcs12_file_with_a_wrong_password(bench, password):
    """It is refused for the field of the password, whose text is not repeated."""
    with pytest.raises(InvalidInput) as refused:
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
    one = bench.active(wildcard=True, aliases="b.example")
    before = bench.core.certificates.export(one, reason="test")
    leaf = bench.core.certificates.view(one).leaf
    formats = {found.name: found for found in bench.core.certificates.formats()}
    assert set(FORMATS) == {found.name for found in formats.values() if found.private_key != "never"}
    password = Secret("canary password 7") if locked else None
    if (locked and formats[name].password == "never") or (not locked and formats[name].password == "required"):
        return
    files = bench.core.certificates.export_as(one, name, password=password, reason="test")
    bench.core.certificates.delete(one)
    for given in _content(files, password):
        again = bench.core.certificates.import_certificate(*given, password=password)
        after = bench.core.certificates.export(again.id, reason="test")
        assert after == before
        view = bench.core.certificates.view(again.id)
        assert view.leaf == leaf
        assert view.events[0].data["warnings"] == []
        assert [found.ascii for found in view.certificate.names] == ["shop.example", "*.shop.example", "b.example"]
        bench.core.certificates.delete(again.id)


def test_an_import_is_edited_like_any_other(bench):
    """Its policy in every status; its names by a reissue alone; its owner never."""
    one = bench.core.certificates.import_certificate(LEAF, KEY_PEM)
    saved = bench.core.certificates.edit(one.id, renewal={"auto": False})
    assert evolve(saved, renewal=one.renewal, version=1) == evolve(one, updated_at=saved.updated_at)
    bench.core.certificates.edit(one.id, authority=bench.authority.id, key_type="ec-p384")
    assert bench.core.certificates.view(one.id).renews_at is None
    with pytest.raises(InvalidInput) as refused:
        bench.core.certificates.edit(one.id, aliases="www.shop.example")
    assert "reissue" in refused.value.advice


def test_a_copy_of_an_import(bench):
    """It is a draft for the same names, which says that it needs a CA profile."""
    one = bench.core.certificates.import_certificate(LEAF, KEY_PEM)
    copy = bench.core.certificates.clone(one.id)
    assert copy.status is Status.DRAFT
    assert copy.names == one.names
    with pytest.raises(InvalidInput) as refused:
        bench.core.certificates.generate_csr(copy.id)
    assert refused.value.field == "authority"
    bench.core.certificates.edit(copy.id, authority=bench.authority.id)
    assert bench.core.certificates.generate_csr(copy.id).status is Status.PENDING


def test_an_import_may_have_more_names_than_a_ca_takes(bench):
    """It is watched, found and exported; what is limited is its renewal, and that is said where it is asked for."""
    leaf = leaf_of(*(f"d{number}.example" for number in range(150)))
    warnings = {one.key: one.text for one in bench.core.certificates.check_import(leaf, KEY_PEM).warnings}
    assert "a renewal can have at most 100" in warnings["bundle.many_names"]
    one = bench.core.certificates.import_certificate(leaf, KEY_PEM).id
    assert len(bench.get(one).names) == 150
    assert bench.core.certificates.export(one, reason="a test").leaf_pem in leaf
    assert [found.id for found in bench.core.certificates.search("d149.example")] == [one]
    assert bench.core.certificates.view(one).fields
    with pytest.raises(InvalidInput, match="at most 100"):
        bench.core.certificates.edit(one, authority=bench.authority.id)
    with pytest.raises(InvalidInput, match="a renewal can have at most 100") as refused:
        bench.core.certificates.import_certificate(leaf, KEY_PEM, authority=bench.authority.id, owner="anna")
    assert refused.value.field == "authority"
    fewer = bench.core.certificates.reissue(one, aliases=["d1.example"], authority=bench.authority.id)
    assert len(fewer.names) == 2


def test_an_emoji_name_is_imported(bench):
    """A CA has certified it, so that it is one."""
    name = DnsName.parse("xn--ls8h.la")
    request = build_csr(KEY, [name], Subject()).decode()
    issued = CA.issue(request, now=NOW, lifetime=DAY)
    assert bench.core.certificates.import_certificate(issued, KEY_PEM).domain == name
