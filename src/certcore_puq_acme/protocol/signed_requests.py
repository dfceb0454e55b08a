"""Send signed requests with nonces, repeat them after badNonce, and check the replies (RFC 8555 section 6)."""

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
    """For a request that must not be made too often: limits its repetitions, and records that it was sent."""

    #: How often the request may be repeated because the server refused its nonce.
    repeats: int = BAD_NONCE_RETRIES
    #: Whether the request was sent. It is set just before sending.
    is_sent: bool = False


class Exchange:
    """Requests to one ACME server. Any number of threads may share it.

    Args:
        http: The connections.
        now: Returns the current time, with a time zone; None if there is no clock.
        home: The URL of the server's directory. It limits which servers may be called, see `HttpPort.request`.
    """

    def __init__(self, http: HttpPort, now: Callable[[], datetime] | None = None, *, home: str = "") -> None:
        self._http = http
        self._home = home
        #: The URL of the directory after redirects; empty if there were none.
        self._moved_home = ""
        self._now = now
        self._nonces: deque[str] = deque(maxlen=_MAX_NONCES)  # append and pop are atomic
        #: Our clock and the server's at the last reply with a Date header; None before the first.
        self.clock: ClockSight | None = None
        self._counting = threading.Lock()
        self._sent = 0
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Drop the nonces, which the parent process uses; see `certcore.forks`."""
        self._counting = threading.Lock()
        self._nonces.clear()

    @property
    def requests_sent(self) -> int:
        """How many requests were made, including those repeated after badNonce."""
        return self._sent

    def get(self, url: str, *, redirects: int = 0) -> HttpReply:
        """Send a plain GET, and follow at most ``redirects`` redirects.

        Raises:
            AcmeProblemError: The server answered with an error.
            TransportError: The server cannot be reached, or its reply is unusable.
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
        """Send a signed POST. If the server refuses its nonce, repeat the request with the nonce of the error reply.

        Args:
            url: The URL to post to.
            payload: JSON; empty for POST-as-GET.
            signer: The account key.
            kid: The account URL; empty to send the public key instead.
            new_nonce: The newNonce URL, requested only if no nonce is left.
            accept: The media type that the reply should have.
            sending: Limits the repetitions, and records that the request was sent.

        Raises:
            AcmeProblemError: The server answered with an error; with badNonce only after the last repetition.
            RequestLimitError: The step that makes this request may make no more requests.
            TransportError: The server cannot be reached, or its reply is unusable.
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
            except RequestLimitError:  # report badNonce instead, because the pauses after it grow
                break
        return self._checked(reply)

    def json(self, reply: HttpReply, resource: str) -> dict[str, Any]:
        """The JSON object in a successful reply.

        Raises:
            TransportError: The body is not JSON: ``empty``, ``html`` or ``not_json``.
            ProtocolError: The body is JSON, but not an object.
        """
        document = decode_json(reply.body)
        if document is None:
            raise body_failure(reply, self.retry_after(reply))
        if not isinstance(document, dict):
            raise ProtocolError(resource, host=host_of(reply.url))
        return document if self._is_own(reply) else _without_words(document)

    def moved_to(self, url: str) -> None:
        """Note that the directory was found at this URL after redirects, so that its server counts as the CA's own."""
        self._moved_home = url

    def _is_own(self, reply: HttpReply) -> bool:
        """Whether the reply comes from the directory's server. Texts of other servers are not shown to users.

        A hostile CA may give URLs of any server. Users of the CA profile must not read what those servers answer to us.
        """
        if not self._home:
            return True
        own = {host_of(url) for url in (self._home, self._moved_home) if url}
        return host_of(reply.url) in own

    def retry_after(self, reply: HttpReply) -> float | None:
        """The seconds in the reply's Retry-After header (see :func:`parse_retry_after`); None if it has none."""
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
        """Compare the clocks, unless the reply comes from a cache (RFC 9111 section 5.1)."""
        theirs = http_date(reply.header("Date"))
        if theirs is not None and self._now is not None and not reply.header("Age"):
            self.clock = ClockSight(ours=self._now(), theirs=theirs)

    def _count(self, *, repeats: bool = False) -> None:
        count_request(repeats=repeats)
        with self._counting:
            self._sent += 1

    def _is_bad_nonce(self, reply: HttpReply) -> bool:
        # After a 5xx error the request is not repeated, because the server may already have carried it out.
        if reply.status not in CLIENT_ERRORS or b"badNonce" not in reply.body:
            return False
        document = decode_json(reply.body)
        return isinstance(document, Mapping) and document.get("type") == error_urn("badNonce")

    def _checked(self, reply: HttpReply) -> HttpReply:
        """Keep the reply's nonce and compare the clocks; raise an error unless the reply is a success."""
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
    """The error for a success reply with an unusable body: ``empty``, ``html`` or ``not_json``."""
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
    """The reply's nonce; empty if there is none, or if it is not base64url (RFC 8555 section 6.5.1)."""
    nonce = reply.header("Replay-Nonce")
    return nonce if _NONCE.match(nonce) else ""


def _bare_problem(document: Any) -> dict[str, Any]:
    """A problem document without texts: only its type, and only if that is a type of ACME."""
    kind: object = document.get("type") if isinstance(document, Mapping) else None
    return {"type": kind} if kind in tuple(map(error_urn, ERROR_TYPES)) else {}


def _without_words(value: Any) -> Any:
    """A JSON document whose ``error`` members are reduced by `_bare_problem`."""
    if isinstance(value, dict):
        return {name: _bare_problem(item) if name == "error" else _without_words(item) for name, item in value.items()}
    return [_without_words(item) for item in value] if isinstance(value, list) else value
