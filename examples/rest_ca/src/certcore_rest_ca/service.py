"""The CA itself: orders that wait for an approver, and what it has issued and revoked. Everything is in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from attrs import define, evolve, field, frozen
from cryptography import x509

from certcore.testing import LittleAuthority

__all__ = ["CAService", "ConflictError", "StoredOrder", "UnknownError", "UnsuitableError"]


class UnknownError(Exception):
    """There is no such order or certificate."""


class ConflictError(Exception):
    """The order exists with another request, or has ended."""


class UnsuitableError(Exception):
    """The request cannot be signed. The text is a sentence for the client."""


@frozen(kw_only=True)
class StoredOrder:
    """An order of a client."""

    client: str
    id: str
    csr: str = field(repr=False)
    names: tuple[str, ...]
    status: str = "pending"
    chain: str = field(default="", repr=False)
    reason: str = ""

    def document(self) -> dict[str, Any]:
        """What clients see."""
        members = {
            "id": self.id,
            "names": list(self.names),
            "status": self.status,
            "chain": self.chain,
            "reason": self.reason,
        }
        return {name: value for name, value in members.items() if value}


@define(eq=False)
class CAService:
    """A CA with approval, for tests and demonstrations: keys and orders are lost when the process ends.

    Args:
        clock: Gives the present moment, with its time zone.
    """

    clock: Callable[[], datetime]
    #: The fingerprints of the revoked leaves, with the reason.
    revoked: dict[bytes, str] = field(factory=dict, init=False)
    _authority: LittleAuthority = field(init=False, repr=False)
    _orders: dict[tuple[str, str], StoredOrder] = field(factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._authority = LittleAuthority(self.clock(), name="Approving CA")

    @property
    def root_pem(self) -> str:
        """The root of its chains."""
        return self._authority.root_pem

    def order(self, client: str, order_id: str, csr: str, names: Sequence[str]) -> tuple[StoredOrder, bool]:
        """Accept an order, or return the one that this client already has under this ID.

        Returns:
            The order, and whether it is new.

        Raises:
            UnsuitableError: The request cannot be read, or is not for these names.
            ConflictError: The client has another request under this ID.
        """
        with self._lock:
            if known := self._orders.get((client, order_id)):
                if (known.csr, known.names) != (csr, tuple(names)):
                    raise ConflictError("There is an order with this ID and another request.")
                return known, False
            _check(csr, names)
            order = self._orders[client, order_id] = StoredOrder(
                client=client, id=order_id, csr=csr, names=tuple(names)
            )
            return order, True

    def look(self, client: str, order_id: str) -> StoredOrder:
        """An order of this client.

        Raises:
            UnknownError: It has none with this ID.
        """
        with self._lock:
            return self._get(client, order_id)

    def cancel(self, client: str, order_id: str) -> None:
        """Cancel an order that waits; all others stay as they are."""
        with self._lock:
            order = self._orders.get((client, order_id))
            if order is not None and order.status == "pending":
                self._orders[client, order_id] = evolve(order, status="cancelled")

    @property
    def placed(self) -> int:
        """How many orders there are, in every status."""
        with self._lock:
            return len(self._orders)

    def pending(self) -> list[StoredOrder]:
        """The orders that wait for the approver."""
        with self._lock:
            return [order for order in self._orders.values() if order.status == "pending"]

    def approve(self, client: str, order_id: str) -> StoredOrder:
        """Issue what was ordered.

        Raises:
            UnknownError: There is no such order.
            ConflictError: It does not wait.
        """
        with self._lock:
            order = self._waiting(client, order_id)
            chain = self._authority.issue(order.csr, now=self.clock(), names=order.names)
            return self._store(evolve(order, status="issued", chain=chain))

    def refuse(self, client: str, order_id: str, reason: str) -> StoredOrder:
        """Refuse an order; the client reads the reason.

        Raises:
            UnknownError: There is no such order.
            ConflictError: It does not wait.
        """
        with self._lock:
            return self._store(evolve(self._waiting(client, order_id), status="refused", reason=reason))

    def revoke(self, client: str, certificate: str, reason: str) -> None:
        """Revoke a leaf that was issued to this client; this may be repeated.

        Raises:
            UnknownError: This leaf was not issued to this client.
        """
        try:
            leaf = x509.load_pem_x509_certificate(certificate.encode())
        except ValueError:
            raise UnknownError("There is no certificate in the request.") from None
        with self._lock:
            chains = [order.chain for order in self._orders.values() if order.client == client and order.chain]
            if not any(x509.load_pem_x509_certificate(chain.encode()) == leaf for chain in chains):
                raise UnknownError("This certificate was not issued to this client.")
            self.revoked.setdefault(leaf.fingerprint(leaf.signature_hash_algorithm), reason)  # type: ignore[arg-type]

    def forget_orders(self) -> None:
        """Lose all orders, like a server whose database was restored from an old backup."""
        with self._lock:
            self._orders.clear()

    def _get(self, client: str, order_id: str) -> StoredOrder:
        order = self._orders.get((client, order_id))
        if order is None:
            raise UnknownError("There is no such order.")
        return order

    def _waiting(self, client: str, order_id: str) -> StoredOrder:
        order = self._get(client, order_id)
        if order.status != "pending":
            raise ConflictError(f"The order is {order.status}.")
        return order

    def _store(self, order: StoredOrder) -> StoredOrder:
        self._orders[order.client, order.id] = order
        return order


def _check(csr: str, names: Sequence[str]) -> None:
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        extension = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        is_sound = request.is_signature_valid and set(extension.get_values_for_type(x509.DNSName)) == set(names)
    except (ValueError, x509.ExtensionNotFound):
        is_sound = False
    if not is_sound:
        raise UnsuitableError("The signing request cannot be read, or is not for these names.")
