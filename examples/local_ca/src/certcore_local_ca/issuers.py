"""The issuing CAs of a CA profile in certcore's store: created, taken from the settings, and replaced by the next one.

Documents and secrets of a CA profile begin with ``<CA profile>/``:

- ``root`` (secret): the root's key and certificate, if certcore made it;
- ``issuer/<id>`` (secret): the key and certificate of an issuing CA;
- ``issuer/<id>`` (document): its certificate and those above it, for pages that need no key;
- ``current`` (document): which one signs.

The ID of an issuing CA is its number if this package created it, and a part of its fingerprint if an administrator
gave it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from certcore.hints import Message
from certcore.plugin import CAError, ModuleContext, StaleWriteError
from certcore_local_ca.authority import (
    Authority,
    CAKeyType,
    ca_name,
    is_signed_by,
    make_intermediate,
    make_root,
    pem_of,
    read_given,
)
from certcore_local_ca.settings import LocalCAProfile

__all__ = ["MOST_ISSUERS", "ROOT", "Issuer", "Issuers"]

#: The ID of the root that certcore makes.
ROOT: Final = "root"
#: How many issuing CAs may be valid at the same time: each has a CRL of its own.
MOST_ISSUERS: Final = 8
#: The length of the ID of an issuing CA that certcore made, and of one that was given.
_DIGITS: Final = 4
_FINGERPRINT: Final = 16
_YEAR: Final = timedelta(days=365)
#: CA certificates are dated back, for clients whose clock is behind.
_DATED_BACK: Final = timedelta(days=1)


@frozen(kw_only=True)
class Issuer:
    """An issuing CA, without its key."""

    id: str
    certificate: x509.Certificate
    #: What signed it, then what signed that, the root last if it is known.
    above: tuple[x509.Certificate, ...]

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The certificates that a server sends after the leaf: all but the root."""
        return tuple(each for each in (self.certificate, *self.above) if each.issuer != each.subject)

    @property
    def root(self) -> x509.Certificate | None:
        """The root, which clients have to trust; None if it was not given."""
        return next((each for each in (self.certificate, *self.above) if each.issuer == each.subject), None)

    @property
    def ends(self) -> datetime:
        """The end of its validity."""
        return self.certificate.not_valid_after_utc


@frozen(kw_only=True)
class Issuers:
    """The issuing CAs of one CA profile."""

    context: ModuleContext[LocalCAProfile]

    def all(self) -> tuple[Issuer, ...]:
        """Those whose certificate has not ended, the oldest first."""
        now = self.context.environment.now()
        return tuple(issuer for issuer in self._stored() if issuer.ends > now)

    def current(self) -> Issuer | None:
        """The one that signs; None before the first was made. Nothing is changed."""
        document = self.context.documents.get(self._key("current"))
        return None if document is None else self._get(str(document.value["issuer"]))

    def ready(self) -> Issuer:
        """The one that signs from now on: the given one, or a new one if none is current or its end is near."""
        profile = self.context.profile
        if profile.ca_private_key is not None:
            authority, above = read_given(profile.ca_certificates, profile.ca_private_key.reveal())
            return self._keep(authority.certificate.fingerprint(hashes.SHA256()).hex()[:_FINGERPRINT], authority, above)
        current = self.current()
        if current is None or not _is_made(current):
            return self._make(after=current)
        if self._is_aging(current):
            return self._make(after=current)
        return current

    def rotate(self) -> Issuer:
        """Create the next issuing CA; the earlier ones still sign their CRLs."""
        return self._make(after=self.current())

    def authority(self, issuer: Issuer) -> Authority:
        """The issuing CA with its key.

        Raises:
            CAError: Its key is not in the store.
        """
        return self._unsealed(ROOT if issuer.id == ROOT else f"issuer/{issuer.id}")

    def root_of(self, issuer: Issuer) -> Issuer | None:
        """The root that has signed an issuing CA, if its key is here: it has a CRL, too."""
        if not _is_made(issuer) or issuer.root is None:
            return None
        return Issuer(id=ROOT, certificate=issuer.root, above=())

    def issuer_of(self, leaf: x509.Certificate) -> Issuer | None:
        """Which of them has signed this leaf, by its signature and not by names; None for none of them."""
        return next((issuer for issuer in self.all() if is_signed_by(leaf, issuer.certificate)), None)

    def _is_aging(self, issuer: Issuer) -> bool:
        """Whether a new leaf would outlive it, and a new issuing CA would live longer."""
        now, root = self.context.environment.now(), issuer.root
        lives_longer = root is None or root.not_valid_after_utc > max(issuer.ends, now) + _DATED_BACK
        return issuer.ends < now + self.context.profile.lifetime and lives_longer

    def _make(self, *, after: Issuer | None) -> Issuer:
        """The issuing CA with the next number, which another process may have made meanwhile."""
        numbers = [int(issuer.id) for issuer in self._stored() if _is_made(issuer)]
        number = 1 + max(numbers, default=0)
        key = f"issuer/{number:0{_DIGITS}}"
        profile, now = self.context.profile, self.context.environment.now().replace(microsecond=0)
        root = self._root(now)
        if root.certificate.not_valid_after_utc <= now:
            raise CAError(
                Message("local_ca.root_ended", "The root has ended."),
                advice=Message("local_ca.root_ended.advice", "Make a new CA profile, and have clients trust its root."),
            )
        if self.context.documents.unseal(self._key(key)) is None:
            made = make_intermediate(
                root,
                subject=ca_name(f"{profile.name} Issuing CA {number}", profile.organization),
                key_type=CAKeyType(profile.ca_key_type),
                constraints=profile.constraints,
                validity=(now - _DATED_BACK, now + profile.issuing_years * _YEAR),
                crl_url=profile.crl_url.replace("{issuer}", ROOT),
            )
            self.context.documents.seal(self._key(key), made.to_pem())  # keeps another one that was stored meanwhile
        return self._keep(f"{number:0{_DIGITS}}", self._unsealed(key), (root.certificate,), after=after)

    def _root(self, now: datetime) -> Authority:
        if self.context.documents.unseal(self._key(ROOT)) is None:
            profile = self.context.profile
            made = make_root(
                subject=ca_name(f"{profile.name} Root", profile.organization),
                key_type=CAKeyType(profile.ca_key_type),
                validity=(now - _DATED_BACK, now + profile.root_years * _YEAR),
            )
            self.context.documents.seal(self._key(ROOT), made.to_pem())
        return self._unsealed(ROOT)

    def _keep(
        self, issuer_id: str, authority: Authority, above: tuple[x509.Certificate, ...], *, after: Issuer | None = None
    ) -> Issuer:
        """Seal the key, store the certificates, and make it the one that signs."""
        documents, key = self.context.documents, self._key(f"issuer/{issuer_id}")
        certificates = pem_of((authority.certificate, *above))
        known, current = documents.get(key), documents.get(self._key("current"))
        if current is not None and current.value["issuer"] == issuer_id and known is not None:
            return _issuer(issuer_id, str(known.value["certificates"]))
        documents.seal(key, authority.to_pem())
        versions = {self._key("current"): 0 if current is None else current.version}
        try:
            documents.put_many(
                {key: {"certificates": certificates}, self._key("current"): {"issuer": issuer_id}}, versions=versions
            )
        except StaleWriteError:  # another process was faster; its choice counts
            documents.refresh()
            chosen = self.current()
            if chosen is not None and (after is None or chosen.id != after.id):
                return chosen
            raise
        return _issuer(issuer_id, certificates)

    def _stored(self) -> list[Issuer]:
        documents = self.context.documents.list(self._key("issuer/"))
        issuers = [_issuer(each.key.rpartition("/")[2], str(each.value["certificates"])) for each in documents]
        return sorted(issuers, key=lambda issuer: issuer.ends)

    def _get(self, issuer_id: str) -> Issuer | None:
        document = self.context.documents.get(self._key(f"issuer/{issuer_id}"))
        return None if document is None else _issuer(issuer_id, str(document.value["certificates"]))

    def _unsealed(self, key: str) -> Authority:
        pem = self.context.documents.unseal(self._key(key))
        if pem is None:
            raise CAError(
                Message("local_ca.no_key", "The key of the private CA is not in the store."),
                advice=Message("local_ca.no_key.advice", "Restore the store and its keyring from a backup."),
            )
        return Authority.from_pem(pem)

    def _key(self, name: str) -> str:
        return f"{self.context.authority_id}/{name}"


def _is_made(issuer: Issuer) -> bool:
    """Whether certcore made it; the ID of a given one is longer, and may have digits only."""
    return len(issuer.id) == _DIGITS


def _issuer(issuer_id: str, certificates: str) -> Issuer:
    first, *above = x509.load_pem_x509_certificates(certificates.encode())
    return Issuer(id=issuer_id, certificate=first, above=tuple(above))
