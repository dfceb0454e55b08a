"""Notices by mail for events that need somebody's attention: plain text over SMTP, one mail per event.

::

    mail = Mail(name="mail", host="mail.example", sender="certcore@panel.example", to=("ops@panel.example",))
    core = CertCore.open("sqlite:///certcore.db", keyring="keyring.json", plugins=[mail])

``failed`` is mailed for a first issuance and for an issuance after a revocation, not for a renewal: a renewal may fail
every day, and ``renewal_failing`` reports that once.

An event is mailed at least once. Repeated mails have the same Message-ID. If a problem was resolved before its notice
could be sent, for example while the mail server was down, the notice is not sent.

**Refused recipients.** An event counts as delivered when the server has accepted the mail for at least one recipient.
Refused recipients are logged and not tried again: one bad address must neither block the mail to the others nor repeat
it. If the server accepts no recipient, the delivery is tried again, and the reason is shown with the certificate's
deliveries. Use a separate target for recipients who must get notices independently of others, such as administrators.
Use a mail server that queues, such as your own relay.
"""

from __future__ import annotations

import hashlib
import logging
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from attrs import Attribute, field, frozen

from certcore.contrib.mail.texts import is_over, mail_text
from certcore.contrib.validators import (
    check_name,
    check_seconds,
    event_kinds,
    optional_path,
    server_advice,
    to_texts,
)
from certcore.errors import CertCoreError, InvalidInputError, NotFoundError
from certcore.forks import delays_fork
from certcore.hookspecs import hookimpl
from certcore.model.events import Event, EventKind
from certcore.model.lifecycle import Status
from certcore.model.secret import Secret
from certcore.model.views import CertificateView
from certcore.net import AddressKind, address_kind, connect, is_loopback
from certcore.net.deadline import Deadline, deadline
from certcore.net.failures import failure
from certcore.net.foreign_text import printable
from certcore.net.tls import tls_context
from certcore.ports.plugins import CertificateSource

__all__ = ["Mail", "MailError", "Security"]

_log = logging.getLogger(__name__)

#: The kinds of events that need somebody's attention.
_KINDS: Final = frozenset(
    {
        EventKind.EXPIRES_SOON,
        EventKind.RENEWAL_FAILING,
        EventKind.RENEWAL_NOT_READY,
        EventKind.FAILED,
        EventKind.EXPIRED,
        EventKind.REVOKED,
    }
)
#: An address without a name, quotes, comments or routes: of RFC 5321 section 4.1.2, only the form Dot-string.
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_MAX_ADDRESS: Final = 254
_MAX_ADDRESSES: Final = 100
_MAX_PORT: Final = 65535
#: Time limit of the whole SMTP session, as a multiple of `Mail.timeout`.
_TOTAL_TIMEOUTS: Final = 6
#: Characters of a server's reply that are quoted.
_MAX_REPLY: Final = 150
#: Reply codes with which a server demands a login, or another method of login (RFC 4954 section 6).
_LOGIN_REQUIRED: Final = (530, 534, 538)


class Security(StrEnum):
    """The encryption of the connection to the mail server."""

    #: STARTTLS (RFC 3207); a server that does not offer it is refused.
    STARTTLS = "starttls"
    #: Implicit TLS (RFC 8314).
    TLS = "tls"
    #: No encryption, for a server on this machine.
    NONE = "none"


_PORTS: Final = MappingProxyType({Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25})


def _is_usable(address: str) -> bool:
    return address_kind(address) is not AddressKind.UNUSABLE


class MailError(CertCoreError):
    """A notice could not be mailed. The delivery is tried again later."""

    code = "mail_error"
    http_status = 502


def _is_one_of_many(event: Event) -> bool:
    """Whether the event is a failed renewal. These may occur every day; ``renewal_failing`` reports them once."""
    return event.kind is EventKind.FAILED and event.to_status in (Status.ACTIVE, Status.EXPIRED)


def _security(value: str) -> Security:
    try:
        return Security(value)
    except ValueError:
        raise InvalidInputError(
            "security", f"{str(value)[:40]!r} is unknown.", advice=f"Choose: {', '.join(Security)}."
        ) from None


def _is_address(text: object) -> bool:
    return isinstance(text, str) and len(text) <= _MAX_ADDRESS and _ADDRESS.fullmatch(text) is not None


def _check_addresses(_: object, attribute: Attribute[Any], value: str | tuple[str, ...]) -> None:
    for address in value if isinstance(value, tuple) else (value,):
        if not _is_address(address):
            raise InvalidInputError(
                attribute.name,
                f"{str(address)[:60]!r} is not a plain e-mail address.",
                advice="Write it like anna@example.com, without a name, quotes or spaces.",
            )


def _check_host(_: object, attribute: Attribute[Any], value: str) -> None:
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise InvalidInputError(attribute.name, "must be the name or address of a mail server, in ASCII.")


def _check_port(_: object, attribute: Attribute[Any], value: int | None) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and not (whole and 0 < value <= _MAX_PORT):
        raise InvalidInputError(attribute.name, f"must be a port number from 1 to {_MAX_PORT}.")


def _check_username(_: object, attribute: Attribute[Any], value: str) -> None:
    if not isinstance(value, str) or not value.isprintable() or not value.isascii():
        raise InvalidInputError(attribute.name, "must be ASCII text on one line.")


@frozen(kw_only=True, eq=False)
class Mail:
    """A target that sends mail: pass it to ``CertCore.open(…, plugins=[Mail(…)])``. See the module's description.

    A policy must allow the actor ``plugin:<name>`` to view the certificates.

    Raises:
        InvalidInputError: A field is invalid; the error names it.
    """

    #: Unique among the plugins; the store tracks deliveries by this name.
    name: str = field(validator=check_name)
    #: The mail server; it should queue mails.
    host: str = field(validator=_check_host)
    #: By default the usual port for `security`: 587, 465 or 25.
    port: int | None = field(default=None, validator=_check_port)
    security: Security = field(default=Security.STARTTLS, converter=_security)
    #: PEM certificates to trust instead of the system's.
    ca_file: Path | None = field(default=None, converter=optional_path)
    #: The user name for the login; empty for no login. It needs an encrypted connection, or a server on this machine.
    username: str = field(default="", validator=_check_username)
    password: Secret | None = None
    #: The sender's address.
    sender: str = field(validator=_check_addresses)
    #: Recipients of every mail.
    to: tuple[str, ...] = field(default=(), converter=to_texts, validator=_check_addresses)
    #: Looks up further recipients for a certificate, for example its owner. Not called for deleted certificates.
    address_of: Callable[[CertificateView], Iterable[str]] | None = None
    #: The kinds of events to mail; ``failed`` is never mailed for a renewal, see the module.
    kinds: frozenset[EventKind] = field(default=_KINDS, converter=event_kinds)
    #: Seconds to connect and for each reply; a whole mail may take six times as long.
    timeout: float = field(default=20.0, validator=check_seconds)

    def __attrs_post_init__(self) -> None:
        if not self.to and self.address_of is None:
            raise InvalidInputError("to", "there is no recipient.", advice="Set to or address_of.")
        if len(self.to) > _MAX_ADDRESSES:
            raise InvalidInputError(
                "to", f"must have at most {_MAX_ADDRESSES} addresses.", advice="Use a mailing list."
            )
        if bool(self.username) is not bool(self.password):
            raise InvalidInputError("password", "set both username and password, or neither.")
        if self.password and not self.password.reveal().isascii():
            raise InvalidInputError("password", "must be ASCII, which all mail servers accept.")
        if self.username and self.security is Security.NONE and not is_loopback(self.host):
            raise InvalidInputError("security", "must not be none with a password, which would be sent unencrypted.")

    @hookimpl
    def certcore_on_event(self, event: Event, certificates: CertificateSource) -> None:
        """Send the notice of an event.

        Raises:
            MailError: The server could not be reached, or accepted no recipient.
            InvalidInputError: ``ca_file`` cannot be used.
        """
        if event.kind not in self.kinds or _is_one_of_many(event):
            return
        view = None
        if event.kind is not EventKind.DELETED:
            try:
                view = certificates.view(event.certificate_id, actor=f"plugin:{self.name}")
            except NotFoundError:
                return  # the certificate was deleted meanwhile, so the notice is obsolete
            if is_over(event, view):
                return
        recipients = self._recipients(event, view)
        if recipients:
            self._send(self.message(event, view, recipients), recipients)

    def message(self, event: Event, view: CertificateView | None, recipients: Sequence[str]) -> EmailMessage:
        """Build the mail about an event.

        Args:
            event: The event.
            view: The certificate as it is now; None if it is deleted.
            recipients: The recipients' addresses.
        """
        subject, text = mail_text(event, view)
        identity = "\0".join((self.name, event.certificate_id, str(event.number)))
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = self.sender
        # Recipients must not see each other: a customer must not see the administrator's address, for example.
        message["To"] = recipients[0] if len(recipients) == 1 else "undisclosed-recipients:;"
        message["Subject"] = subject
        message["Date"] = event.at
        digest = hashlib.sha256(identity.encode()).hexdigest()[:40]
        message["Message-ID"] = f"<{digest}@{self.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic replies
        message.set_content(text, cte="quoted-printable")
        return message

    def _recipients(self, event: Event, view: CertificateView | None) -> tuple[str, ...]:
        looked_up = to_texts(self.address_of(view)) if view is not None and self.address_of is not None else ()
        valid = [address for address in looked_up if _is_address(address)]
        if len(valid) < len(looked_up):
            _log.warning(
                "%s: ignored an invalid e-mail address that was looked up for certificate %s.",
                self.name,
                event.certificate_id,
            )
        recipients = tuple(dict.fromkeys((*self.to, *valid)))[:_MAX_ADDRESSES]
        if looked_up and not recipients:
            raise MailError(
                f"None of the addresses for certificate {event.certificate_id} is a valid e-mail address.",
                advice="Correct the e-mail address of its owner.",
            )
        return recipients

    def _send(self, message: EmailMessage, recipients: tuple[str, ...]) -> None:
        context = None if self.security is Security.NONE else tls_context(ca_file=self.ca_file)
        with deadline(self.timeout * _TOTAL_TIMEOUTS) as limit:
            try:
                with closing(self._connected(context, limit)) as server:
                    if self.security is Security.STARTTLS and context is not None:
                        with delays_fork():
                            server.starttls(context=context)
                    if self.password:
                        server.login(self.username, self.password.reveal_text())
                    refused = server.send_message(message, self.sender, recipients)
                    with suppress(OSError, smtplib.SMTPException):  # the mail is already accepted
                        server.quit()
            except (OSError, smtplib.SMTPException, ValueError) as error:
                if limit.passed:
                    clause, advice = self._network_failure(TimeoutError(), self.timeout * _TOTAL_TIMEOUTS)
                else:
                    clause, advice = self._explain(error)
                raise MailError(f"The mail server {self.host} {clause}.", advice=advice) from None
        for address, (code, reply) in refused.items():
            _log.warning("%s: the mail server refused %s: %s", self.name, address, self._reply(code, reply))

    def _connected(self, context: ssl.SSLContext | None, limit: Deadline) -> smtplib.SMTP:
        """A connected SMTP client. The deadline applies to its socket from the start."""

        class Watched(smtplib.SMTP):
            def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
                connected = connect(host, port, timeout=timeout, permits=_is_usable)
                limit.watch(connected)
                return connected

        class WatchedTls(smtplib.SMTP_SSL, Watched):
            """SMTP_SSL gets its socket from the next class in the MRO, `Watched`, and wraps it in TLS."""

        port = self.port or _PORTS[self.security]
        if self.security is Security.TLS:
            with delays_fork():
                return WatchedTls(self.host, port, timeout=self.timeout, context=context)
        return Watched(self.host, port, timeout=self.timeout)

    def _explain(self, error: Exception) -> tuple[str, str]:
        """A clause that says what the server did, and advice."""
        match error:
            case smtplib.SMTPAuthenticationError():
                clause = f"rejected the user name or password (code {error.smtp_code})"
                return clause, "Correct them in the target."
            case smtplib.SMTPRecipientsRefused():
                code, reply = next(iter(error.recipients.values()), (0, b""))
                clause = f"refused all recipients: {self._reply(code, reply)}"
                return clause, "Correct the addresses, or permit this host to send mail through the server."
            case smtplib.SMTPResponseException():
                login = "The server requires a login: set username and password."
                clause = f"did not accept the mail: {self._reply(error.smtp_code, error.smtp_error)}"
                return clause, login if error.smtp_code in _LOGIN_REQUIRED else "Check the server's log."
            case smtplib.SMTPServerDisconnected():  # smtplib raises it for timeouts, too
                cause = error.__context__
                return self._network_failure(
                    cause if isinstance(cause, TimeoutError) else ConnectionResetError(), self.timeout
                )
            case smtplib.SMTPException():
                clause = "does not support STARTTLS, or no known login method"
                return clause, "Check security, port and username of the target."
        return self._network_failure(error, self.timeout)

    @staticmethod
    def _network_failure(error: Exception, seconds: float) -> tuple[str, str]:
        failed = failure(error, seconds=seconds)
        return failed.clause, server_advice(failed)

    def _reply(self, code: int, reply: bytes | str) -> str:
        """A server's reply, to quote in a message. Only its code if the text contains the password."""
        text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
        if self.password and self.password.reveal_text() in text:
            return str(code)
        return f"{code} {printable(' '.join(text.split()), _MAX_REPLY)}".strip().rstrip(".")
