"""The same action on many certificates, with a result for each; a failure does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

from attrs import field, frozen

from certcore.errors import CertCoreError
from certcore.model.certificate import Certificate
from certcore.model.export import Exported, ExportOptions
from certcore.model.identifiers import check_actor, check_id
from certcore.model.input_limits import LONGEST_ID, counted, text_within, true_or_false
from certcore.model.revocation import RevocationReason
from certcore.model.secret import Secret
from certcore.services.drafts import Drafts
from certcore.services.exports import Exports
from certcore.services.issuance import Requests
from certcore.services.revocation import Revocation

__all__ = ["BulkCalls", "BulkResult"]

T = TypeVar("T")
#: How many certificates one call may name.
_MOST: Final = 200
_LONGEST_REASON: Final = 500


@frozen(kw_only=True)
class BulkResult(Generic[T]):
    """The result for one certificate."""

    certificate_id: str
    #: The error; None after a success.
    error: CertCoreError | None = None
    #: The return value of the call for one certificate.
    value: T | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.error is None


@frozen(kw_only=True, eq=False, slots=False)
class BulkCalls(Drafts, Requests, Exports, Revocation):
    """Calls about many certificates, at most 200 at once. The policy is asked about each."""

    def bulk_renew(self, certificate_ids: Iterable[str], *, actor: str = "system") -> Sequence[BulkResult[Certificate]]:
        """Begin a new issuance for each of the certificates, as `renew`.

        Args:
            certificate_ids: The IDs of at most 200 certificates. Duplicates are ignored.
            actor: Who makes the call.

        Returns:
            A result for each certificate, in the order of the IDs. If the policy or the status refuses a certificate,
            its result has the ``error``.

        Raises:
            InvalidInputError: There are too many IDs, or an ID or the actor is malformed; nothing was done.
        """
        return _each(certificate_ids, actor, lambda certificate_id: self.renew(certificate_id, actor=actor))

    def bulk_revoke(
        self,
        certificate_ids: Iterable[str],
        *,
        reason: RevocationReason | str = RevocationReason.UNSPECIFIED,
        actor: str = "system",
    ) -> Sequence[BulkResult[Certificate]]:
        """Ask the CAs to revoke the leaf of each of the certificates, as `revoke`, one after the other.

        Args:
            certificate_ids: As in `bulk_renew`.
            reason: Why, for all of them.
            actor: Who does this.

        Raises:
            InvalidInputError: As in `bulk_renew`; or the reason is unknown.
        """
        why = RevocationReason.parse(reason)
        return _each(
            certificate_ids, actor, lambda certificate_id: self.revoke(certificate_id, reason=why, actor=actor)
        )

    def bulk_delete(self, certificate_ids: Iterable[str], *, actor: str = "system") -> Sequence[BulkResult[None]]:
        """Delete each of the certificates with its keys, as `delete`.

        Args:
            certificate_ids: As in `bulk_renew`.
            actor: Who does this.

        Raises:
            InvalidInputError: As in `bulk_renew`.
        """
        return _each(certificate_ids, actor, lambda certificate_id: self.delete(certificate_id, actor=actor))

    def bulk_export(
        self,
        certificate_ids: Iterable[str],
        format: str = "",  # noqa: A002 - as in `export`
        *,
        with_key: bool = True,
        reason: str = "",
        password: Secret | None = None,
        legacy: bool = False,
        actor: str = "system",
    ) -> Sequence[BulkResult[Exported]]:
        """Export each of the certificates, as `export`. The export of each private key is recorded.

        Args:
            certificate_ids: As in `bulk_renew`.
            format: As in `export`.
            with_key: As in `export`.
            reason: Why the private keys are exported, for the timelines. Required with the keys.
            password: As in `export`, for all of them.
            legacy: As in `export`.
            actor: Who does this.

        Raises:
            InvalidInputError: As in `bulk_renew`, or the password cannot be used.
        """
        text_within("format", format, LONGEST_ID)
        text_within("reason", reason, _LONGEST_REASON)
        true_or_false("with_key", with_key)
        true_or_false("legacy", legacy)
        # Refuse an unusable password once, not for each certificate.
        ExportOptions(at=self._contexts.environment.now(), password=password)
        return _each(
            certificate_ids,
            actor,
            lambda certificate_id: self.export(
                certificate_id,
                format,
                with_key=with_key,
                reason=reason,
                password=password,
                legacy=legacy,
                actor=actor,
            ),
        )


def _each(certificate_ids: Iterable[str], actor: str, call: Callable[[str], Any]) -> Sequence[BulkResult[Any]]:
    check_actor(actor)
    ids = counted("certificate_ids", certificate_ids, _MOST)
    for certificate_id in ids:
        check_id("certificate_ids", certificate_id)
    return tuple(_result(certificate_id, call) for certificate_id in dict.fromkeys(ids))


def _result(certificate_id: str, call: Callable[[str], Any]) -> BulkResult[Any]:
    try:
        return BulkResult(certificate_id=certificate_id, value=call(certificate_id))
    except CertCoreError as error:
        return BulkResult(certificate_id=certificate_id, error=error)
