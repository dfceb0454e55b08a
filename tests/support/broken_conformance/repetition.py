"""Modules that fail when something is repeated, or done by another object."""

import os
import threading

from certcore.plugin import (
    CertCoreError,
    Failed,
    Problem,
    Retry,
)
from support.broken_conformance.leaves import _signed
from support.broken_conformance.table import breaks
from support.conformant_ca import ConformantCA


class DeletionRefusedError(CertCoreError):
    """For the module below."""

    code = "conformant_deletion_refused"


@breaks("deletion")
class RefusesDeletion(ConformantCA):
    def certificate_deleted(self, certificate, context):
        if certificate.status != "active":
            raise DeletionRefusedError("The CA does not forget it.", advice="Wait.")


@breaks("cancellation")
class KeepsWhatIsGivenUp(ConformantCA):
    def clean_up(self, work):
        if work.certificate.status != "active" or work.issuance.outcome != "abandoned":
            super().clean_up(work)


@breaks("renews")
class SameSerial(ConformantCA):
    def chain(self, work):
        serial = int.from_bytes(work.issuance.certificate_id.encode()[-12:].rjust(12, b"c"), "big")
        return _signed(work, serial=serial)


@breaks("repeated-steps")
class RefusesRepetition(ConformantCA):
    def ordered(self, work):
        if work.issuance.id in self.world.orders:
            problem = Problem(title="There is an order already.", advice="Ask the CA.")
            return Failed(state={}, problem=problem, retry=Retry.NEVER, needs_clean_up=True)
        return super().ordered(work)


@breaks("orders-once")
class OrdersAgain(ConformantCA):
    def ordered(self, work):
        with self.world.lock:
            self.world.placed += work.issuance.id in self.world.orders
        return super().ordered(work)


@breaks("fresh-object")
class RemembersInObject(ConformantCA):
    def __init__(self):
        super().__init__()
        self.seen = {}

    def ordered(self, work):
        self.seen[work.issuance.id] = True
        return super().ordered(work)

    def issued(self, work):
        if work.issuance.id not in self.seen:
            problem = Problem(title="The order is not known.", advice="Ask the CA.")
            return Failed(state={}, problem=problem, retry=Retry.NEVER, needs_clean_up=True)
        return super().issued(work)


@breaks("fresh-globals")
class RemembersInClass(RemembersInObject):
    seen = {}  # noqa: RUF012 - this is the fault

    def __init__(self):
        ConformantCA.__init__(self)


@breaks("certificates-apart")
class OneAtATime(ConformantCA):
    def ordered(self, work):
        self.world.last = work.issuance.csr_pem
        return super().ordered(work)

    def chain(self, work):
        return super().chain(work, csr=self.world.last)


@breaks("thread-safe")
class SharesAField(ConformantCA):
    def __init__(self):
        super().__init__()
        self.together = threading.Barrier(4)
        self.csr = ""
        self.is_seen = False

    def chain(self, work):
        self.csr = work.issuance.csr_pem
        if threading.current_thread() is not threading.main_thread() and not self.is_seen:
            self.together.wait(60)
            self.is_seen = True
        return super().chain(work, csr=self.csr)


@breaks("fork-safe")
class KeepsAConnection(ConformantCA):
    def __init__(self):
        super().__init__()
        self.connected_by = os.getpid()

    def ordered(self, work):
        if os.getpid() != self.connected_by:
            problem = Problem(title="The connection is another process's.", advice="Ask the CA.")
            return Failed(state={}, problem=problem, retry=Retry.NEVER, needs_clean_up=True)
        return super().ordered(work)
