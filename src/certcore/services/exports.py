"""Taking a certificate and its private key out: authorised, and on the record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from certcore.engine.certificate_keys import find_key, open_key
from certcore.engine.contexts import Contexts
from certcore.errors import CertCoreError, InvalidInput
from certcore.model.bounds import LONGEST_ID, text_within
from certcore.model.certificate import Certificate
from certcore.model.events import Event, EventKind
from certcore.model.export import ExportedFile, ExportFormat, ExportOptions, Material
from certcore.model.issuance import Issuance
from certcore.model.permissions import Permission
from certcore.model.plugin_calls import call_plugin
from certcore.model.secret import Secret
from certcore.services.access import Access
from certcore.services.inputs import refuse_unstorable, true_or_false
from certcore.x509.chain import presentable_chain
from certcore.x509.formats import EXPORT_FORMATS, find_format

__all__ = ["Exported", "Exports"]

_LONGEST_REASON: Final = 500


@frozen(kw_only=True)
class Exported:
    """A leaf in service with what a server needs to present it."""

    leaf_pem: str
    #: The intermediates in order, without those that have expired; empty when the leaf was signed by a root.
    chain_pem: str
    #: Leaf and intermediates: what a server presents.
    fullchain_pem: str
    #: PKCS#8 PEM.
    private_key: Secret


@frozen(kw_only=True, eq=False, slots=False)
class Exports:
    """The only way by which a private key leaves the store."""

    contexts: Contexts
    access: Access

    def reveal_private_key(self, certificate_id: str, *, reason: str, actor: str = "system") -> Secret:
        """The private key as PKCS#8 PEM: of the leaf in service, or of the attempt under way.

        Args:
            certificate_id: Whose key.
            reason: Why; it goes on the record.
            actor: Who asks.

        Raises:
            InvalidInput: No reason is given.
            NotFound: There is no such certificate.
            CertCoreError: There is no key yet.
            AccessDenied: The policy said no.
            SealingError: The key does not open.
        """
        return self._reveal(certificate_id, reason=reason, actor=actor)[1]

    def export(self, certificate_id: str, *, reason: str, actor: str = "system") -> Exported:
        """Leaf, chain and private key of the leaf in service.

        Raises:
            CertCoreError: No leaf was issued yet.
            InvalidInput, NotFound, AccessDenied, SealingError: As `reveal_private_key`.
        """
        issuance, key = self._reveal(certificate_id, reason=reason, actor=actor, issued=True)
        leaf_pem, chain_pem = self._presentable(issuance)
        return Exported(leaf_pem=leaf_pem, chain_pem=chain_pem, fullchain_pem=leaf_pem + chain_pem, private_key=key)

    def formats(self) -> Sequence[ExportFormat]:
        """The formats of `export_as`: certcore's own, then those of plugins."""
        found: dict[str, ExportFormat] = {}
        for one in (*EXPORT_FORMATS, *self.contexts.plugins.export_formats()):
            found.setdefault(one.name, one)
        return tuple(found.values())

    def export_as(  # noqa: PLR0913 - each is an option that users of formats know
        self,
        certificate_id: str,
        format: str = "pem",  # noqa: A002 - what users call it
        *,
        password: Secret | None = None,
        legacy: bool = False,
        friendly_name: str = "",
        folder: str = "",
        with_key: bool = True,
        reason: str = "",
        actor: str = "system",
    ) -> Sequence[ExportedFile]:
        """The leaf in service as the files of a format: ZIP, PKCS#12, what a web server reads, and more.

        Args:
            certificate_id: Whose.
            format: The name of one of `formats`.
            password: Encrypts the private key, where the format can.
            legacy: The older form of PKCS#12, for programs that do not read the present one.
            friendly_name: What a key store calls the certificate; empty for its domain.
            folder: Where the files will be, for the lines of a server's configuration.
            with_key: False leaves the private key out; a format that cannot do without is refused then.
            reason: Why the private key is taken out; it goes on the record. Not needed where no key is.
            actor: Who asks. A format without the key takes the permission to view only.

        Raises:
            InvalidInput: There is no such format, it cannot do what was asked for, or the reason is missing.
            NotFound: There is no such certificate.
            CertCoreError: No leaf was issued yet, or its key was never here.
            AccessDenied: The policy said no.
            SealingError: The key does not open.
        """
        text_within("reason", reason, _LONGEST_REASON)
        wanted = find_format(text_within("format", format, LONGEST_ID), self.formats())
        for field, text in (("friendly_name", friendly_name), ("folder", folder)):
            text_within(field, text, _LONGEST_REASON)
        options = ExportOptions(
            at=self.contexts.environment.now(),
            password=password,
            legacy=legacy,
            friendly_name=friendly_name,
            folder=folder,
        )
        call_plugin(wanted.name, "ExportFormat.check", wanted.check, options, returns=None)
        takes_key = wanted.takes_key(with_key=true_or_false("with_key", with_key))
        material = self.material(certificate_id, with_key=takes_key, reason=reason, actor=actor)
        files: Sequence[ExportedFile] = call_plugin(
            wanted.name, "ExportFormat.export", wanted.export, material, options, returns=tuple[ExportedFile, ...]
        )
        return files

    def material(
        self, certificate_id: str, *, with_key: bool = True, reason: str = "", actor: str = "system"
    ) -> Material:
        """What export formats are made from: the leaf in service, its chain and, on the record, its private key.

        Args:
            certificate_id: Whose.
            with_key: Whether the private key is needed; a reason is, too, then.
            reason: Why the key is taken out; it goes on the record.
            actor: Who asks.

        Raises:
            InvalidInput: The reason is missing.
            NotFound: There is no such certificate.
            CertCoreError: No leaf was issued yet, or its key was never here.
            AccessDenied: The policy said no.
            SealingError: The key does not open.
        """
        text_within("reason", reason, _LONGEST_REASON)
        key = None
        if true_or_false("with_key", with_key):
            issuance, key = self._reveal(certificate_id, reason=reason, actor=actor, issued=True)
        else:
            certificate = self.access.certificate(actor, Permission.CERTIFICATE_VIEW, certificate_id)
            with self.contexts.storage.read() as transaction:
                issuance = transaction.issuances.get(_wanted(certificate, issued=True))
        leaf_pem, chain_pem = self._presentable(issuance)
        return Material(
            names=tuple(name.ascii for name in issuance.names),
            leaf_pem=leaf_pem,
            chain_pem=chain_pem,
            private_key=key,
        )

    def _presentable(self, issuance: Issuance) -> tuple[str, str]:
        """The leaf, and its chain without what has expired since it was installed."""
        leaf_pem = issuance.leaf_pem or ""
        return leaf_pem, presentable_chain(leaf_pem, issuance.chain_pem or "", self.contexts.environment.now())

    def _reveal(self, certificate_id: str, *, reason: str, actor: str, issued: bool = False) -> tuple[Issuance, Secret]:
        if not text_within("reason", reason, _LONGEST_REASON).strip():
            raise InvalidInput("reason", "a reason is needed to take a private key out.")
        refuse_unstorable({"reason": reason})
        self.access.certificate(actor, Permission.CERTIFICATE_REVEAL_KEY, certificate_id)
        with self.contexts.storage.read() as transaction:
            certificate = transaction.certificates.get(certificate_id)
            issuance = transaction.issuances.get(_wanted(certificate, issued=issued))
            sealed = find_key(transaction, certificate, issuance)
        if sealed is None and issuance.is_keyless:
            raise CertCoreError(
                f"The private key of {certificate.domain} was never here.",
                advice=(
                    "It is where its CSR was made, or where it was imported from; pem, der, zip and pkcs7 can be "
                    "exported without it."
                ),
            )
        if sealed is None:
            raise CertCoreError(f"The private key of {certificate.domain} is not in the store.")
        key = open_key(sealed, self.contexts.vault)
        with self.contexts.storage.write() as transaction:
            # On the record before it leaves.
            event = Event(
                certificate_id=certificate_id,
                kind=EventKind.KEY_REVEALED,
                at=self.contexts.environment.now(),
                actor=actor,
                from_status=certificate.status,
                to_status=certificate.status,
                data={"reason": reason.strip(), "issuance": issuance.number},
            )
            transaction.events.append([event])
        return issuance, key


def _wanted(certificate: Certificate, *, issued: bool) -> str:
    """The id of the attempt that is asked for."""
    wanted = certificate.active_issuance_id or (None if issued else certificate.issuance_id)
    if wanted is not None:
        return wanted
    missing = "certificate was issued" if issued else "key was made"
    raise CertCoreError(
        f"No {missing} for {certificate.domain} yet (it is {certificate.status}).",
        advice="Look at its hints to see what it is waiting for." if issued else "Generate the CSR first.",
    )
