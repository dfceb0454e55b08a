"""Signed requests and checked replies: nonces, badNonce, problem documents, JSON (RFC 8555 section 6)."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from attrs import define

from certcore.forks import renew_after_fork
from certcore.messages import Message
from certcore.net.foreign_text import LONGEST_URL, decode_json, printable
from certcore.net.http import HttpReply
from certcore_puq_acme.protocol.error_types import CLIENT_ERRORS, ERROR_TYPES
from certcore_puq_acme.protocol.errors import AcmeProblemError, ProtocolError, TransportError
from certcore_puq_acme.protocol.http import host_of, is_redirect, redirect_target, redirected
from certcore_puq_acme.protocol.http_port import HttpPort
from certcore_puq_acme.protocol.jws import AccountSigner
from certcore_puq_acme.protocol.metering import RequestLimitError, count_request
from certcore_puq_acme.protocol.problem_document import ProblemDocument, error_urn
from certcore_puq_acme.protocol.resources import http_date, parse_retry_after
from certcore_puq_acme.protocol.server_clock import ClockSight

__all__ = ["BAD_NONCE_RETRIES", "Exchange", "Sending", "body_failure"]

#: How often one request is repeated because its nonce was refused (RFC 8555 section 6.5).
BAD_NONCE_RETRIES: Final = 30

_MAX_NONCES: Final = 64
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{1,1024}\Z")
_SUCCESS: Final = range(200, 300)
_POST_HEADERS: Final = {"Content-Type": "application/jose+json", "Accept": "application/json"}


@define(eq=False)
class Sending:
    """How one request is sent, for requests that must not be made too often; and whether it was."""

    #: How often it is repeated because the server refused its nonce.
    repeats: int = BAD_NONCE_RETRIES
    #: Whether it was sent, or was just about to be.
    is_sent: bool = False


class Exchange:
    """Requests to one ACME server. Any number of threads may share it.

    Args:
        http: The connections.
        now: The current time, aware; None when there is no clock at hand.
        home: The URL of the server's directory, which limits where requests may go, see `HttpPort.request`.
    """

    def __init__(self, http: HttpPort, now: Callable[[], datetime] | None = None, *, home: str = "") -> None:
        self._http = http
        self._home = home
        #: Where the directory was found after redirects.
        self._moved_home = ""
        self._now = now
        self._nonces: deque[str] = deque(maxlen=_MAX_NONCES)  # append and pop are atomic
        #: Our clock and the server's at the last answer with a Date; None before one.
        self.clock: ClockSight | None = None
        self._counting = threading.Lock()
        self._sent = 0
        renew_after_fork(self)

    def after_fork(self) -> None:
        """The nonces are the parent's; see `certcore.forks`."""
        self._counting = threading.Lock()
        self._nonces.clear()

    @property
    def requests_sent(self) -> int:
        """How many requests were made, those repeated for a nonce included."""
        return self._sent

    def get(self, url: str, *, redirects: int = 0) -> HttpReply:
        """A plain GET, following at most ``redirects`` redirects.

        Raises:
            AcmeProblemError: The server answered with an error.
            TransportError: There is no usable answer.
        """
        for _ in range(redirects + 1):
            self._count()
            reply = self._http.request("GET", url, headers={"Accept": "application/json"}, home=self._home)
            if not is_redirect(reply):
                return self._checked(reply)
            url = redirect_target(reply)
            if not url:
                break
        raise redirected(reply)

    def post(
        self,
        url: str,
        payload: bytes,
        *,
        signer: AccountSigner,
        kid: str,
        new_nonce: str,
        accept: str = "application/json",
        sending: Sending | None = None,
    ) -> HttpReply:
        """A signed POST, repeated with the error's own nonce for as long as the server calls its nonce bad.

        Args:
            url: Where to.
            payload: JSON, or nothing for POST-as-GET.
            signer: The account key.
            kid: The account URL; empty to send the public key instead.
            new_nonce: The newNonce URL, asked only when no nonce is left.
            accept: The media type that the answer should have.
            sending: Bounds the repetitions, and notes that the request was sent.

        Raises:
            AcmeProblemError: The server answered with an error; badNonce after the last repetition.
            RequestLimitError: The step that this is for may make no request.
            TransportError: There is no usable answer.
            ProtocolError: The server gives no nonces.
        """
        headers = _POST_HEADERS if accept == "application/json" else {**_POST_HEADERS, "Accept": accept}
        nonce = self._nonce(new_nonce)
        self._count()
        sending = sending or Sending()
        sending.is_sent = True
        for left in range(min(sending.repeats, BAD_NONCE_RETRIES), -1, -1):
            body = signer.sign(payload, url=url, nonce=nonce, kid=kid)
            try:
                reply = self._http.request("POST", url, body=body, headers=headers, home=self._home)
            except TransportError as error:
                raise error.at(url) from error.__cause__
            if not left or not self._is_bad_nonce(reply):
                break
            try:
                nonce = _nonce_of(reply) or self._nonce(new_nonce)
                self._count(repeats=True)
            except RequestLimitError:  # the refusal is what there is to tell: the pauses after it grow
                break
        return self._checked(reply)

    def json(self, reply: HttpReply, resource: str) -> dict[str, Any]:
        """The JSON object in a successful reply.

        Raises:
            TransportError: ``empty``, ``html`` or ``not_json``.
            ProtocolError: JSON, but no object.
        """
        document = decode_json(reply.body)
        if document is None:
            raise body_failure(reply, self.retry_after(reply))
        if not isinstance(document, dict):
            raise ProtocolError(resource, host=host_of(reply.url))
        return document if self._is_own(reply) else _without_words(document)

    def moved_to(self, url: str) -> None:
        """The directory was found at this URL after redirects: its server counts as the CA's own."""
        self._moved_home = url

    def _is_own(self, reply: HttpReply) -> bool:
        """Whether the answer is of the directory's server: only that one's words are shown to people.

        A CA may name any server of the Internet as its own. What a foreign one answers to us is not for the CA's users.
        """
        if not self._home:
            return True
        own = {host_of(url) for url in (self._home, self._moved_home) if url}
        return host_of(reply.url) in own

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
        reply = self._http.request("HEAD", new_nonce, home=self._home)
        nonce = _nonce_of(reply)
        if reply.status not in _SUCCESS:
            self._checked(reply)
        if not nonce:
            raise ProtocolError("newNonce reply", "Replay-Nonce", host=host_of(reply.url))
        return nonce

    def _look_at_clock(self, reply: HttpReply) -> None:
        """Compare the clocks, unless the answer was kept by a cache for a while (RFC 9111 section 5.1)."""
        theirs = http_date(reply.header("Date"))
        if theirs is not None and self._now is not None and not reply.header("Age"):
            self.clock = ClockSight(ours=self._now(), theirs=theirs)

    def _count(self, *, repeats: bool = False) -> None:
        count_request(repeats=repeats)
        with self._counting:
            self._sent += 1

    def _is_bad_nonce(self, reply: HttpReply) -> bool:
        # A server error may come after the server has acted: such a request is not repeated as if nothing was done.
        if reply.status not in CLIENT_ERRORS or b"badNonce" not in reply.body:
            return False
        document = decode_json(reply.body)
        return isinstance(document, Mapping) and document.get("type") == error_urn("badNonce")

    def _checked(self, reply: HttpReply) -> HttpReply:
        """Keep the nonce, and raise unless the reply is a success."""
        if nonce := _nonce_of(reply):
            self._nonces.append(nonce)
        self._look_at_clock(reply)
        if reply.status in _SUCCESS:
            return reply
        if is_redirect(reply):
            raise redirected(reply)
        document = decode_json(reply.body)
        shown = document if self._is_own(reply) else _bare_problem(document)
        raise AcmeProblemError(
            ProblemDocument.from_json(shown) or ProblemDocument(),
            status=reply.status,
            host=host_of(reply.url),
            retry_after=self.retry_after(reply),
            location=printable(reply.header("Location"), LONGEST_URL),
        ).at(reply.url)


def body_failure(reply: HttpReply, retry_after: float | None = None) -> TransportError:
    """The error for a success whose body is not what it should be: ``empty``, ``html`` or ``not_json``."""
    host = host_of(reply.url)
    start = reply.body[:512].lstrip().lower()
    params = {"host": host}
    if not start:
        kind = "empty"
        message = Message("puq_acme.transport.empty", "The CA's server at {host} sent an empty answer.", params)
    elif start.startswith(b"<") or reply.header("Content-Type").lower().startswith("text/html"):
        kind = "html"
        text = "The CA's server at {host} sent a web page instead of an ACME answer."
        message = Message("puq_acme.transport.html", text, params)
    else:
        kind = "not_json"
        text = "The CA's server at {host} sent something that is not JSON."
        message = Message("puq_acme.transport.not_json", text, params)
    return TransportError(kind, message, host=host, retry_after=retry_after).at(reply.url)


def _nonce_of(reply: HttpReply) -> str:
    """The reply's nonce; one that is not base64url is ignored, as RFC 8555 section 6.5.1 demands."""
    nonce = reply.header("Replay-Nonce")
    return nonce if _NONCE.match(nonce) else ""


def _bare_problem(document: Any) -> dict[str, Any]:
    """A problem document without any text: its type, where that is one of ACME's."""
    kind: object = document.get("type") if isinstance(document, Mapping) else None
    return {"type": kind} if kind in tuple(map(error_urn, ERROR_TYPES)) else {}


def _without_words(value: Any) -> Any:
    """A JSON document with its problems bare."""
    if isinstance(value, dict):
        return {name: _bare_problem(item) if name == "error" else _without_words(item) for name, item in value.items()}
    return [_without_words(item) for item in value] if isinstance(value, list) else value
