"""Notices by mail, for those who have to do something: plain text, over SMTP, one mail for each event.

::

    mail = Mail(name="mail", host="mail.example", sender="certcore@panel.example", to=("ops@panel.example",))
    core = CertCore.open("sqlite:///certcore.db", keyring="keyring.json", plugins=[mail])

A renewal that failed is not mailed as ``failed``, as it may fail each day: ``renewal_failing`` tells of it once.
``failed`` is mailed of a first issuance, and of one after a revocation.

An event is told at least once. A mail that comes twice has the same Message-ID, and so can be told from another one. A
notice of a trouble that has passed meanwhile, while the mail server was down, say, is not sent any more.

**Refused recipients.** An event counts as told as soon as the server has taken the mail for one recipient. Those that
it refused are named in the log and not tried again: an address that does not work must not keep the others from their
mail, nor send it to them again and again. When it takes the mail for nobody, the event is kept and tried again, and
the reason is shown with the certificate's deliveries. Who has to get notices whatever happens to other addresses (the
administrators, beside the customers) gets a target of their own. Let the server be one that queues: your own relay.
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

from certcore.contrib.deadline import Deadline, deadline
from certcore.contrib.mail_texts import is_over, mail_text
from certcore.contrib.target_fields import (
    check_name,
    check_seconds,
    connection_trouble,
    event_kinds,
    optional_path,
    plain,
    tls_context,
)
from certcore.errors import CertCoreError, InvalidInput, NotFound
from certcore.hookspecs import hookimpl
from certcore.model.events import Event, EventKind
from certcore.model.lifecycle import Status
from certcore.model.secret import Secret
from certcore.model.views import CertificateView
from certcore.net import is_loopback
from certcore.ports.plugins import CertificateSource

__all__ = ["Mail", "MailFailed", "Security"]

_log = logging.getLogger(__name__)

#: What needs a person.
_KINDS: Final = frozenset(
    {
        EventKind.EXPIRES_SOON,
        EventKind.RENEWAL_FAILING,
        EventKind.FAILED,
        EventKind.EXPIRED,
        EventKind.REVOKED,
    }
)
#: An address without a name, quotes, comments or routes (RFC 5321 section 4.1.2, the dot-string forms alone).
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_LONGEST_ADDRESS: Final = 254
_MOST_ADDRESSES: Final = 100
_LAST_PORT: Final = 65535
#: The whole conversation may take this many times as long as one answer.
_ANSWERS: Final = 6
#: The answers to those who should log in first, or in another way (RFC 4954 section 6).
_NO_LOGIN: Final = (530, 534, 538)


class Security(StrEnum):
    """How the connection to the mail server is protected."""

    #: Plain at first, then TLS (RFC 3207); a server that does not offer it is refused.
    STARTTLS = "starttls"
    #: TLS from the first byte on (RFC 8314).
    TLS = "tls"
    #: Not at all: for a server on this machine.
    NONE = "none"


_PORTS: Final = MappingProxyType({Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25})


class MailFailed(CertCoreError):
    """A mail server did not take a notice; it is offered again later."""


def _is_one_of_many(event: Event) -> bool:
    """A renewal that failed is tried again and again, and may fail each day: ``renewal_failing`` tells of it once."""
    return event.kind is EventKind.FAILED and event.to_status in (Status.ACTIVE, Status.EXPIRED)


def _security(wanted: str) -> Security:
    try:
        return Security(wanted)
    except ValueError:
        raise InvalidInput(
            "security", f"{str(wanted)[:40]!r} is none.", advice=f"Choose: {', '.join(Security)}."
        ) from None


def _is_address(text: object) -> bool:
    return isinstance(text, str) and len(text) <= _LONGEST_ADDRESS and _ADDRESS.fullmatch(text) is not None


def _tuple(values: Iterable[str]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else tuple(values)


def _check_addresses(_: object, attribute: Attribute[Any], value: str | tuple[str, ...]) -> None:
    for one in value if isinstance(value, tuple) else (value,):
        if not _is_address(one):
            raise InvalidInput(
                attribute.name,
                f"{str(one)[:60]!r} is not a plain e-mail address.",
                advice="Write it like anna@example.com, without a name, quotes or spaces.",
            )


def _check_host(_: object, attribute: Attribute[Any], value: str) -> None:
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise InvalidInput(attribute.name, "the name or address of a mail server is needed, in ASCII.")


def _check_port(_: object, attribute: Attribute[Any], value: int | None) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and not (whole and 0 < value <= _LAST_PORT):
        raise InvalidInput(attribute.name, f"a number from 1 to {_LAST_PORT} is needed.")


def _check_username(_: object, attribute: Attribute[Any], value: str) -> None:
    if not isinstance(value, str) or not value.isprintable() or not value.isascii():
        raise InvalidInput(attribute.name, "ASCII text on one line is needed.")


@frozen(kw_only=True, eq=False)
class Mail:
    """A target for mail: hand it to ``CertCore.open(…, plugins=[Mail(…)])``. The module says who gets what.

    With a policy, the actor ``plugin:<name>`` has to be allowed to view the certificates.

    Raises:
        InvalidInput: A field cannot be used; the error names it.
    """

    #: Unique among the plugins; the store remembers by it what was sent.
    name: str = field(validator=check_name)
    #: The mail server that takes the mails, and queues them if need be.
    host: str = field(validator=_check_host)
    #: By default the usual one of `security`: 587, 465 or 25.
    port: int | None = field(default=None, validator=_check_port)
    security: Security = field(default=Security.STARTTLS, converter=_security)
    #: PEM certificates to trust instead of the system's.
    ca_file: Path | None = field(default=None, converter=optional_path)
    #: Logs in when it is given; needs a protected connection, or a server on this machine.
    username: str = field(default="", validator=_check_username)
    password: Secret | None = None
    #: Whom the mails are from.
    sender: str = field(validator=_check_addresses)
    #: Who gets every mail.
    to: tuple[str, ...] = field(default=(), converter=_tuple, validator=_check_addresses)
    #: Who else gets the mails about a certificate: its owner, looked up by the panel. Nobody for a deleted one.
    address_of: Callable[[CertificateView], Iterable[str]] | None = None
    #: The kinds of events that are told; ``failed`` never for a renewal, see the module.
    kinds: frozenset[EventKind] = field(default=_KINDS, converter=event_kinds)
    #: Seconds to connect, and for each answer; a whole mail may take six times as long.
    timeout: float = field(default=20.0, validator=check_seconds)

    def __attrs_post_init__(self) -> None:
        if not self.to and self.address_of is None:
            raise InvalidInput("to", "nobody would get any mail.", advice="Give addresses, or address_of.")
        if len(self.to) > _MOST_ADDRESSES:
            raise InvalidInput(
                "to", f"more than {_MOST_ADDRESSES} addresses are too many.", advice="Use a list server."
            )
        if bool(self.username) is not bool(self.password):
            raise InvalidInput("password", "username and password are needed together, or neither.")
        if self.password and not self.password.reveal().isascii():
            raise InvalidInput("password", "only ASCII works with all mail servers.")
        if self.username and self.security is Security.NONE and not is_loopback(self.host):
            raise InvalidInput("security", "without TLS everybody on the way could read the password.")

    @hookimpl
    def certcore_on_event(self, event: Event, certificates: CertificateSource) -> None:
        """Send the notice of an event.

        Raises:
            MailFailed: The server could not be reached, or took it for nobody.
            InvalidInput: ``ca_file`` cannot be used.
        """
        if event.kind not in self.kinds or _is_one_of_many(event):
            return
        view = None
        if event.kind is not EventKind.DELETED:
            try:
                view = certificates.view(event.certificate_id, actor=f"plugin:{self.name}")
            except NotFound:
                return  # nobody can do anything for it any more
            if is_over(event, view):
                return
        recipients = self._recipients(event, view)
        if recipients:
            self._send(self.message(event, view, recipients), recipients)

    def message(self, event: Event, view: CertificateView | None, recipients: Sequence[str]) -> EmailMessage:
        """The mail about an event, as it is sent.

        Args:
            event: What happened.
            view: The certificate as it is now; None when it is gone.
            recipients: Who gets it.
        """
        subject, text = mail_text(event, view)
        identity = "\0".join((self.name, event.certificate_id, str(event.number)))
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = self.sender
        # Recipients do not learn of each other: a customer's mail does not show the administrator's address.
        message["To"] = recipients[0] if len(recipients) == 1 else "undisclosed-recipients:;"
        message["Subject"] = subject
        message["Date"] = event.at
        digest = hashlib.sha256(identity.encode()).hexdigest()[:40]
        message["Message-ID"] = f"<{digest}@{self.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers it
        message.set_content(text, cte="quoted-printable")
        return message

    def _recipients(self, event: Event, view: CertificateView | None) -> tuple[str, ...]:
        looked_up = _tuple(self.address_of(view)) if view is not None and self.address_of is not None else ()
        good = [one for one in looked_up if _is_address(one)]
        if len(good) < len(looked_up):
            _log.warning(
                "%s: an address that was looked up for certificate %s is none and was left out.",
                self.name,
                event.certificate_id,
            )
        found = tuple(dict.fromkeys((*self.to, *good)))[:_MOST_ADDRESSES]
        if looked_up and not found:
            raise MailFailed(
                f"None of the addresses for certificate {event.certificate_id} is a plain e-mail address.",
                advice="Correct the address of its owner.",
            )
        return found

    def _send(self, message: EmailMessage, recipients: tuple[str, ...]) -> None:
        context = None if self.security is Security.NONE else tls_context(self.ca_file)
        with deadline(self.timeout * _ANSWERS) as limit:
            try:
                with closing(self._connected(context, limit)) as server:
                    if self.security is Security.STARTTLS and context is not None:
                        server.starttls(context=context)
                    if self.password:
                        server.login(self.username, self.password.reveal_text())
                    refused = server.send_message(message, self.sender, recipients)
                    with suppress(OSError, smtplib.SMTPException):  # what was taken was taken
                        server.quit()
            except (OSError, smtplib.SMTPException, ValueError) as error:
                what, advice = self._trouble(TimeoutError() if limit.passed else error)
                raise MailFailed(f"The mail server {self.host} {what}.", advice=advice) from None
        for address, (code, said) in refused.items():
            _log.warning("%s: the mail server refused %s: %s", self.name, address, self._said(code, said))

    def _connected(self, context: ssl.SSLContext | None, limit: Deadline) -> smtplib.SMTP:
        """A client whose connection is watched from before its first byte."""

        class Watched(smtplib.SMTP):
            def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
                connected = socket.create_connection((host, port), timeout)
                limit.watch(connected)
                return connected

        class WatchedTls(smtplib.SMTP_SSL, Watched):
            """SMTP_SSL puts TLS around what the next class connects."""

        port = self.port or _PORTS[self.security]
        if self.security is Security.TLS:
            return WatchedTls(self.host, port, timeout=self.timeout, context=context)
        return Watched(self.host, port, timeout=self.timeout)

    def _trouble(self, error: Exception) -> tuple[str, str]:
        match error:
            case smtplib.SMTPAuthenticationError():
                what = f"does not accept the user name and the password (code {error.smtp_code})"
                return what, "Correct them in the target."
            case smtplib.SMTPRecipientsRefused():
                code, said = next(iter(error.recipients.values()), (0, b""))
                what = f"refused all recipients: {self._said(code, said)}"
                return what, "Correct the addresses, or let the server take mail from here."
            case smtplib.SMTPResponseException():
                login = "It wants a login: give username and password."
                what = f"did not take the mail: {self._said(error.smtp_code, error.smtp_error)}"
                return what, login if error.smtp_code in _NO_LOGIN else "Look at the server's log."
            case smtplib.SMTPServerDisconnected():  # smtplib's word for a timeout, too
                cause = error.__context__
                return connection_trouble(cause if isinstance(cause, TimeoutError) else ConnectionResetError())
            case smtplib.SMTPException():
                what = "offers no STARTTLS, or no way to log in that is known here"
                return what, "Look at security, port and username of the target."
        return connection_trouble(error)

    def _said(self, code: int, said: bytes | str) -> str:
        """A server's answer in a sentence; without its words where they hold the password."""
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        if self.password and self.password.reveal_text() in text:
            return str(code)
        return f"{code} {plain(text, 150)}".strip().rstrip(".")
