"""Modules that clean up, revoke and check otherwise than they say."""

from datetime import timedelta

from certcore.plugin import (
    CAError,
    CheckItem,
    CheckReport,
)
from support.broken_conformance.table import breaks
from support.conformant_ca import ConformantCA, message


@breaks("clean-up")
class CleansUpInThePast(ConformantCA):
    def clean_up(self, work):
        with self.world.lock:
            was_held = work.issuance.id in self.world.held
            self.world.held.discard(work.issuance.id)
        return work.environment.now() - timedelta(hours=1) if was_held else None


@breaks("clean-up-twice")
class CleansUpOnce(ConformantCA):
    def clean_up(self, work):
        if work.issuance.id in self.world.released:
            raise KeyError(work.issuance.id)
        super().clean_up(work)


@breaks("clean-up-nothing")
class CleansUpWhatItHolds(ConformantCA):
    def clean_up(self, work):
        if work.issuance.id not in self.world.held | self.world.released:
            raise KeyError(work.issuance.id)
        super().clean_up(work)


@breaks("taken-back")
class LeavesBehind(ConformantCA):
    def clean_up(self, work):
        pass


@breaks("revoke")
class CannotRevoke(ConformantCA):
    def revoke(self, issuance, reason, private_key, context):
        raise CAError("The CA does not revoke.", problem_type="urn:conformant:no", advice="Ask the CA.")


@breaks("revoke-twice")
class RevokesOnce(ConformantCA):
    def revoke(self, issuance, reason, private_key, context):
        if issuance.leaf_pem in self.world.revoked:
            raise CAError("It is revoked already.", problem_type="urn:conformant:revoked", advice="Ask the CA.")
        super().revoke(issuance, reason, private_key, context)


@breaks("revoke-key")
class OpensKeys(ConformantCA):
    def revoke(self, issuance, reason, private_key, context):
        private_key()
        super().revoke(issuance, reason, private_key, context)


@breaks("renewal-info")
class WordsForAWindow(ConformantCA):
    def renewal_info(self, issuance, context):
        return "soon"


@breaks("preflight")
class TrueForReadiness(ConformantCA):
    def preflight(self, work):
        return True


@breaks("diagnosis")
class TextsForFindings(ConformantCA):
    def diagnose(self, names, context, *, thorough):
        return ["all is well"]


@breaks("check")
class FailingCheck(ConformantCA):
    def check(self, context):
        return CheckReport(items=(CheckItem(title=message("reached", "The CA answers"), ok=False),))


@breaks("check-ca-down")
class CheckRaises(ConformantCA):
    def check(self, context):
        if self.world.is_down:
            raise ConnectionError("no route")
        return super().check(context)


@breaks("ca-down")
class StepRaisesWhenDown(ConformantCA):
    def advance(self, work):
        if self.world.is_down:
            raise ConnectionError("no route")
        return super().advance(work)


@breaks("certificate-deleted")
class DeletesOnce(ConformantCA):
    def certificate_deleted(self, certificate, context):
        if certificate.id in self.world.released:
            raise KeyError(certificate.id)
        self.world.released.add(certificate.id)
