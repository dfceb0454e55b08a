"""Import certificates that were issued elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve, frozen

from certcore.engine.module_context import Contexts
from certcore.errors import InvalidInputError
from certcore.model.certificate import Certificate, Schedule
from certcore.model.conditions import with_standing
from certcore.model.events import EventKind
from certcore.model.hints import Message
from certcore.model.identifiers import check_owner
from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.keys import KeyType
from certcore.model.labels import label_of
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Status
from certcore.model.names import MAX_IMPORTED_NAMES, MAX_NAMES, DnsName, IpAddress, form_of_names
from certcore.model.permissions import Permission
from certcore.model.renewal import RenewalPolicy
from certcore.model.search import Search
from certcore.model.secret import CERTIFICATE_KEY, Secret, SecretName
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.certificate_changes import certificate_event, validate
from certcore.services.certificate_form import new_certificate, read_form
from certcore.services.revoked_leaves import refuse_revoked
from certcore.x509.import_bundle import Bundle, BundleWarning, read_bundle

__all__ = ["Imports"]

_MOST_NAMED: Final = 5


@frozen(kw_only=True, eq=False, slots=False)
class Imports:
    """The calls that import certificates."""

    _contexts: Contexts
    _access: Access

    def check_import(
        self,
        leaf: str | bytes,
        private_key: str | bytes | None = None,
        ca_bundle: str | bytes | None = None,
        *,
        password: str | Secret | None = None,
        owner: str = "",
        actor: str = "system",
    ) -> Bundle:
        """Validate what `import_certificate` would store, and return it with warnings. Nothing is stored.

        Args:
            leaf: The certificate in PEM or DER; or everything in PEM blocks in any order, PKCS#7 or PKCS#12.
            private_key: The private key; None if ``leaf`` contains it, or if it is not imported.
            ca_bundle: The intermediates, in any order.
            password: The password of an encrypted key or a PKCS#12 file.
            owner: The tenant.
            actor: Who makes the call.

        Raises:
            InvalidInputError: Something is damaged, missing, left over, too weak, or unfit for a TLS server; or the
                leaf is already in the store, was revoked, has no DNS name, or has too many.
            KeyMismatchError: The private key does not belong to the leaf.
            AccessDeniedError: The policy refused.
        """
        self._access.require(actor, Permission.CERTIFICATE_IMPORT, owner=check_owner(owner))
        opened = password.reveal() if isinstance(password, Secret) else password
        bundle = read_bundle(leaf, private_key, ca_bundle, password=opened, now=self._contexts.environment.now())
        _dns_names(bundle)
        with self._contexts.storage.read() as transaction:
            known = _known(transaction, bundle.leaf, owner)
            refuse_revoked(transaction, bundle.leaf)
        if known is not None:
            raise _is_here_already(known if self._access.seen(actor, [known]) else None)
        return evolve(bundle, warnings=(*bundle.warnings, *_left_out(bundle)))

    def import_certificate(  # noqa: PLR0913 - what people paste, and what becomes of it
        self,
        leaf: str | bytes,
        private_key: str | bytes | None = None,
        ca_bundle: str | bytes | None = None,
        *,
        password: str | Secret | None = None,
        authority: str | None = None,
        owner: str = "",
        renewal: RenewalPolicy | Mapping[str, Any] | None = None,
        actor: str = "system",
    ) -> Certificate:
        """Import a certificate that was issued elsewhere, to show, monitor and export it like any other.

        Without a CA profile it is not renewed. As soon as it has one, here or later through ``edit``, it is renewed
        with its names and renewal policy.

        Args:
            leaf, private_key, ca_bundle, password: As in `check_import`. Without its private key, the certificate can
                be monitored and renewed, but not exported with a key.
            authority: The CA profile that renews the certificate, by ID or name; None for no renewal.
            owner: The tenant.
            renewal: When to renew.
            actor: Who makes the call.

        Returns:
            The certificate, active or expired. The data of its event ``imported`` has the warnings.

        Raises:
            InvalidInputError: As in `check_import`, or the CA profile does not permit the names. Nothing was stored.
            KeyMismatchError: The private key does not belong to the leaf.
            NotFoundError: There is no such CA profile.
            AccessDeniedError: The policy refused.
        """
        bundle = self.check_import(leaf, private_key, ca_bundle, password=password, owner=owner, actor=actor)
        form = read_form(self._access, {"authority": authority, "owner": owner, "renewal": renewal}, actor)
        domain, aliases, wildcard = form_of_names(_dns_names(bundle), most=MAX_IMPORTED_NAMES)
        issuance_id = self._contexts.environment.new_id()
        wished = new_certificate(
            self._contexts.environment,
            {
                "authority_id": None,
                **form.attributes(),
                "domain": domain,
                "aliases": aliases,
                "wildcard": wildcard,
                "key_type": bundle.key_type or _nearest(bundle.leaf),
                "active_issuance_id": issuance_id,
                "not_after": bundle.leaf.not_after,
            },
        )
        now = wished.created_at
        wished = evolve(wished, status=Status.EXPIRED if bundle.leaf.not_after <= now else Status.ACTIVE)
        if wished.authority_id is not None and len(wished.names) > MAX_NAMES:
            raise InvalidInputError(
                "authority",
                Message(
                    "import.too_many_names",
                    "the leaf has {count} names; a renewal can have at most {most}.",
                    {"count": len(wished.names), "most": MAX_NAMES},
                ),
                advice=Message(
                    "import.too_many_names.advice",
                    "Import it without a CA profile: it is then monitored and exported, but not renewed.",
                ),
            )
        self._access.require_profiles(actor, wished)
        certificate = validate(self._contexts, wished)
        issuance = Issuance(
            id=issuance_id,
            certificate_id=certificate.id,
            number=1,
            purpose=Purpose.IMPORT,
            authority_id=None,
            names=certificate.names,
            key_type=certificate.key_type,
            key_name=SecretName(CERTIFICATE_KEY, issuance_id),
            csr_pem="",
            is_keyless=bundle.private_key is None,
            outcome=Outcome.ISSUED,
            leaf_pem=bundle.leaf_pem,
            chain_pem=bundle.chain_pem,
            leaf=bundle.leaf,
            created_at=now,
            finished_at=now,
        )
        return self._store(certificate, issuance, bundle, actor)

    def _store(self, certificate: Certificate, issuance: Issuance, bundle: Bundle, actor: str) -> Certificate:
        vault, key = self._contexts.vault, bundle.private_key
        sealed = None if key is None else vault.seal(key, issuance.key_name, owner=certificate.owner)
        leaf = bundle.leaf
        with self._contexts.storage.write() as transaction:
            if _known(transaction, leaf, certificate.owner) is not None:  # again: it may have been imported meanwhile
                raise _is_here_already(None)
            refuse_revoked(transaction, leaf)
            now = certificate.created_at
            added = with_standing(evolve(certificate, issuance_id=None), [issuance], now, changed_at=now)
            transaction.certificates.add(added)
            transaction.issuances.add(issuance)
            if sealed is not None:
                transaction.secrets.put(issuance.key_name, sealed)
            schedule = Schedule(
                certificate_id=certificate.id,
                due_at=certificate.created_at,
                needed_by=certificate.not_after,
                written_at=certificate.created_at,
            )
            transaction.schedules.add(schedule)
            event = certificate_event(
                self._contexts,
                certificate,
                EventKind.IMPORTED,
                actor,
                serial=leaf.serial_hex,
                not_after=leaf.not_after.isoformat(),
                issuer=leaf.issuer,
                names=list(leaf.names),
                has_key=sealed is not None,
                warnings=[warning.text for warning in bundle.warnings],
            )
            transaction.events.append([event])
        return certificate


def _dns_names(bundle: Bundle) -> tuple[DnsName, ...]:
    names = tuple(name for name in bundle.names if isinstance(name, DnsName))
    if not names:
        raise InvalidInputError(
            "leaf", Message("import.only_addresses", "it is for IP addresses alone, which certcore does not manage.")
        )
    return names


def _left_out(bundle: Bundle) -> Iterator[BundleWarning]:
    """Warnings about names that a renewal will not have."""
    addresses = [str(name) for name in bundle.names if isinstance(name, IpAddress)]
    if addresses:
        text = (
            "The leaf is for IP addresses, too: {names}. They are not managed here, and a renewal will not have them."
        )
        message = Message("bundle.addresses", text, {"names": ", ".join(addresses[:_MOST_NAMED])})
        yield BundleWarning(field="leaf", message=message)


def _known(transaction: Transaction, leaf: Leaf, owner: str) -> Certificate | None:
    """The owner's certificate that has, or had, this leaf."""
    same = transaction.certificates.search(Search(fingerprint=leaf.fingerprint_sha256), owner=owner, limit=1)
    return same[0] if same else None


def _is_here_already(known: Certificate | None) -> InvalidInputError:
    """The error for a second import of a leaf. It names the certificate only to actors who may see it."""
    if known is None:
        reason = Message("import.is_here", "it is here already.")
    else:
        params = {"domain": known.domain, "status": label_of(known.status), "id": known.id}
        reason = Message("import.is_here_as", "it is here already: {domain} ({status}, {id}).", params)
    advice = "To import it again, delete that certificate first."
    return InvalidInputError("leaf", reason, advice=Message("import.is_here.advice", advice))


def _nearest(leaf: Leaf) -> KeyType:
    """The key type for renewals of a leaf whose key type certcore does not generate."""
    if not leaf.public_key_algorithm.startswith("RSA"):
        return KeyType.EC_P384 if leaf.key_size > 256 else KeyType.EC_P256  # noqa: PLR2004 - bits
    sizes = ((4096, KeyType.RSA_4096), (3072, KeyType.RSA_3072))
    return next((kind for bits, kind in sizes if leaf.key_size >= bits), KeyType.RSA_2048)
