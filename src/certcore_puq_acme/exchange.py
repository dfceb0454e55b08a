"""Signed requests and checked replies: nonces, badNonce, problem documents, JSON (RFC 8555 section 6)."""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from certcore.model.problem import Problem
from certcore_puq_acme.acme_errors import AcmeProblem, ProtocolError, TransportFailed
from certcore_puq_acme.jose import AccountSigner
from certcore_puq_acme.messages import parse_problem, parse_retry_after
from certcore_puq_acme.transport import Http, HttpReply, host_of, is_redirect, redirected

__all__ = ["BAD_NONCE_RETRIES", "Exchange", "body_failure"]

#: How often one request is repeated because its nonce was refused (RFC 8555 section 6.5).
BAD_NONCE_RETRIES: Final = 30

_NONCES_KEPT: Final = 64
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{1,1024}\Z")
_OK: Final = range(200, 300)
_POST_HEADERS: Final = {"Content-Type": "application/jose+json", "Accept": "application/json"}
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


class Exchange:
    """Requests to one ACME server. Any number of threads may share it.

    Args:
        http: The connections.
        now: The current time, aware; None when there is no clock at hand.
    """

    def __init__(self, http: Http, now: Callable[[], datetime] | None = None) -> None:
        self._http = http
        self._now = now
        self._nonces: deque[str] = deque(maxlen=_NONCES_KEPT)  # append and pop are atomic
        self._counting = threading.Lock()
        self._sent = 0

    @property
    def requests_sent(self) -> int:
        """How many requests were made, those repeated for a nonce included."""
        return self._sent

    def get(self, url: str, *, redirects: int = 0) -> HttpReply:
        """A plain GET, following at most ``redirects`` redirects.

        Raises:
            AcmeProblem: The server answered with an error.
            TransportFailed: There is no usable answer.
        """
        self._count()
        reply = self._http.get(url, headers={"Accept": "application/json"}, redirects=redirects)
        return self._checked(reply)

    def post(
        self,
        url: str,
        payload: bytes,
        *,
        signer: AccountSigner,
        kid: str,
        new_nonce: str,
        accept: str = "application/json",
    ) -> HttpReply:
        """A signed POST, repeated with the error's own nonce for as long as the server calls its nonce bad.

        Args:
            url: Where to.
            payload: JSON, or nothing for POST-as-GET.
            signer: The account key.
            kid: The account URL; empty to send the public key instead.
            new_nonce: The newNonce URL, asked only when no nonce is left.
            accept: The media type that the answer should have.

        Raises:
            AcmeProblem: The server answered with an error; badNonce after :data:`BAD_NONCE_RETRIES` repetitions.
            TransportFailed: There is no usable answer.
            ProtocolError: The server gives no nonces.
        """
        headers = _POST_HEADERS if accept == "application/json" else {**_POST_HEADERS, "Accept": accept}
        nonce = self._nonce(new_nonce)
        for left in range(BAD_NONCE_RETRIES, -1, -1):
            body = signer.sign(payload, url=url, nonce=nonce, kid=kid)
            self._count()
            reply = self._http.request("POST", url, body=body, headers=headers)
            if left and self._is_bad_nonce(reply):
                nonce = _nonce_of(reply) or self._nonce(new_nonce)
                continue
            break
        return self._checked(reply)

    def json(self, reply: HttpReply, resource: str) -> dict[str, Any]:
        """The JSON object in a successful reply.

        Raises:
            TransportFailed: ``empty``, ``html`` or ``not_json``.
            ProtocolError: JSON, but no object.
        """
        document = _decode(reply.body)
        if document is None:
            raise body_failure(reply, self.retry_after(reply))
        if not isinstance(document, dict):
            raise ProtocolError(resource, host=host_of(reply.url))
        return document

    def retry_after(self, reply: HttpReply) -> float | None:
        """The seconds of the reply's Retry-After, None without (see :func:`parse_retry_after`)."""
        value = reply.header("Retry-After")
        if not value:
            return None
        return parse_retry_after(value, date=reply.header("Date"), now=self._now() if self._now else None)

    def _nonce(self, new_nonce: str) -> str:
        try:
            return self._nonces.pop()  # the newest: old ones may have expired
        except IndexError:
            pass
        self._count()
        reply = self._http.request("HEAD", new_nonce)
        nonce = _nonce_of(reply)
        if reply.status not in _OK:
            self._checked(reply)
        if not nonce:
            raise ProtocolError("newNonce reply", "Replay-Nonce", host=host_of(reply.url))
        return nonce

    def _count(self) -> None:
        with self._counting:
            self._sent += 1

    def _is_bad_nonce(self, reply: HttpReply) -> bool:
        if reply.status < 400 or b"badNonce" not in reply.body:  # noqa: PLR2004 - RFC 9110 section 15.5
            return False
        document = _decode(reply.body)
        return isinstance(document, Mapping) and document.get("type") == "urn:ietf:params:acme:error:badNonce"

    def _checked(self, reply: HttpReply) -> HttpReply:
        """Keep the nonce, and raise unless the reply is a success."""
        if nonce := _nonce_of(reply):
            self._nonces.append(nonce)
        if reply.status in _OK:
            return reply
        if is_redirect(reply):
            raise redirected(reply)
        raise AcmeProblem(
            parse_problem(_decode(reply.body)) or Problem(status=reply.status),
            status=reply.status,
            host=host_of(reply.url),
            retry_after=self.retry_after(reply),
            location=reply.header("Location"),
        )


def body_failure(reply: HttpReply, retry_after: float | None = None) -> TransportFailed:
    """The error for a success whose body is not what it should be: ``empty``, ``html`` or ``not_json``."""
    host = host_of(reply.url)
    start = reply.body[:512].lstrip().lower()
    if not start:
        kind, what = "empty", "an empty answer"
    elif start.startswith(b"<") or reply.header("Content-Type").lower().startswith("text/html"):
        kind, what = "html", "a web page where an ACME answer was due"
    else:
        kind, what = "not_json", "something that is not JSON"
    return TransportFailed(kind, f"The CA's server at {host} sent {what}.", host=host, retry_after=retry_after)


def _nonce_of(reply: HttpReply) -> str:
    """The reply's nonce; one that is not base64url is ignored, as RFC 8555 section 6.5.1 demands."""
    nonce = reply.header("Replay-Nonce")
    return nonce if _NONCE.match(nonce) else ""


def _decode(body: bytes) -> Any:
    """JSON, or None for what is not JSON. Strings that no database would take are made harmless."""
    text = body.decode("utf-8-sig", "replace")
    try:
        document = json.loads(text)
        return _storable(document) if "\\u" in text else document
    except (ValueError, RecursionError):
        return None


def _storable(value: Any) -> Any:
    match value:
        case str():
            return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
        case dict():
            return {_storable(name): _storable(one) for name, one in value.items()}
        case list():
            return [_storable(one) for one in value]
    return value
