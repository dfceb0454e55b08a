"""Users, the engine, the clock and the CA in any order: what must hold always, holds always."""

from datetime import timedelta

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from certcore import CertCore, RenewalPolicy, Status
from certcore.errors import CAError, CertCoreError, TransitionNotAllowed
from certcore.model.hints import hint_to_json
from certcore.model.lifecycle import TRANSITIONS
from certcore.model.renewal_info import SuggestedWindow
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedRenewalCA
from certcore.x509.chain import parse_chain
from certcore.x509.keys import load_private_key, spki_sha256

#: What can follow what in one action, whoever takes it.
_POSSIBLE = {(before, after) for (before, _), after in TRANSITIONS.items()}
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

    def teardown(self):
        """Whatever happened: with a CA that issues, and time, nothing is held outside at last."""
        self.ca.scripts = {}
        self.ca.windows = {}
        self.environment.advance(timedelta(minutes=6))  # leases of workers that died have run out
        for one in list(self.seen):
            for _ in range(6):
                due = self.core.certificates.view(one).schedule.due_at
                if due is None or due > self.environment.now() + timedelta(days=2):
                    break
                self.environment.set(max(due, self.environment.now()))
                self.core.reconcile(one)
        for one in self.seen:
            for issuance in self.core.certificates.issuances(one):
                assert issuance.outcome is None or issuance.id not in self.ca.held
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
        for schedule in self.core.engine.claim_due(100):
            self.core.engine.step(self.core.engine.load(schedule), keep_lease=False)

    @rule(one=certificates)
    def a_worker_dies(self, one):
        """A worker takes a lease and is never heard of again."""
        self.core.engine.claim_due(1)

    @rule(one=certificates, action=st.sampled_from(["generate_csr", "renew", "check_now", "back_to_draft", "revoke"]))
    def a_user_acts(self, one, action):
        """A user presses a button; one that is not offered is refused and changes nothing."""
        view = self.core.certificates.view(one)
        try:
            getattr(self.core.certificates, action)(one)
        except TransitionNotAllowed:
            assert action not in {str(allowed) for allowed in view.actions}
            assert self.core.certificates.view(one) == view

    @rule(one=certificates, other=st.booleans(), days=st.none() | st.integers(1, 365))
    def a_user_edits(self, one, other, days):
        """A user changes the policy, and in draft the CA profile."""
        certificate = self.core.certificates.get(one)
        if certificate.status is Status.REVOKED:
            return
        authority = self.authorities[other] if certificate.status is Status.DRAFT else None
        if authority in certificate.fallbacks:
            authority = None
        saved = self.core.certificates.edit(one, renewal=RenewalPolicy(days_before=days), authority=authority)
        assert saved.version > certificate.version

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
        with self.core.engine.storage.read() as transaction:
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


Life.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLife = Life.TestCase
