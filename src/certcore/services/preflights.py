"""The preflight of one certificate, asked for by a user."""

from __future__ import annotations

from attrs import evolve, frozen

from certcore.engine.preflights import Preflights
from certcore.errors import StaleWriteError
from certcore.model.permissions import Permission
from certcore.model.preflight import Preflight
from certcore.services.certificate_detail import Queries
from certcore.services.exports import Exports

__all__ = ["PreflightRequests"]


@frozen(kw_only=True, eq=False, slots=False)
class PreflightRequests(Queries, Exports):
    """The call that checks a certificate as if it were renewed now."""

    def preflight(self, certificate_id: str, *, actor: str = "system") -> Preflight:
        """Check now whether a renewal could succeed, and find its obstacles; nothing is ordered.

        It takes some seconds where name servers do not answer. Certificates in service that renew automatically are
        checked regularly as well, see `certcore.model.preflight`.

        Returns:
            What was found: its ``readiness`` says yes or no, why, and whose turn it is. That is None where there is
            nothing to check: no leaf in service, no CA profile, or an issuance that is under way. Without
            ``certificate.deliveries`` it does not tell why a target cannot be written.

        Raises:
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
        """
        stored = self._access.certificate(actor, Permission.CERTIFICATE_CHECK, certificate_id)
        # A plugin that may not see the certificate reports that: for it, a refusal must not look like a deletion.
        seen_by_plugins = evolve(self, access=evolve(self._access, hides=False))
        preflights = Preflights(contexts=self._contexts, certificates=seen_by_plugins)
        try:
            result = preflights.check(certificate_id, actor=actor, is_asked=True)
        except StaleWriteError:  # another process has checked it at the same moment
            with self._contexts.storage.read() as transaction:
                result = transaction.preflights.get(certificate_id) or Preflight(
                    certificate_id=certificate_id, due_at=self._contexts.environment.now()
                )
        sees_details = self._access.allows(actor, Permission.CERTIFICATE_DELIVERIES, certificate_id, owner=stored.owner)
        return result if sees_details else result.without_details()
