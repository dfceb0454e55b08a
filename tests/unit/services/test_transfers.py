"""Transfer to another owner: both sides are asked, keys are sealed anew, nothing of the old owner's is handed on."""

import pytest

import certcore
from certcore import CertCore, EventKind, Permission, Status
from certcore.errors import AccessDeniedError, InvalidInputError, NotFoundError, StaleWriteError, UnsealError
from certcore.hints import DnsRecords
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.secret import CERTIFICATE_KEY, SecretName
from certcore.model.subject import Subject
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key
from support.cores import core_on
from support.inside import inside
from support.situations import SITUATIONS, certificate_in


def _kinds(events):
    return [event.kind for event in events]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_in_every_status(bench, situation):
    """The leaf and its key go along, an issuance under way ends, and the certificate works for its new owner."""
    certificate_id = certificate_in(bench, situation, owner="anna")
    before = bench.core.certificates.view(certificate_id)
    preview = bench.core.certificates.preview_transfer(certificate_id, to="bert")
    assert bench.core.certificates.view(certificate_id) == before
    saved = bench.core.certificates.transfer(certificate_id, to="bert", version=before.certificate.version)
    view = bench.core.certificates.view(certificate_id)
    assert saved.owner == view.certificate.owner == preview.certificate.owner == "bert"
    assert (saved.status, saved.names) == (preview.certificate.status, preview.certificate.names)
    assert view.leaf == before.leaf
    assert not view.under_way
    has_attempt = before.certificate.issuance_id not in (None, before.certificate.active_issuance_id)
    assert preview.ends_issuance is has_attempt
    if before.certificate.status in (Status.PENDING, Status.PROCESSING, Status.ERROR):
        assert saved.status is Status.DRAFT
    else:
        assert saved.status is before.certificate.status
    if view.active is not None:
        key = bench.core.certificates.private_key(certificate_id, reason="test")
        assert b"PRIVATE KEY" in key.reveal()
    bench.ca.script = (Act.ISSUE,)
    again = bench.core.certificates.generate_csr if saved.status is Status.DRAFT else bench.core.certificates.renew
    again(certificate_id)
    for _ in range(4):
        bench.core.reconcile(certificate_id)
    assert bench.get(certificate_id).status is Status.ACTIVE
    assert bench.get(certificate_id).owner == "bert"
    assert bench.core.certificates.verify_timeline(certificate_id).intact


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_what_stores_tell_of_the_owner_follows(storage, tmp_path):
    """Lists, searches, overlaps and the feed of events are those of the new owner; the old one's do not have it."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with core_on(storage, tmp_path, plugins=[ca.plugin()], environment=environment) as core:
        authority = core.authorities.create("test", module="scripted").id
        moved = core.certificates.create("shop.example", authority=authority, owner="anna", aliases="a.example").id
        other = core.certificates.create("a.example", authority=authority, owner="bert").id
        core.certificates.generate_csr(moved)
        core.reconcile(moved)
        core.certificates.transfer(moved, to="bert")
        assert not core.certificates.list(owner="anna").items
        assert {each.id for each in core.certificates.list(owner="bert").items} == {moved, other}
        assert not core.certificates.search("shop", owner="anna")
        assert [each.id for each in core.certificates.search("shop", owner="bert")] == [moved]
        assert [each.id for each in core.certificates.overlaps(other)] == [moved]
        for owner in ("anna", "bert"):
            assert EventKind.TRANSFERRED in _kinds(item.event for item in core.events(owner=owner).items)
        assert _kinds(item.event for item in core.events(owner="bert").items)[-1] is EventKind.TRANSFERRED


def test_the_key_is_sealed_for_the_new_owner(bench):
    """The stored private key opens for the new owner only: a row that is put back to the old owner opens nothing."""
    certificate_id = bench.active(owner="anna")
    issuance_id = bench.get(certificate_id).active_issuance_id
    name = SecretName(CERTIFICATE_KEY, issuance_id)
    parts = inside(bench.core)
    bench.core.certificates.transfer(certificate_id, to="bert")
    with parts.storage.read() as transaction:
        sealed = transaction.secrets.get(name)
    assert parts.vault.open(sealed, name, owner="bert")
    with pytest.raises(UnsealError):
        parts.vault.open(sealed, name, owner="anna")


def test_what_is_the_old_owners_own_is_dropped(bench):
    """The next key is a new one whatever the policy was, and a CSR of the old owner is not used again."""
    kept = bench.active(owner="anna", renewal={"rotate_key": False, "days_before": 9})
    before = bench.core.certificates.view(kept)
    preview = bench.core.certificates.preview_transfer(kept, to="bert")
    assert set(preview.changes) == {"renewal"}
    bench.core.certificates.transfer(kept, to="bert")
    assert bench.get(kept).renewal.days_before == 9
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(kept)
    for _ in range(3):
        bench.core.reconcile(kept)
    after = bench.core.certificates.view(kept)
    assert after.leaf.serial_hex != before.leaf.serial_hex
    assert after.leaf.spki_sha256 != before.leaf.spki_sha256
    csr = build_csr(generate_key(KeyType.EC_P256), [DnsName("own.example")], Subject()).decode()
    own = bench.draft(None, csr=csr, owner="anna").id
    assert "csr" in bench.core.certificates.preview_transfer(own, to="bert").changes
    moved = bench.core.certificates.transfer(own, to="bert")
    assert (moved.csr_pem, [name.ascii for name in moved.names]) == ("", ["own.example"])


class Policy:
    """Allows everything but what it is told."""

    def __init__(self):
        self.refused = ()

    @certcore.hookimpl
    def certcore_authorize(self, action, owner):
        return False if (action, owner) in self.refused else None


@pytest.mark.parametrize("call", ["transfer", "preview_transfer"])
def test_both_sides_are_asked(call):
    """Giving away is a permission of the old owner's side; having it, and its CA profile, of the new one's."""
    environment = FrozenEnvironment()
    ca, policy = ScriptedCA([Act.ISSUE], now=environment.now()), Policy()
    plugins = [ca.plugin(), policy]
    with CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=environment) as core:
        authority = core.authorities.create("test", module="scripted").id
        certificate_id = core.certificates.create("shop.example", authority=authority, owner="anna").id
        transfer = getattr(core.certificates, call)
        for refused in (
            (Permission.CERTIFICATE_TRANSFER, "anna"),
            (Permission.CERTIFICATE_CREATE, "bert"),
            (Permission.AUTHORITY_USE, "bert"),
        ):
            policy.refused = [refused]
            with pytest.raises(AccessDeniedError) as denied:
                transfer(certificate_id, to="bert", actor="mallory")
            assert denied.value.action == refused[0]
            assert core.certificates.get(certificate_id).owner == "anna"
        policy.refused = [(Permission.CERTIFICATE_TRANSFER, "anna"), (Permission.CERTIFICATE_VIEW, "anna")]
        with pytest.raises(NotFoundError):
            transfer(certificate_id, to="bert", actor="mallory")
        policy.refused = ()
        transfer(certificate_id, to="bert", actor="mallory")


def test_nobody_reads_the_record_of_a_former_owner(bench_with_roles):
    """The new owner's page has the events since the transfer; whoever may see the old owner's certificates sees all."""
    core = bench_with_roles.core
    certificate_id = bench_with_roles.active(owner="anna")
    core.certificates.private_key(certificate_id, reason="a secret reason", actor="anna")
    core.certificates.transfer(certificate_id, to="bert", actor="otto")
    for events in (
        core.certificates.timeline(certificate_id, actor="bert"),
        core.certificates.view(certificate_id, actor="bert").events,
        core.certificates.timeline(certificate_id, after=1, actor="bert"),
    ):
        assert _kinds(events) == [EventKind.TRANSFERRED]
        assert "anna" not in repr(events)
        assert "secret reason" not in repr(events)
    assert len(core.certificates.timeline(certificate_id, actor="otto")) > 5
    with pytest.raises(NotFoundError):
        core.certificates.timeline(certificate_id, actor="anna")


def test_what_cannot_be_is_refused(bench):
    """The same owner, a malformed one, an older version: nothing is changed."""
    certificate_id = bench.active(owner="anna")
    before = bench.core.certificates.view(certificate_id)
    for to in ("anna", " x", 5, None, "x" * 101):
        with pytest.raises(InvalidInputError) as refused:
            bench.core.certificates.transfer(certificate_id, to=to)
        assert refused.value.field == "to"
    with pytest.raises(StaleWriteError):
        bench.core.certificates.transfer(certificate_id, to="bert", version=before.certificate.version - 1)
    after = bench.core.certificates.view(certificate_id)
    assert (after.certificate, after.events) == (before.certificate, before.events)
    assert after.schedule.lease_owner == ""
    assert bench.core.certificates.transfer(certificate_id, to="").owner == ""


def test_the_new_cname_is_announced_before():
    """The preview has the records of the new owner, which differ from the old one's; no account is taken along."""
    settings = {"tech_zone": "acme.panel.example", "own_accounts": True}
    with CertCore.in_memory() as core:
        authority = core.authorities.create("public", module="puq_acme", settings=settings).id
        data = {"account_email": "me@anna.example", "terms_agreed": True}
        draft = core.certificates.create("shop.example", authority=authority, owner="anna", module_data=data)
        preview = core.certificates.preview_transfer(draft.id, to="bert")
        (record,) = preview.records
        (old,) = (
            row for hint in core.certificates.hints(draft.id) if isinstance(hint, DnsRecords) for row in hint.rows
        )
        assert (record.name, record.type) == ("_acme-challenge.shop.example", "CNAME")
        assert record.value != old.value
        moved = core.certificates.transfer(draft.id, to="bert")
        assert not moved.module_data["account_email"]
        assert not moved.module_data["terms_agreed"]
        (new,) = (
            row for hint in core.certificates.hints(draft.id) if isinstance(hint, DnsRecords) for row in hint.rows
        )
        assert new.value == record.value


def test_a_step_that_runs_meanwhile_is_not_stored(bench):
    """An issuance that the CA finishes during the transfer is the old owner's, and no leaf of the new one."""
    certificate_id = bench.requested(owner="anna")
    bench.ca.script = (Act.ISSUE,)
    moved = []

    def transferring(_):
        if not moved:
            moved.append(bench.core.certificates.transfer(certificate_id, to="bert"))

    original = type(bench.ca).advance

    def advance(work):
        transferring(work)
        return original(bench.ca, work)

    bench.ca.advance = advance
    bench.core.reconcile(certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert moved
    assert (view.certificate.owner, view.certificate.status, view.active) == ("bert", Status.DRAFT, None)
