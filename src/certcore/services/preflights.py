"""The preflight of a certificate at a user's request."""

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
    """The call that runs a preflight."""

    def preflight(self, certificate_id: str, *, actor: str = "system") -> Preflight:
        """Check now whether a renewal could succeed, and find its obstacles. Nothing is ordered.

        The call takes several seconds if name servers do not answer. Certificates in service that renew automatically
        are also checked regularly, see `certcore.model.preflight`.

        Returns:
            The result: ``readiness`` has the obstacles and who has to act. It is None if there is nothing to check: no
            leaf in service, no CA profile, or an issuance under way. Without the permission
            ``certificate.deliveries``, it has no details of the deployment targets.

        Raises:
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
        """
        stored = self._access.certificate(actor, Permission.CERTIFICATE_CHECK, certificate_id)
        # A plugin that may not see the certificate must get a refusal, which must not look like a deletion.
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
