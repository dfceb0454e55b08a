"""Certificates that were issued elsewhere are taken in as they are: with or without key, once, or not at all."""

import pytest

from certcore import CertCore, RenewalPolicy, Status
from certcore.errors import CertCoreError, InvalidInputError, KeyMismatchError, NotFoundError
from certcore.model.events import EventKind
from certcore.model.issuance import Outcome, Purpose
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.keys import spki_sha256
from support.cores import core_on
from support.databases import sqlite_with_tables
from support.imported_leaves import DAY, KEY, KEY_PEM, LEAF, NOW, OTHER_PEM, leaf_of, rest, stored
from support.inside import inside


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
    rest(bench, certificate.id)
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
    before = stored(bench.core)
    for call in (
        lambda: bench.core.certificates.export(certificate.id, reason="test"),
        lambda: bench.core.certificates.private_key(certificate.id, reason="test"),
        lambda: bench.core.certificates.export(certificate.id, "nginx", reason="test").files,
    ):
        with pytest.raises(CertCoreError) as refused:
            call()
        assert "never in the store" in refused.value.message
        assert refused.value.advice
    assert stored(bench.core) == before
    (bundle,) = bench.core.certificates.export(certificate.id, "pkcs7").files
    assert not bundle.secret


def test_keyless_and_renewed(bench):
    """The first renewal of a certificate imported without its key has a new key, which can be exported."""
    certificate_id = bench.core.certificates.import_certificate(LEAF, authority=bench.authority.id).id
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(certificate_id)
    rest(bench, certificate_id)
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
    rest(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert view.active.number == 2
    assert view.leaf.spki_sha256 == spki_sha256(KEY.public_key())
    assert bench.core.certificates.private_key(certificate_id, reason="test").reveal_text() == KEY_PEM


def test_checking_stores_nothing(bench):
    """What an import would make of it, or refuse, is told before; nothing is stored, no key is kept."""
    before = stored(bench.core)
    bundle = bench.core.certificates.check_import(LEAF, KEY_PEM)
    assert [str(name) for name in bundle.names] == ["shop.example"]
    assert bundle.leaf.not_after == NOW + 90 * DAY
    for wrong in (("", None), (LEAF, OTHER_PEM), ("nonsense", KEY_PEM)):
        with pytest.raises(CertCoreError):
            bench.core.certificates.check_import(*wrong)
    assert stored(bench.core) == before


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
    before = stored(bench.core)
    refusals = []
    for call in (bench.core.certificates.check_import, bench.core.certificates.import_certificate):
        with pytest.raises(error) as refused:
            call(*given)
        refusals.append(str(refused.value))
        assert field is None or refused.value.field == field
        assert "PRIVATE" not in str(refused.value)
        assert KEY_PEM.splitlines()[1] not in str(refused.value)
    assert refusals[0] == refusals[1]
    assert stored(bench.core) == before


def test_a_wrong_owner_profile_or_policy_stores_nothing(bench):
    """Whatever else is given with it is checked, too, before anything is stored."""
    before = stored(bench.core)
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
    assert stored(bench.core) == before


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
    before = stored(core)
    for one in (first, second):
        for call in (core.certificates.check_import, core.certificates.import_certificate):
            with pytest.raises(InvalidInputError) as refused:
                call(LEAF, owner=one.owner)
            assert refused.value.field == "leaf"
            assert one.id in refused.value.reason
    assert stored(core) == before
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
