"""Users, the engine, the clock and the CA in any order: what must hold always, holds always."""

from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from certcore import CertCore, RenewalPolicy, Status
from certcore.errors import CAError, CertCoreError, InvalidInputError, TransitionNotAllowedError
from certcore.model.hints import hint_to_json
from certcore.model.issuance import Outcome
from certcore.model.keys import KeyType
from certcore.model.lifecycle import TRANSITIONS
from certcore.model.names import DnsName
from certcore.model.renewal_info import SuggestedWindow
from certcore.model.subject import Subject
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.local_ca import LittleAuthority
from certcore.testing.scripted_ca import Act, ScriptedRenewalCA
from certcore.x509.chain import parse_chain
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key, load_private_key, private_key_pem, spki_sha256
from support.inside import inside

#: What can follow what in one action, whoever takes it.
_POSSIBLE = {(before, after) for (before, _), after in TRANSITIONS.items()}
#: Who issued what is imported.
_ELSEWHERE = LittleAuthority(FrozenEnvironment().now())
_SCRIPTS = st.lists(st.sampled_from([act for act in Act if act is not Act.RAISE]), min_size=1, max_size=4)


class Life(RuleBasedStateMachine):
    """Certificates of two CA profiles, treated in every possible way."""

    certificates = Bundle("certificates")

    def __init__(self):
        super().__init__()
        self.environment = FrozenEnvironment()
        self.ca = ScriptedRenewalCA([Act.ISSUE], now=self.environment.now())
        self.core = CertCore.in_memory(
            plugins=[self.ca.plugin()], installed_plugins=False, environment=self.environment
        )
        self.authorities = [
            self.core.authorities.create(name, module="scripted", settings={"region": region}).id
            for name, region in (("a", "eu"), ("b", "us"))
        ]
        self.seen = {}
        self.sequence = 0
        self.made = 0
        #: The issuance whose leaf was in service, when it was last looked at.
        self.in_service = {}

    def teardown(self):
        """Whatever happened: with a CA that issues, and time, nothing is held outside at last."""
        self.ca.scripts = {}
        self.ca.windows = {}
        self.environment.advance(timedelta(minutes=6))  # leases of workers that died have run out
        for one in list(self.seen):
            for _ in range(20):
                due = self.core.certificates.view(one).schedule.due_at
                if due is None or due > self.environment.now() + timedelta(days=2):
                    break
                self.environment.set(max(due, self.environment.now()))
                self.core.reconcile(one)
        for one in self.seen:
            for issuance in self.core.certificates.issuances(one):
                assert issuance.outcome is None or issuance.id not in self.ca.held
        known = {issuance.id for one in self.seen for issuance in self.core.certificates.issuances(one)}
        assert self.ca.held <= known
        self.core.close()

    @rule(
        target=certificates, wildcard=st.booleans(), auto=st.booleans(), rotate=st.booleans(), falls_back=st.booleans()
    )
    def create(self, wildcard, auto, rotate, falls_back):
        """A user saves a new draft."""
        self.made += 1
        policy = RenewalPolicy(auto=auto, rotate_key=rotate)
        draft = self.core.certificates.create(
            f"d{self.made}.example",
            wildcard=wildcard,
            renewal=policy,
            authority=self.authorities[0],
            fallbacks=self.authorities[1:] if falls_back else (),
        )
        self.seen[draft.id] = draft
        return draft.id

    @rule(
        target=certificates,
        days=st.integers(-100, 90),
        has_key=st.booleans(),
        has_authority=st.booleans(),
        wildcard=st.booleans(),
    )
    def import_(self, days, has_key, has_authority, wildcard):
        """A user takes in a certificate that was issued elsewhere, maybe long ago, maybe without its key."""
        self.made += 1
        names = [DnsName(f"d{self.made}.example"), *([DnsName(f"*.d{self.made}.example")] if wildcard else [])]
        key = generate_key(KeyType.EC_P256)
        at = self.environment.now() + timedelta(days=days - 90)
        leaf = _ELSEWHERE.issue(build_csr(key, names, Subject()).decode(), now=at)
        one = self.core.certificates.import_certificate(
            leaf, private_key_pem(key) if has_key else None, authority=self.authorities[0] if has_authority else None
        )
        assert one.status is (Status.ACTIVE if days > 0 else Status.EXPIRED)
        self.seen[one.id] = one
        return one.id

    @rule(
        one=certificates,
        change=st.sampled_from(["nothing", "alias", "no alias", "key type", "csr", "no csr", "ca"]),
        keep_key=st.booleans(),
    )
    def a_user_reissues(self, one, change, keep_key):
        """A user has it issued anew with a change; what cannot be is refused and changes nothing."""
        before = self.core.certificates.view(one)
        certificate = before.certificate
        self.made += 1
        other = next(iter({*self.authorities} - {certificate.authority_id, *certificate.fallbacks}), None)
        csr = build_csr(generate_key(KeyType.EC_P384), [DnsName(f"own{self.made}.example")], Subject()).decode()
        given = {
            "nothing": {},
            "alias": {"aliases": f"alias{self.made}.example"},
            "no alias": {"aliases": []},
            "key type": {"key_type": "ec-p384" if certificate.key_type is KeyType.EC_P256 else "ec-p256"},
            "csr": {"csr": csr},
            "no csr": {"csr": ""},
            "ca": {"authority": other},
        }[change]
        try:
            saved = self.core.certificates.reissue(one, keep_key=keep_key, **given)
        except TransitionNotAllowedError:
            assert "reissue" not in before.actions
        except InvalidInputError as error:
            assert error.field in ("aliases", "key_type", "csr", "authority")  # noqa: PT017 - not always
        else:
            assert saved.version == certificate.version + 1
            after = self.core.certificates.view(one)
            assert after.under_way
            assert after.active == before.active
            assert set(after.issuance.names) == set(saved.names)
            return
        assert self.core.certificates.view(one) == before

    @rule(script=_SCRIPTS, region=st.sampled_from(["eu", "us"]))
    def the_ca_changes(self, script, region):
        """One of the CAs behaves differently from now on."""
        self.ca.scripts[region] = tuple(script)

    @rule(one=certificates, days=st.none() | st.integers(-100, 100), retry_after=st.none() | st.integers(0, 10**6))
    def the_ca_wishes(self, one, days, retry_after):
        """The CA wants a leaf to be renewed at some time, or cannot be asked."""
        start = self.environment.now() + timedelta(days=days or 0)
        window = SuggestedWindow(start=start, end=start + timedelta(days=2), retry_after=retry_after)
        names = tuple(name.ascii for name in self.core.certificates.get(one).names)
        self.ca.windows[names] = CAError("It is down.") if days is None else window

    @rule(seconds=st.sampled_from([1, 59, 61, 3600, 86400, 20 * 86400, 45 * 86400]))
    def time_passes(self, seconds):
        """The clock goes on."""
        self.environment.advance(timedelta(seconds=seconds))

    @rule(one=certificates)
    def reconcile(self, one):
        """A worker looks at a certificate."""
        self.core.reconcile(one)

    @rule()
    def reconcile_all_due(self):
        """A worker takes a step of everything that is due."""
        for schedule in inside(self.core).engine.claim_due(100):
            inside(self.core).engine.step(inside(self.core).engine.load(schedule), keep_lease=False)

    @rule(one=certificates)
    def a_worker_dies(self, one):
        """A worker takes a lease and is never heard of again."""
        inside(self.core).engine.claim_due(1)

    @rule(one=certificates, action=st.sampled_from(["generate_csr", "renew", "check_now", "back_to_draft"]))
    def a_user_acts(self, one, action):
        """A user presses a button; one that is not offered is refused and changes nothing."""
        view = self.core.certificates.view(one)
        refused = ""
        try:
            getattr(self.core.certificates, action)(one)
        except InvalidInputError as error:
            refused = error.field
        except TransitionNotAllowedError:
            refused = "status"
        if refused:
            assert self.core.certificates.view(one) == view
            # The CSR that is for a key that was revoked is found at a second look.
            assert refused == "csr" or action not in {str(allowed) for allowed in view.actions}

    @rule(one=certificates)
    def a_user_revokes(self, one):
        """A user has the leaf in service revoked, through a CA profile that is named; but none without any proof."""
        view = self.core.certificates.view(one)
        refusal = None
        try:
            self.core.certificates.revoke(one, authority=self.authorities[0])
        except CertCoreError as error:
            refusal = error
        if refusal is not None:
            no_proof = "imported without its private key" in refusal.message
            assert isinstance(refusal, TransitionNotAllowedError) or no_proof
            assert "revoke" not in view.actions
            assert self.core.certificates.view(one) == view

    @rule(one=certificates)
    def a_user_gives_up(self, one):
        """A user gives an attempt beside the leaf up: the form is that of the leaf again."""
        before = self.core.certificates.view(one)
        try:
            back = self.core.certificates.cancel_attempt(one)
        except CertCoreError:
            assert "cancel_attempt" not in before.actions
            assert self.core.certificates.view(one) == before
            return
        after = self.core.certificates.view(one)
        assert after.active == before.active
        assert not after.under_way
        assert set(back.names) == set(after.active.names)
        assert (back.key_type, back.csr_pem) == (after.active.key_type, after.active.own_csr_pem)

    @rule(
        one=certificates,
        other=st.booleans(),
        auto=st.booleans(),
        days=st.none() | st.integers(1, 365),
        more=st.sampled_from([{}, {"key_type": "ec-p384"}, {"subject": {"organization": "Shop"}}]),
    )
    def a_user_edits(self, one, other, auto, days, more):
        """A user changes the policy, and where the table permits it the CA profile, the key type and the subject."""
        before = self.core.certificates.view(one)
        certificate = before.certificate
        methods = {view.field.name: view.edit_method for view in before.fields}
        authority = self.authorities[other] if methods["authority"] == "edit" else None
        if authority in certificate.fallbacks:
            authority = None
        policy = RenewalPolicy(auto=auto, days_before=days)
        try:
            saved = self.core.certificates.edit(one, renewal=policy, authority=authority, **more)
        except (InvalidInputError, TransitionNotAllowedError):
            assert more
            assert methods["key_type"] != "edit" or (certificate.csr_pem and "key_type" in more)
            assert self.core.certificates.view(one) == before
            return
        # What is as it was is not saved again.
        assert saved.version == certificate.version + 1 or saved == certificate
        after = self.core.certificates.view(one)
        assert (after.active, after.issuance) == (before.active, before.issuance)

    @rule(one=consumes(certificates))
    def a_user_deletes(self, one):
        """A user deletes a certificate: nothing of it stays but its timeline."""
        issuances = [issuance.id for issuance in self.core.certificates.issuances(one)]
        self.core.certificates.delete(one)
        del self.seen[one]
        assert not self.ca.held & set(issuances)
        assert self.core.certificates.timeline(one)[-1].kind == "deleted"

    @invariant()
    def statuses_follow_the_table(self):
        """A status only ever changes as the one table says, possibly through several actions of one step."""
        for one, before in self.seen.items():
            now = self.core.certificates.get(one)
            reachable = {before.status}
            for _ in range(3):
                reachable |= {after for (at, after) in _POSSIBLE if at in reachable}
            assert now.status in reachable
            assert now.version >= before.version
            self.seen[one] = now

    @invariant()
    def what_is_active_works(self):
        """An active certificate has a leaf for its names whose key is in the store, and not yet at its end for long."""
        for one, certificate in self.seen.items():
            if certificate.active_issuance_id is None:
                assert certificate.status not in (Status.ACTIVE, Status.EXPIRED)
                continue
            view = self.core.certificates.view(one)
            assert view.active.leaf_pem
            assert set(view.active.leaf.names) == {name.ascii for name in view.active.names}
            assert certificate.not_after == view.leaf.not_after

    @invariant()
    def a_leaf_is_never_lost(self):
        """What was in service stays so until a newer leaf is, or is there still to be looked at."""
        for one in self.seen:
            numbers = {issuance.id: issuance for issuance in self.core.certificates.issuances(one)}
            active = self.core.certificates.get(one).active_issuance_id
            if self.in_service.get(one):
                assert numbers[active].number >= numbers[self.in_service[one]].number
            if active is not None:
                assert numbers[active].outcome is Outcome.ISSUED
                self.in_service[one] = active

    @invariant()
    def keys_that_nobody_needs_are_destroyed(self):
        """A key is here for each leaf and for the attempt that may get one, and for no other attempt.

        That of an earlier leaf that has ended may be gone: the next renewal destroys it.
        """
        with inside(self.core).storage.read() as transaction:
            kept = set(transaction.secrets.names("certificate-key"))
        wanted, needed = set(), set()
        for one in self.seen:
            certificate = self.core.certificates.get(one)
            for issuance in self.core.certificates.issuances(one):
                if issuance.outcome in (None, Outcome.ISSUED) or issuance.id == certificate.issuance_id:
                    wanted.add(issuance.key_name)
                has_ended = issuance.leaf is not None and issuance.leaf.not_after <= self.environment.now()
                is_needed = issuance.outcome in (None, Outcome.ISSUED) and not has_ended
                if not issuance.is_keyless and (is_needed or issuance.id == certificate.active_issuance_id):
                    needed.add(issuance.key_name)
        assert needed <= kept <= wanted

    @invariant()
    def what_is_held_outside_is_known(self):
        """Nothing is held for an attempt that the store does not know to be under way, or to be cleaned up."""
        for one in self.seen:
            for issuance in self.core.certificates.issuances(one):
                ended = issuance.outcome is not None and not issuance.needs_clean_up
                assert not ended or issuance.id not in self.ca.held

    @invariant()
    def notices_come_once(self):
        """Of each leaf fewer days are told each time, before its end; that its renewal fails is told once."""
        for one in self.seen:
            told = {}
            for event in self.core.certificates.timeline(one, limit=1000):
                if event.kind in ("expires_soon", "renewal_failing"):
                    told.setdefault((event.kind, event.data["not_after"]), []).append(event)
            for (kind, ends), events in told.items():
                days = [event.data.get("days", 0) for event in events]
                assert days == sorted(set(days), reverse=True)
                assert kind == "renewal_failing" or all(event.at.isoformat() < ends for event in events)

    @invariant()
    def what_is_revoked_stays_out_of_service(self):
        """A certificate is revoked when the CA has confirmed it, and no leaf in service has a key that was revoked."""
        revoked = {parse_chain(pem).leaf.spki_sha256 for pem in self.ca.revoked}
        for one, certificate in self.seen.items():
            if certificate.active_issuance_id is None:
                continue
            key = self.core.certificates.view(one).leaf.spki_sha256
            if certificate.status is Status.REVOKED:
                assert key in revoked
            elif certificate.status is Status.ACTIVE:
                assert key not in revoked

    @invariant()
    def at_most_one_attempt_is_under_way(self):
        """No certificate has two issuances in flight, and history is numbered without gaps."""
        for one in self.seen:
            issuances = self.core.certificates.issuances(one)
            assert sum(issuance.outcome is None for issuance in issuances) <= 1
            assert [issuance.number for issuance in issuances] == list(range(1, len(issuances) + 1))

    @invariant()
    def events_only_grow(self):
        """Sequence numbers grow, and the last event of a certificate names its status."""
        with inside(self.core).storage.read() as transaction:
            for event in transaction.events.after(self.sequence):
                assert event.sequence > self.sequence
                self.sequence = event.sequence

    @invariant()
    def keys_do_not_show(self):
        """No value that a page could show holds private key material."""
        for one in self.seen:
            view = self.core.certificates.view(one)
            shown = repr(view) + str([hint_to_json(hint) for hint in self.core.certificates.hints(one)])
            assert "PRIVATE KEY" not in shown

    @rule(one=certificates)
    def the_key_fits(self, one):
        """Whoever may take the key out gets the one that belongs to the leaf."""
        try:
            exported = self.core.certificates.export(one, reason="test")
        except CertCoreError:
            return
        key = load_private_key(exported.private_key.reveal())
        assert spki_sha256(key.public_key()) == self.core.certificates.view(one).leaf.spki_sha256


class LongLife(Life):
    """The same, many more times."""


_LIVES = settings(max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
Life.TestCase.settings = _LIVES
TestLife = pytest.mark.slow(reason="walks through thousands of states")(Life.TestCase)
# In CI the gate takes the same walks each time; these differ.
LongLife.TestCase.settings = settings(_LIVES, max_examples=600, derandomize=False)
TestLongLife = pytest.mark.soak(LongLife.TestCase)
