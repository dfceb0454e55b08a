"""Export certificates and private keys. Exports are authorised, and those of keys are recorded in the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve, frozen

from certcore.engine.certificate_keys import find_key, open_key
from certcore.engine.module_context import Contexts
from certcore.errors import InvalidInputError, NotIssuedError, PrivateKeyNotStoredError
from certcore.messages import Message
from certcore.model.certificate import Certificate
from certcore.model.events import Event, EventKind
from certcore.model.export import Exported, ExportedFile, ExportFormat, ExportOptions
from certcore.model.input_limits import LONGEST_ID, refuse_unstorable, text_within, true_or_false
from certcore.model.issuance import Issuance
from certcore.model.labels import label_of
from certcore.model.lifecycle import Action
from certcore.model.permissions import Permission
from certcore.model.plugin_calls import call_plugin
from certcore.model.secret import Secret
from certcore.model.transitions import transition
from certcore.services.access import Access
from certcore.x509.chain import presentable_chain
from certcore.x509.formats import EXPORT_FORMATS, find_format

__all__ = ["Exports"]

_LONGEST_REASON: Final = 500


@frozen(kw_only=True, eq=False, slots=False)
class Exports:
    """The calls that export certificates. No other calls return private keys."""

    _contexts: Contexts
    _access: Access

    def formats(self) -> Sequence[ExportFormat]:
        """The formats of `export`: those of certcore, then those of plugins."""
        formats: dict[str, ExportFormat] = {}
        for export_format in (*EXPORT_FORMATS, *self._contexts.plugins.export_formats()):
            formats.setdefault(export_format.name, export_format)
        return tuple(formats.values())

    def export(  # noqa: PLR0913 - each is an option that users of formats know
        self,
        certificate_id: str,
        format: str = "",  # noqa: A002 - what users call it
        *,
        with_key: bool = True,
        reason: str = "",
        password: Secret | None = None,
        legacy: bool = False,
        friendly_name: str = "",
        folder: str = "",
        actor: str = "system",
    ) -> Exported:
        """Export the leaf in service, its chain and its private key, and with a format also as files.

        Args:
            certificate_id: The certificate.
            format: The name of one of `formats`, for example ``zip``, ``pkcs12`` or ``nginx``; empty for no files.
            with_key: Whether to export the private key. Formats that require it are refused without it.
            reason: Why the private key is exported, for the timeline. Required with the key.
            password: Encrypts the private key, in formats that support it.
            legacy: Whether to use the legacy variant of PKCS#12, for programs that cannot read the present one.
            friendly_name: The certificate's name in a key store; empty for its domain.
            folder: The directory of the files, for configuration snippets of servers.
            actor: Who exports. Without the key, the permission to view is enough.

        Raises:
            InvalidInputError: There is no such format, it does not support an option, or the reason is missing.
            NotFoundError: There is no such certificate.
            NotIssuedError: No leaf was issued yet.
            PrivateKeyNotStoredError: The private key is not in the store.
            AccessDeniedError: The policy refused.
            SealingError: The private key cannot be opened.
        """
        text_within("reason", reason, _LONGEST_REASON)
        true_or_false("with_key", with_key)
        true_or_false("legacy", legacy)
        for field, text in (("friendly_name", friendly_name), ("folder", folder)):
            text_within(field, text, _LONGEST_REASON)
        options = ExportOptions(
            at=self._contexts.environment.now(),
            password=password,
            legacy=legacy,
            friendly_name=friendly_name,
            folder=folder,
        )
        if not text_within("format", format, LONGEST_ID):
            if password is not None or legacy or friendly_name or folder:
                raise InvalidInputError(
                    "format", Message("export.format_required", "is required with options of a format.")
                )
            return self._export(certificate_id, with_key=with_key, reason=reason, actor=actor)
        chosen = find_format(format, self.formats())
        call_plugin(chosen.name, "ExportFormat.check", chosen.check, options, returns=None)
        takes_key = chosen.takes_key(with_key=with_key)
        exported = self._export(certificate_id, with_key=takes_key, reason=reason, actor=actor)
        files: tuple[ExportedFile, ...] = call_plugin(
            chosen.name, "ExportFormat.export", chosen.export, exported, options, returns=tuple[ExportedFile, ...]
        )
        return evolve(exported, files=files)

    def private_key(self, certificate_id: str, *, reason: str, actor: str = "system") -> Secret:
        """The private key of the leaf in service, or else of the issuance under way, as PKCS#8 PEM.

        Args:
            certificate_id: The certificate.
            reason: Why the private key is exported, for the timeline.
            actor: Who exports.

        Raises:
            InvalidInputError: The reason is missing.
            NotFoundError: There is no such certificate.
            NotIssuedError: There is no key yet.
            PrivateKeyNotStoredError: The private key is not in the store.
            AccessDeniedError: The policy refused.
            SealingError: The private key cannot be opened.
        """
        return self._reveal(certificate_id, reason=reason, actor=actor)[1]

    def _export(self, certificate_id: str, *, with_key: bool, reason: str, actor: str) -> Exported:
        key = None
        if with_key:
            issuance, key = self._reveal(certificate_id, reason=reason, actor=actor, issued=True)
        else:
            certificate = self._access.certificate(actor, Permission.CERTIFICATE_VIEW, certificate_id)
            with self._contexts.storage.read() as transaction:
                issuance = transaction.issuances.get(_issuance_id(certificate, issued=True))
        leaf_pem = issuance.leaf_pem or ""
        return Exported(
            names=tuple(name.ascii for name in issuance.names),
            leaf_pem=leaf_pem,
            # Without certificates that have expired since the leaf was installed.
            chain_pem=presentable_chain(leaf_pem, issuance.chain_pem or "", self._contexts.environment.now()),
            private_key=key,
        )

    def _reveal(self, certificate_id: str, *, reason: str, actor: str, issued: bool = False) -> tuple[Issuance, Secret]:
        if not text_within("reason", reason, _LONGEST_REASON).strip():
            raise InvalidInputError("reason", Message("export.reason_required", "is required to export a private key."))
        refuse_unstorable({"reason": reason})
        certificate = self._access.certificate(actor, Permission.CERTIFICATE_REVEAL_KEY, certificate_id)
        with self._contexts.storage.read() as transaction:
            issuance = transaction.issuances.get(_issuance_id(certificate, issued=issued))
            sealed = find_key(transaction, certificate, issuance)
        if sealed is None and issuance.is_keyless:
            raise PrivateKeyNotStoredError(
                Message(
                    "export.key_never_stored",
                    "The private key of {domain} was never in the store.",
                    {"domain": certificate.domain},
                ),
                domain=certificate.domain.ascii,
                advice=(
                    Message(
                        "export.key_never_stored.advice",
                        (
                            "It is where the CSR was made, or where the certificate was imported from. The formats "
                            "pem, der, zip and pkcs7 can be exported without it."
                        ),
                    )
                ),
            )
        if sealed is None:
            raise PrivateKeyNotStoredError(
                Message(
                    "export.key_not_stored",
                    "The private key of {domain} is not in the store.",
                    {"domain": certificate.domain},
                ),
                domain=certificate.domain.ascii,
            )
        key = open_key(sealed, self._contexts.vault)
        with self._contexts.storage.write() as transaction:
            # Record the export before the key is returned.
            event = Event(
                certificate_id=certificate_id,
                kind=EventKind.KEY_REVEALED,
                at=self._contexts.environment.now(),
                owner=certificate.owner,
                actor=actor,
                from_status=certificate.status,
                to_status=certificate.status,
                data={"reason": reason.strip(), "issuance": issuance.number},
            )
            transaction.events.append([event])
        return issuance, key


def _issuance_id(certificate: Certificate, *, issued: bool) -> str:
    """The issuance whose leaf, or whose key, is exported."""
    if issued:
        transition(certificate.status, Action.EXPORT)
    issuance_id = certificate.active_issuance_id or (None if issued else certificate.issuance_id)
    if issuance_id is not None:
        return issuance_id
    params = {"domain": certificate.domain, "status": label_of(certificate.status)}
    if issued:
        text = "No certificate was issued for {domain} yet (status: {status})."
        message = Message("export.not_issued", text, params)
        advice = Message("export.not_issued.advice", "Look at its hints to see what it is waiting for.")
    else:
        message = Message("export.no_key", "No key was made for {domain} yet (status: {status}).", params)
        advice = Message("export.no_key.advice", "Generate the CSR first.")
    raise NotIssuedError(message, domain=certificate.domain.ascii, advice=advice)
