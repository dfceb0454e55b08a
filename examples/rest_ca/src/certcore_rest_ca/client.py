"""The HTTP API of the CA, as its client sees it.

Every call may be repeated: the client names its orders itself, and ``PUT`` of a name that is known returns the order.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import httpx
from attrs import field, frozen

from certcore.hints import Message
from certcore.plugin import CAError, RevocationReason, Secret

__all__ = [
    "Order",
    "OrderNotFoundError",
    "OrderRefusedError",
    "OrderStatus",
    "RestClient",
    "TokenRefusedError",
    "UnreachableError",
]

#: How many seconds one exchange may take in total, and how long the server may be silent in it.
_DEADLINE: Final = 30.0
_SILENCE: Final = 10.0
_LONGEST_ANSWER: Final = 1024 * 1024
#: The longest pause that the CA may ask for, in seconds.
_LONGEST_PAUSE: Final = 6 * 3600


class OrderStatus(StrEnum):
    """The status of an order at the CA."""

    PENDING = "pending"
    ISSUED = "issued"
    REFUSED = "refused"
    CANCELLED = "cancelled"


@frozen(kw_only=True)
class Order:
    """An order, as the CA shows it."""

    status: OrderStatus
    #: PEM of the leaf and its intermediates, once it is issued.
    chain: str = field(default="", repr=False)
    #: Why it was refused, in the CA's words.
    reason: str = ""
    #: Seconds after which the CA wants to be asked again; None when it did not say.
    retry_after: float | None = None


class UnreachableError(CAError):
    """No connection was made, so the CA got no request."""

    code = "rest_ca_unreachable"


class TokenRefusedError(CAError):
    """The CA does not accept the token (HTTP status 401 or 403)."""

    code = "rest_ca_token_refused"


class OrderNotFoundError(CAError):
    """The CA has no such order (HTTP status 404)."""

    code = "rest_ca_order_not_found"


class OrderRefusedError(CAError):
    """The CA refuses this request permanently (HTTP status 409 or 422)."""

    code = "rest_ca_order_refused"


@frozen(kw_only=True)
class RestClient:
    """Calls the API. It keeps no connection, so that threads and forks may share it.

    Args:
        url: Where the API begins, with a final slash.
        token: Identifies the caller.
        roots_pem: The roots that the server's certificate must chain to; empty for those of the system.
    """

    url: str
    token: Secret
    roots_pem: str = ""

    def status(self) -> str:
        """The name of the CA.

        Raises:
            CAError: As in all methods: the CA is down, or it refuses the token.
        """
        return _text(self._call("GET", "status").get("name", ""))

    def put_order(self, order: str, csr_pem: str, names: Sequence[str]) -> Order:
        """Place an order, or look at it if it was placed before.

        Raises:
            OrderRefusedError: The CA does not take it, or has another request under this name.
        """
        return _order(self._call("PUT", f"orders/{order}", {"csr": csr_pem, "names": list(names)}))

    def get_order(self, order: str) -> Order:
        """Look at an order.

        Raises:
            OrderNotFoundError: The CA does not know it.
        """
        return _order(self._call("GET", f"orders/{order}"))

    def cancel_order(self, order: str) -> None:
        """Cancel an order that waits; it is no error if the order has ended or is unknown."""
        self._call("DELETE", f"orders/{order}")

    def revoke(self, leaf_pem: str, reason: RevocationReason) -> None:
        """Revoke a leaf; it is no error if the leaf is revoked already.

        Raises:
            OrderNotFoundError: The CA has not issued this leaf to this client.
        """
        self._call("POST", "revocations", {"certificate": leaf_pem, "reason": str(reason)})

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        # Making a context takes longer than a request on the loopback interface, which is all that http is for.
        is_tls = self.url.startswith("https:")
        context = ssl.create_default_context(cadata=self.roots_pem or None) if is_tls else False
        headers = {"Authorization": f"Bearer {self.token.reveal_text()}", "Accept": "application/json"}
        deadline = time.monotonic() + _DEADLINE
        try:
            with (
                httpx.Client(verify=context, timeout=_SILENCE, trust_env=False) as client,
                client.stream(method, self.url + path, headers=headers, json=body) as response,
            ):
                content = b""
                for part in response.iter_bytes(64 * 1024):
                    content += part
                    if len(content) > _LONGEST_ANSWER or time.monotonic() > deadline:
                        raise CAError(Message("rest_ca.endless", "The CA's answer is too long, or takes too long."))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            text = Message("rest_ca.unreachable", "The CA cannot be reached.")
            raise UnreachableError(text, detail=type(error).__name__) from None
        except httpx.HTTPError as error:
            text = Message("rest_ca.broken", "The connection to the CA broke.")
            raise CAError(text, detail=type(error).__name__) from None
        return _answer(response, content)


def _answer(response: httpx.Response, content: bytes) -> Mapping[str, Any]:
    """The JSON object of a successful answer, with ``retry_after`` if the CA sent this header."""
    try:
        document = json.loads(content) if content else {}
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise CAError(
            Message("rest_ca.unreadable", "The CA's answer cannot be read."), detail=f"HTTP {response.status_code}"
        )
    retry_after = _seconds(response.headers.get("Retry-After", ""))
    if response.is_success:
        return document | {"retry_after": retry_after}
    detail = _text(document.get("error", f"HTTP {response.status_code}"))
    match response.status_code:
        case 401 | 403:
            advice = Message("rest_ca.token.advice", "Enter a valid token in the CA profile.")
            raise TokenRefusedError(Message("rest_ca.token", "The CA refuses the token."), detail=detail, advice=advice)
        case 404:
            raise OrderNotFoundError(
                Message("rest_ca.unknown", "The CA does not know this order or certificate."), detail=detail
            )
        case 409 | 422:
            raise OrderRefusedError(Message("rest_ca.not_taken", "The CA does not take this request."), detail=detail)
        case _:
            text = Message("rest_ca.trouble", "The CA is in trouble.")
            raise CAError(text, detail=detail, retry_after=retry_after)


def _order(document: Mapping[str, Any]) -> Order:
    try:
        return Order(
            status=OrderStatus(document["status"]),
            chain=str(document.get("chain", "")),
            reason=_text(document.get("reason", "")),
            retry_after=document["retry_after"],
        )
    except (KeyError, ValueError):
        raise CAError(Message("rest_ca.unreadable", "The CA's answer cannot be read.")) from None


def _text(value: object) -> str:
    """A text of the CA on one line, in a form that can be stored: JSON may contain half of a surrogate pair."""
    return " ".join(str(value)[:500].encode("utf-8", "replace").decode().replace("\0", " ").split())


def _seconds(text: str) -> float | None:
    """The header ``Retry-After`` in seconds (RFC 9110 section 10.2.3), within bounds; dates are not read."""
    return float(min(int(text), _LONGEST_PAUSE)) if text.isascii() and text.isdecimal() and len(text) < 10 else None
