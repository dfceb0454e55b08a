"""Stores in which certificates are obtained."""

from datetime import timedelta

from certcore import NoticePolicy
from certcore.adapters.environment import SystemEnvironment
from certcore.ports.ca_module import Issued, Waiting, WaitingFor
from certcore.testing.scripted_ca import ScriptedCA
from support.cores import core_on
from support.inside import inside


class Waiter:
    """Waiting moves the clock; it remembers how often, and how long at most."""

    def __init__(self, environment):
        self.environment, self.waits = environment, []

    def __call__(self, seconds):
        assert 0 < seconds <= 1
        self.waits.append(seconds)
        self.environment.advance(timedelta(seconds=seconds))


def stored_count(bench):
    """How many certificates are in the store."""
    with inside(bench.core).storage.read() as transaction:
        return len(transaction.certificates.page(limit=100))


class Quick(ScriptedCA):
    """Needs some steps, some milliseconds apart."""

    def advance(self, work):
        step = int((work.state or {}).get("step", 0))
        if step < 4:
            at = work.environment.now() + timedelta(milliseconds=20)
            return Waiting(state={"step": step + 1}, look_again=at, waiting_for=WaitingFor.AUTHORITY)
        return Issued(state={}, chain_pem=self._authority.issue(work.issuance.csr_pem, now=work.environment.now()))


def quick_core(storage, tmp_path):
    """A core of each kind, on the true clock."""
    ca = Quick(now=SystemEnvironment().now())
    return core_on(storage, tmp_path, plugins=[ca.plugin()], notices=NoticePolicy(days_before=()))
