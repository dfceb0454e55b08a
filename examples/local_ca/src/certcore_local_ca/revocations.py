"""Which leaves are revoked, and the CRL of each issuing CA.

Documents, beginning with ``<CA profile>/``:

- ``revoked/<issuing CA>/<serial number>``: when, why, and when the leaf ends;
- ``compromised/<SHA-256 of the public key>``: a key that is not certified again;
- ``distrusted/<issuing CA>``: since when its leaves have to be replaced;
- ``crl/<issuing CA>``: number and thisUpdate of its CRL. The CRL itself is signed when somebody fetches it; the same
  number always gives the same file.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certcore.plugin import Document, ModuleContext, RevocationReason, StaleWriteError
from certcore_local_ca.crl import RevokedLeaf, make_crl
from certcore_local_ca.issuers import Issuer, Issuers
from certcore_local_ca.settings import LocalCAProfile

__all__ = ["Revocations"]

_PAGE: Final = 10_000
_TRIES: Final = 5


@frozen(kw_only=True)
class Revocations:
    """The revocations of one CA profile."""

    context: ModuleContext[LocalCAProfile]

    def revoke(self, leaf: x509.Certificate, issuer: Issuer, reason: RevocationReason) -> None:
        """Put a certificate on the CRL of the CA that signed it. An entry that exists already is not changed.

        The entry and the number of the next CRL are durable together.
        """
        now = self.context.environment.now().replace(microsecond=0)
        key = self._key("revoked", issuer, f"{leaf.serial_number:040x}")
        entry = {"at": now.isoformat(), "reason": str(reason), "ends": leaf.not_valid_after_utc.isoformat()}
        blocked = {self._blocked(leaf): {"at": now.isoformat()}} if reason is RevocationReason.KEY_COMPROMISE else {}
        try:
            self.context.documents.put_many(
                {key: entry, **blocked},
                versions={key: 0},
                change={self._key("crl", issuer): lambda state: _next(state, now)},
            )
        except StaleWriteError:
            self.context.documents.put_many(blocked)  # the reason may differ from that of the first call

    def distrust(self, issuer: Issuer) -> None:
        """Record that an issuing CA must no longer be trusted, and put it on the CRL of its root."""
        now = self.context.environment.now().replace(microsecond=0)
        with contextlib.suppress(StaleWriteError):  # the revocation is recorded already
            self.context.documents.put(self._key("distrusted", issuer), {"at": now.isoformat()}, version=0)
        root = Issuers(context=self.context).root_of(issuer)
        if root is not None:
            self.revoke(issuer.certificate, root, RevocationReason.KEY_COMPROMISE)

    def distrusted_at(self, issuer: Issuer) -> datetime | None:
        """Since when an issuing CA must no longer be trusted; None if it is trusted."""
        document = self.context.documents.get(self._key("distrusted", issuer))
        return None if document is None else datetime.fromisoformat(document.value["at"])

    def is_compromised(self, request: x509.CertificateSigningRequest) -> bool:
        """Whether a leaf with this key was revoked because others may have the key."""
        return self.context.documents.get(self._blocked(request)) is not None

    def _blocked(self, holder: x509.Certificate | x509.CertificateSigningRequest) -> str:
        key = holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"{self.context.authority_id}/compromised/{hashlib.sha256(key).hexdigest()}"

    def count(self, issuer: Issuer) -> int:
        """How many entries the CRL has."""
        return sum(1 for _ in self._entries(issuer, self.context.environment.now()))

    def crl(self, issuer: Issuer) -> x509.CertificateRevocationList:
        """The CRL as it is now; a new one when half of the last one's validity has passed."""
        documents = self.context.documents
        for _ in range(_TRIES):
            state = self._fresh(issuer)
            this_update = datetime.fromisoformat(state.value["this_update"])
            revoked = list(self._entries(issuer, this_update))
            documents.refresh()
            unchanged = documents.get(self._key("crl", issuer))
            if unchanged is not None and unchanged.version == state.version:  # else a leaf was revoked meanwhile
                break
        return make_crl(
            Issuers(context=self.context).authority(issuer),
            revoked,
            number=int(state.value["number"]),
            this_update=this_update,
            next_update=min(this_update + self.context.profile.crl_validity, issuer.ends),
        )

    def _fresh(self, issuer: Issuer) -> Document:
        """The state of the CRL, with the next number if the last one is old."""
        documents, key = self.context.documents, self._key("crl", issuer)
        now = self.context.environment.now().replace(microsecond=0)
        for _ in range(_TRIES):
            state = documents.get(key)
            if state is not None and not self._is_old(state.value, now):
                return state
            try:
                number = _next({} if state is None else state.value, now)
                return documents.put(key, number, version=0 if state is None else state.version)
            except StaleWriteError:
                documents.refresh()
        return documents.put(key, _next({} if state is None else state.value, now))

    def _is_old(self, state: Mapping[str, Any], now: datetime) -> bool:
        this_update = datetime.fromisoformat(state["this_update"])
        # A moment in the future was written under a wrong clock.
        return not timedelta(0) <= now - this_update < self.context.profile.crl_validity / 2

    def _entries(self, issuer: Issuer, this_update: datetime) -> Iterator[RevokedLeaf]:
        """What is on the CRL: a leaf stays on it for one more CRL after its end (RFC 5280 section 3.3)."""
        prefix, after = self._key("revoked", issuer, ""), ""
        while page := self.context.documents.list(prefix, after=after):
            for document in page:
                if datetime.fromisoformat(document.value["ends"]) + self.context.profile.crl_validity > this_update:
                    yield RevokedLeaf(
                        serial_number=int(document.key.rpartition("/")[2], 16),
                        revoked_at=datetime.fromisoformat(document.value["at"]),
                        reason=RevocationReason.parse(document.value["reason"]),
                    )
            if len(page) < _PAGE:
                return
            after = page[-1].key

    def _key(self, kind: str, issuer: Issuer, *rest: str) -> str:
        return "/".join((self.context.authority_id, kind, issuer.id, *rest))


def _next(state: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {"number": int(state.get("number", 0)) + 1, "this_update": now.isoformat()}
