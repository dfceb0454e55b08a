"""Post events to your web server as signed JSON. A delivery is repeated until the server has accepted it.

::

    hook = Webhook(name="panel", url="https://panel.example/hooks/certcore", secrets=(Secret("…"),))
    core = CertCore.open("sqlite:///certcore.db", keyring="keyring.json", plugins=[hook])

The body is one object, `certcore.serialization.webhook_document`; its member ``schema`` names its version, and
`certcore.serialization.json_schema` has its JSON Schema. A member without a value is null or empty, never missing::

    {"schema": "urn:certcore:schema:webhook:1", "id": "<certificate_id>/<number>", "domain": "shop.example",
     "owner": "customer-7", "certificate_id": "…", "number": 7, "at": "2030-01-01T00:00:00Z", "kind": "installed",
     "actor": "system", "from_status": "processing", "to_status": "active", "data": {"serial": "…"}, "problem": null,
     "hash": "…"}

``id`` is also sent as the header ``Idempotency-Key``. Each event is delivered at least once, and the events of one
certificate are delivered in order. The header ``Certcore-Signature`` is ``t=<seconds since 1970>,v1=<hex>``, with a
``v1`` for each secret: the HMAC-SHA256 over the digits of ``t``, a dot and the body. Receivers can check it with
`verify_signature`.

Any status 2xx means that the server accepted the event; the body of its answer is not read. Redirects are not followed,
so that only the administrator decides where events go. Proxies and passwords in the environment are not used.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen

from certcore.adapters.environment import SystemEnvironment
from certcore.contrib.validators import (
    check_name,
    check_seconds,
    event_kinds,
    optional_path,
    server_advice,
)
from certcore.errors import CertCoreError, InvalidInputError, NotFoundError
from certcore.hookspecs import hookimpl
from certcore.model.events import Event, EventKind
from certcore.model.secret import Secret
from certcore.net.failures import NetworkError
from certcore.net.http import HttpClient
from certcore.net.tls import tls_context
from certcore.net.urls import BadUrlError, parse_url
from certcore.ports.environment import Environment
from certcore.ports.plugins import CertificateSource
from certcore.serialization import webhook_document

__all__ = ["SIGNATURE_HEADER", "Webhook", "WebhookError", "verify_signature"]

#: The header with the signatures.
SIGNATURE_HEADER: Final = "Certcore-Signature"

#: The minimum length of a secret in bytes. A shorter secret could be guessed from a body and its signature.
_MIN_SECRET: Final = 16
_MAX_SECRETS: Final = 10
_MAX_URL: Final = 2000
_MAX_HEADER: Final = 1000
_SIGNATURE: Final = re.compile(r"t=([0-9]{1,12})((?:,v1=[0-9a-f]{64})+)")
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


class WebhookError(CertCoreError):
    """A web server did not accept an event; the delivery is retried later."""

    code = "webhook_error"
    http_status = 502


def verify_signature(
    body: bytes,
    signature: str | bytes | None,
    *,
    secrets: Iterable[Secret],
    now: datetime,
    tolerance: timedelta = timedelta(minutes=5),
) -> bool:
    """Whether a request was just now signed with one of the secrets. For receivers of events.

    Signatures are compared in constant time.

    Args:
        body: The body exactly as received, not parsed and serialized again.
        signature: The value of the header `SIGNATURE_HEADER`, as text or bytes; None if the request has no such header.
        secrets: The valid secrets. During a rotation, these are the old and the new one.
        now: The current time, with a time zone.
        tolerance: How far the request's time may differ from ``now``. Older requests may be replays.

    Raises:
        InvalidInputError: ``now`` has no time zone.
    """
    if now.utcoffset() is None:
        raise InvalidInputError("now", "a datetime needs a time zone.")
    text = signature.decode("latin-1") if isinstance(signature, bytes) else signature
    match = _SIGNATURE.fullmatch(text) if text and len(text) <= _MAX_HEADER else None
    if match is None:
        return False
    seconds, signatures = match[1], match[2].split(",v1=")[1:]
    expected = [_hmac(secret, seconds, body) for secret in secrets]
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures]
    return any(matches) and abs(now.timestamp() - int(seconds)) <= tolerance.total_seconds()


def _hmac(secret: Secret, seconds: str, body: bytes) -> str:
    return hmac.new(secret.reveal(), f"{seconds}.".encode() + body, "sha256").hexdigest()


def _tuple(secrets: Iterable[Secret] | Secret) -> tuple[Secret, ...]:
    return (secrets,) if isinstance(secrets, Secret) else tuple(secrets)


def _check_secrets(_: object, attribute: Attribute[Any], secrets: tuple[Secret, ...]) -> None:
    if not all(isinstance(secret, Secret) for secret in secrets):
        raise InvalidInputError(attribute.name, "a list of Secret is needed.")
    if len(secrets) > _MAX_SECRETS:
        raise InvalidInputError(attribute.name, f"more than {_MAX_SECRETS} are too many.")
    if any(len(secret.reveal()) < _MIN_SECRET for secret in secrets):
        raise InvalidInputError(
            attribute.name,
            f"one is shorter than {_MIN_SECRET} bytes, and could be guessed.",
            advice="Make one with: openssl rand -hex 32",
        )


def _check_url(_: object, attribute: Attribute[Any], url: str) -> None:
    if not isinstance(url, str) or len(url) > _MAX_URL or not re.fullmatch(r"[!-~]+", url):
        raise InvalidInputError(attribute.name, "a URL of ASCII letters, digits and signs is needed, without spaces.")
    try:
        origin, _ = parse_url(url, allow_http=True)
    except BadUrlError as error:
        raise InvalidInputError(
            attribute.name,
            f"it {error}.",
            advice="Use secrets: with them events are signed." if "@" in url else "",
        ) from None
    if "#" in url or not re.fullmatch(r"[A-Za-z0-9.:_-]+", origin.host):
        raise InvalidInputError(attribute.name, "its host is not a name, or there is a # in it.")


@frozen(kw_only=True, eq=False)
class Webhook:
    """A target that posts events: pass it to ``CertCore.open(…, plugins=[Webhook(…)])``.

    The module describes the format. A policy must allow the actor ``plugin:<name>`` to view the certificates.

    Raises:
        InvalidInputError: A field is invalid; the error names it.
    """

    #: Unique among the plugins; the store tracks deliveries by this name.
    name: str = field(validator=check_name)
    #: An ``https`` URL, or ``http`` to this machine. It is not shown, as it may hold a token.
    url: str = field(validator=_check_url, repr=False)
    #: The secrets that sign each request: during a rotation, the old and the new one. Without a secret, everybody who
    #: knows the URL can send events to the server.
    secrets: tuple[Secret, ...] = field(default=(), converter=_tuple, validator=_check_secrets, repr=False)
    #: The kinds of events that are posted; all of them by default.
    kinds: frozenset[EventKind] = field(default=frozenset(EventKind), converter=event_kinds)
    #: PEM certificates to trust instead of the system's.
    ca_file: Path | None = field(default=None, converter=optional_path)
    #: Whether plain ``http`` to other machines is allowed. Everybody on the network path can read it.
    allow_http: bool = False
    #: Seconds to connect.
    connect_timeout: float = field(default=5.0, validator=check_seconds)
    #: Seconds to wait for the answer.
    read_timeout: float = field(default=10.0, validator=check_seconds)
    #: The clock, for the signature.
    environment: Environment = field(factory=SystemEnvironment, repr=False)

    def __attrs_post_init__(self) -> None:
        if not self.allow_http and not parse_url(self.url, allow_http=True)[0].is_permitted:
            raise InvalidInputError(
                "url", "it is not encrypted.", advice="Use https; allow_http permits it where nobody listens."
            )

    @hookimpl
    def certcore_on_event(self, event: Event, certificates: CertificateSource) -> None:
        """Post an event.

        Raises:
            WebhookError: The server could not be reached, or did not accept the event.
            InvalidInputError: ``ca_file`` cannot be used.
        """
        if event.kind not in self.kinds:
            return
        try:
            certificate = certificates.view(event.certificate_id, actor=f"plugin:{self.name}").certificate
            domain, owner = certificate.domain.ascii, certificate.owner
        except NotFoundError:
            domain, owner = str(event.data.get("domain", "")), event.owner
        document = webhook_document(event, domain=domain, owner=owner)
        body = json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": str(document["id"]),
            "Connection": "close",
        }
        if self.secrets:
            seconds = str(int(self.environment.now().timestamp()))
            signed = (f"v1={_hmac(secret, seconds, body)}" for secret in self.secrets)
            headers[SIGNATURE_HEADER] = ",".join((f"t={seconds}", *signed))
        self._judge(self._post(body, headers))

    def _post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a request, and return the status of the answer. The body of the answer is not read."""
        try:
            with closing(
                HttpClient(
                    timeout=self.read_timeout,
                    connect_timeout=self.connect_timeout,
                    tls=tls_context(ca_file=self.ca_file),
                    pool_size=0,
                    allow_http=self.allow_http,
                )
            ) as client:
                return client.request("POST", self.url, body=body, headers=headers, read_body=False).status
        except NetworkError as error:
            raise WebhookError(f"{self._server} {error.clause}.", advice=server_advice(error)) from None

    def _judge(self, status: int) -> None:
        if status // 100 == HTTPStatus.OK // 100:
            return
        if status // 100 == HTTPStatus.MULTIPLE_CHOICES // 100:
            raise WebhookError(
                f"{self._server} answered with a redirect ({status}), and redirects are not followed.",
                advice="Put the URL that it leads to into the target.",
            )
        raise WebhookError(
            f"{self._server} did not take the event: it answered with the status {status}.",
            advice=_ADVICE.get(status, "Look at the log of that server."),
        )

    @property
    def _server(self) -> str:
        """The server's name for messages. The rest of the URL may be secret."""
        parts = urlsplit(self.url)
        return f"The server {parts.scheme}://{parts.netloc}"
