"""Events to a web server of yours: each is posted as JSON, signed, until the server has taken it.

::

    hook = Webhook(name="panel", url="https://panel.example/hooks/certcore", secrets=(Secret("…"),))
    core = CertCore.open("sqlite:///certcore.db", keyring="keyring.json", plugins=[hook])

The body is one object of this form; a field that has no value is null or empty, never missing::

    {"version": 1, "id": "<certificate>/<number>", "kind": "installed", "certificate": "…", "domain": "shop.example",
     "owner": "customer-7", "at": "2030-01-01T00:00:00+00:00", "from": "processing", "to": "active",
     "data": {"serial": "…"}, "problem": null, "hash": "…"}

``id`` is the header ``Idempotency-Key`` as well: an event comes at least once, and those of one certificate in order.
``Certcore-Signature`` is ``t=<seconds since 1970>,v1=<hex>``, with a ``v1`` for each secret: the HMAC-SHA256 over the
digits of ``t``, a dot and the body. `verify_signature` is for whoever receives it.

Any status 2xx means that the event was taken, and the answer is not read further. Redirects are not followed, so that
nobody but the administrator says where events go; proxies and passwords in the environment are not used.
"""

from __future__ import annotations

import hmac
import http.client
import json
import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from attrs import Attribute, field, frozen

from certcore.adapters.environment import SystemEnvironment
from certcore.contrib.deadline import Deadline, deadline
from certcore.contrib.target_fields import (
    check_name,
    check_seconds,
    connection_trouble,
    event_kinds,
    optional_path,
    tls_context,
)
from certcore.errors import CertCoreError, InvalidInput, NotFound
from certcore.hookspecs import hookimpl
from certcore.model.events import Event, EventKind
from certcore.model.secret import Secret
from certcore.net import is_loopback
from certcore.ports.environment import Environment
from certcore.ports.plugins import CertificateSource

__all__ = ["SIGNATURE_HEADER", "Webhook", "WebhookFailed", "event_document", "verify_signature"]

#: The header with the signatures.
SIGNATURE_HEADER: Final = "Certcore-Signature"

_VERSION: Final = 1
#: In bytes. Shorter ones could be guessed by whoever has seen a body with its signature.
_SHORTEST_SECRET: Final = 16
_MOST_SECRETS: Final = 10
_LONGEST_URL: Final = 2000
_LONGEST_HEADER: Final = 1000
_SIGNATURE: Final = re.compile(r"t=([0-9]{1,12})((?:,v1=[0-9a-f]{64})+)")
#: Answers that announce another one, before the server is given up.
_MOST_INTERIM: Final = 20
_PORTS: Final = {"https": 443, "http": 80}
_ADVICE: Final[Mapping[int, str]] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: "The server wants another secret or signature: compare the secrets on both sides.",
        HTTPStatus.FORBIDDEN: "The server does not let it in: compare the secrets on both sides, and look at its log.",
        HTTPStatus.NOT_FOUND: "There is nothing at this path: look at the URL.",
        HTTPStatus.METHOD_NOT_ALLOWED: "The server takes no POST there: look at the URL.",
        HTTPStatus.GONE: "There is nothing at this path any more: look at the URL, or remove the target.",
        HTTPStatus.TOO_MANY_REQUESTS: "The server has too much to do; it is tried again.",
    }
)


class WebhookFailed(CertCoreError):
    """A web server did not take an event; it is offered again later."""


def event_document(event: Event, *, domain: str, owner: str) -> dict[str, Any]:
    """What is posted, before it becomes JSON.

    Args:
        event: The event.
        domain: The certificate's primary name; empty when it is not known any more.
        owner: The certificate's owner, as the panel calls it.
    """
    return {
        "version": _VERSION,
        "id": f"{event.certificate_id}/{event.number}",
        "kind": str(event.kind),
        "certificate": event.certificate_id,
        "domain": domain,
        "owner": owner,
        "at": event.at.astimezone(UTC).isoformat(),
        "from": None if event.from_status is None else str(event.from_status),
        "to": None if event.to_status is None else str(event.to_status),
        "data": dict(event.data),
        "problem": None if event.problem is None else event.problem.to_json(),
        "hash": event.hash,
    }


def verify_signature(
    body: bytes,
    signature: str | bytes | None,
    *,
    secrets: Iterable[Secret],
    now: datetime,
    tolerance: timedelta = timedelta(minutes=5),
) -> bool:
    """Whether a request is from somebody who has one of the secrets, and was made just now; for receivers.

    How long it takes does not depend on where a wrong signature differs from a right one.

    Args:
        body: The body, byte for byte as it came; not parsed and written anew.
        signature: The value of the header `SIGNATURE_HEADER`, text or bytes; anything, also None where there is none.
        secrets: The secrets that are good: while you change it, the old and the new one.
        now: The present moment, with a time zone.
        tolerance: How far the request's moment may be from it. An older request may be one that somebody recorded.

    Raises:
        InvalidInput: ``now`` has no time zone.
    """
    if now.utcoffset() is None:
        raise InvalidInput("now", "a moment needs its time zone.")
    text = signature.decode("latin-1") if isinstance(signature, bytes) else signature
    found = _SIGNATURE.fullmatch(text) if text and len(text) <= _LONGEST_HEADER else None
    if found is None:
        return False
    seconds, given = found[1], found[2].split(",v1=")[1:]
    expected = [_hmac(secret, seconds, body) for secret in secrets]
    matches = [hmac.compare_digest(one, other) for one in expected for other in given]
    return any(matches) and abs(now.timestamp() - int(seconds)) <= tolerance.total_seconds()


def _hmac(secret: Secret, seconds: str, body: bytes) -> str:
    return hmac.new(secret.reveal(), f"{seconds}.".encode() + body, "sha256").hexdigest()


def _tuple(secrets: Iterable[Secret] | Secret) -> tuple[Secret, ...]:
    return (secrets,) if isinstance(secrets, Secret) else tuple(secrets)


def _check_secrets(_: object, attribute: Attribute[Any], secrets: tuple[Secret, ...]) -> None:
    if not all(isinstance(one, Secret) for one in secrets):
        raise InvalidInput(attribute.name, "a list of Secret is needed.")
    if len(secrets) > _MOST_SECRETS:
        raise InvalidInput(attribute.name, f"more than {_MOST_SECRETS} are too many.")
    if any(len(one.reveal()) < _SHORTEST_SECRET for one in secrets):
        raise InvalidInput(
            attribute.name,
            f"one is shorter than {_SHORTEST_SECRET} bytes, and could be guessed.",
            advice="Make one with: openssl rand -hex 32",
        )


def _check_url(_: object, attribute: Attribute[Any], url: str) -> None:
    if not isinstance(url, str) or len(url) > _LONGEST_URL or not re.fullmatch(r"[!-~]+", url):
        raise InvalidInput(attribute.name, "a URL of ASCII letters, digits and signs is needed, without spaces.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidInput(attribute.name, "it cannot be read.") from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise InvalidInput(attribute.name, "it is not the https URL of a server.")
    if "@" in parts.netloc:
        raise InvalidInput(
            attribute.name, "it holds a user or a password.", advice="Use secrets: with them events are signed."
        )
    if parts.fragment or not re.fullmatch(r"[A-Za-z0-9.:_-]+", parts.hostname):
        raise InvalidInput(attribute.name, "its host is not a name, or there is a # in it.")


@frozen(kw_only=True, eq=False)
class Webhook:
    """A target that is posted to: hand it to ``CertCore.open(…, plugins=[Webhook(…)])``; the module says what it sends.

    With a policy, the actor ``plugin:<name>`` has to be allowed to view the certificates.

    Raises:
        InvalidInput: A field cannot be used; the error names it.
    """

    #: Unique among the plugins; the store remembers by it what was taken.
    name: str = field(validator=check_name)
    #: An ``https`` URL, or ``http`` to this machine. It is not shown, as it may hold a token.
    url: str = field(validator=_check_url, repr=False)
    #: What requests are signed with, each of them: while it is changed, the old and the new one. Without any, whoever
    #: finds the URL can send events to the server.
    secrets: tuple[Secret, ...] = field(default=(), converter=_tuple, validator=_check_secrets, repr=False)
    #: The kinds of events that are posted; all of them by default.
    kinds: frozenset[EventKind] = field(default=frozenset(EventKind), converter=event_kinds)
    #: PEM certificates to trust instead of the system's.
    ca_file: Path | None = field(default=None, converter=optional_path)
    #: Whether plain ``http`` may go to other machines: everybody on the way can read it then.
    allow_http: bool = False
    #: Seconds to connect.
    connect_timeout: float = field(default=5.0, validator=check_seconds)
    #: Seconds to wait for the answer.
    read_timeout: float = field(default=10.0, validator=check_seconds)
    #: The clock, for the signature.
    environment: Environment = field(factory=SystemEnvironment, repr=False)

    def __attrs_post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.allow_http and not is_loopback(parts.hostname or ""):
            raise InvalidInput(
                "url", "it is not encrypted.", advice="Use https; allow_http permits it where nobody listens."
            )

    @hookimpl
    def certcore_on_event(self, event: Event, certificates: CertificateSource) -> None:
        """Post an event.

        Raises:
            WebhookFailed: The server could not be reached, or did not take it.
            InvalidInput: ``ca_file`` cannot be used.
        """
        if event.kind not in self.kinds:
            return
        try:
            certificate = certificates.view(event.certificate_id, actor=f"plugin:{self.name}").certificate
            domain, owner = certificate.domain.ascii, certificate.owner
        except NotFound:
            domain, owner = str(event.data.get("domain", "")), ""
        document = event_document(event, domain=domain, owner=owner)
        body = json.dumps(document, separators=(",", ":"), allow_nan=False, default=_plain_json).encode("ascii")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "certcore",
            "Idempotency-Key": str(document["id"]),
            "Connection": "close",
        }
        if self.secrets:
            seconds = str(int(self.environment.now().timestamp()))
            signed = (f"v1={_hmac(secret, seconds, body)}" for secret in self.secrets)
            headers[SIGNATURE_HEADER] = ",".join((f"t={seconds}", *signed))
        self._judge(self._post(body, headers))

    def _post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a request; returns the status of the answer, of which nothing more is read."""
        parts = urlsplit(self.url)
        context = tls_context(self.ca_file) if parts.scheme == "https" else None
        with deadline(self.connect_timeout + self.read_timeout) as limit:
            try:
                status = self._talk(parts, context, limit, body, headers)
                if limit.passed:  # a header section that was cut off looks like one that has ended
                    raise TimeoutError
            except (OSError, http.client.HTTPException, ValueError) as error:
                what, advice = connection_trouble(TimeoutError() if limit.passed else error)
                raise WebhookFailed(f"{self._server} {what}.", advice=advice) from None
        return status

    def _talk(
        self,
        parts: SplitResult,
        context: ssl.SSLContext | None,
        limit: Deadline,
        body: bytes,
        headers: Mapping[str, str],
    ) -> int:
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        with closing(socket.create_connection((host, port), self.connect_timeout)) as connected:
            limit.watch(connected)
            connected.settimeout(self.read_timeout)
            if context is None:
                return _exchange(http.client.HTTPConnection(host, port), connected, parts, body, headers)
            with closing(context.wrap_socket(connected, server_hostname=host)) as safe:
                connection = http.client.HTTPSConnection(host, port, context=context)
                return _exchange(connection, safe, parts, body, headers)

    def _judge(self, status: int) -> None:
        if status // 100 == HTTPStatus.OK // 100:
            return
        if status // 100 == HTTPStatus.MULTIPLE_CHOICES // 100:
            raise WebhookFailed(
                f"{self._server} answered with a redirect ({status}), and redirects are not followed.",
                advice="Put the URL that it leads to into the target.",
            )
        raise WebhookFailed(
            f"{self._server} did not take the event: it answered with the status {status}.",
            advice=_ADVICE.get(status, "Look at the log of that server."),
        )

    @property
    def _server(self) -> str:
        """The server alone: the rest of a URL may be a secret."""
        parts = urlsplit(self.url)
        return f"The server {parts.scheme}://{parts.netloc}"


def _exchange(
    connection: http.client.HTTPConnection,
    connected: socket.socket,
    parts: SplitResult,
    body: bytes,
    headers: Mapping[str, str],
) -> int:
    target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    connection.sock = connected  # made here, so that there is a deadline on the handshake as well
    with closing(connection):
        connection.request("POST", target, body, dict(headers))
        with closing(http.client.HTTPResponse(connected, method="POST")) as answer:
            for _ in range(_MOST_INTERIM):
                answer.begin()
                if answer.status >= HTTPStatus.OK or answer.status == HTTPStatus.SWITCHING_PROTOCOLS:
                    return answer.status
                # An interim answer, 103 (RFC 8297) for example; the final one follows (RFC 9110 section 15.2), and is
                # read when there are no headers yet.
                answer.headers = None  # type: ignore[assignment]
    raise http.client.HTTPException("There is no end of interim answers.")


def _plain_json(value: Any) -> dict[str, Any]:
    """Read-only mappings are objects, too."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"An event holds a {type(value).__name__}, which is not plain JSON.")
