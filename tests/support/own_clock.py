"""A CA with a clock of its own, whose leaves have the dates that a test wants."""

from datetime import timedelta

from attrs import evolve

from certcore import CertCore
from certcore.model.notice_policy import NoticePolicy
from certcore.ports.ca_module import Waiting
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedRenewalCA
from support.inside import inside

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class OwnClockCA(ScriptedRenewalCA):
    """Issues by its own clock; counts orders, leaves and looks."""

    def __init__(self, *, environment):
        super().__init__([Act.ISSUE], now=environment.now())
        self.environment = environment
        #: How far this CA's clock is ahead of the machine's.
        self.ahead = timedelta(0)
        #: When it wants to be asked again while it is at work, or waits.
        self.wait = timedelta(minutes=1)
        #: How long its leaves live from now on, and how far they are dated back beyond an hour.
        self.lifetime = 90 * DAY
        self.dated_back = timedelta(0)
        #: When it issued, by the machine's clock.
        self.issued_at = []
        #: What `renewal_info` says: a function of the moment; None: no opinion.
        self.wish = None
        #: Names of every leaf beside those that were asked for.
        self.extra = ()

    def _act(self, act, work, state):
        step = super()._act(act, work, state)
        return evolve(step, look_again=work.environment.now() + self.wait) if isinstance(step, Waiting) else step

    def _chain(self, act, work, now):
        true = now + self.ahead
        if act is Act.ISSUE:
            self.issued_at.append(now)
            names = [name.ascii for name in work.issuance.names] + list(self.extra)
            return self._authority.issue(
                work.issuance.csr_pem,
                now=true - self.dated_back,
                lifetime=self.lifetime + self.dated_back,
                names=names if self.extra else None,
            )
        if act in (Act.WRONG_KEY, Act.WRONG_NAMES, Act.ENDED, Act.GARBAGE):
            self.issued_at.append(now)
        return super()._chain(act, work, true)

    def renewal_info(self, issuance, context):
        with self._lock:
            self.asked += 1
        return None if self.wish is None else self.wish(context.environment.now())


class Machine:
    """A panel in memory with one such CA, and a clock that is put on to whatever is due next."""

    def __init__(self, ca_type=OwnClockCA, *, more_plugins=(), **options):
        self.environment = FrozenEnvironment()
        self.ca = ca_type(environment=self.environment)
        self.core = CertCore.in_memory(
            plugins=[self.ca.plugin(), *more_plugins],
            installed_plugins=False,
            environment=self.environment,
            **{"notices": NoticePolicy(days_before=()), **options},
        )
        self.authority = self.core.authorities.create("test", module="scripted").id
        self.steps = 0

    def requested(self, domain="shop.example", **fields):
        certificate_id = self.core.certificates.create(domain, authority=self.authority, **fields).id
        return self.core.certificates.generate_csr(certificate_id).id

    def work(self):
        """Take all steps that are due now, at most 300."""
        for _ in range(300):
            claimed = inside(self.core).engine.claim_due(50)
            if not claimed:
                return
            for schedule in claimed:
                inside(self.core).engine.step(inside(self.core).engine.load(schedule), keep_lease=False)
                self.steps += 1
        raise AssertionError("the steps do not end")

    def run(self, duration, *, most=4000):
        """Let time pass, from one due moment to the next."""
        end = self.environment.now() + duration
        for _ in range(most):
            self.work()
            with inside(self.core).storage.read() as transaction:
                due = transaction.schedules.next_due(now=self.environment.now())
            if due is None or due > end:
                break
            self.environment.set(max(due, self.environment.now() + timedelta(milliseconds=1)))
        else:
            raise AssertionError("there is always something to do")
        self.environment.set(end)
        self.work()

    def get(self, certificate_id):
        return self.core.certificates.get(certificate_id)

    def view(self, certificate_id):
        return self.core.certificates.view(certificate_id)

    def hints(self, certificate_id):
        return {hint.text.key: hint for hint in self.core.certificates.hints(certificate_id) if hasattr(hint, "text")}


def most_within(moments, window):
    """The largest number of moments that lie within such a time."""
    return max((sum(start <= at < start + window for at in moments) for start in moments), default=0)


class Looping(OwnClockCA):
    """Answers "not yet", and when to look again as a test wants it."""

    def __init__(self, *, environment):
        super().__init__(environment=environment)
        self.answer = None
        self.looks = []

    def advance(self, work):
        self.looks.append(work.environment.now())
        step = self.answer(work)
        return super().advance(work) if step is None else step
