"""Mail servers that write down what they get, and what is mailed to them."""

import contextlib
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default as parsed

from aiosmtpd.controller import Controller
from attrs import define, field

from certcore.contrib.mail.notifier import Mail
from certcore.model.events import Event, EventKind
from certcore.model.problem import Problem
from certcore.testing.ports import free_port

PASSWORD = "canary-password"
HOST = "127.0.0.1"
OPS, BOSS = "ops@panel.example", "boss@panel.example"
NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


@define(eq=False)
class Mailbox:
    """A mail server that writes down what it gets, and answers as it is told to."""

    port: int = 0
    #: What is answered for a recipient, or at the end of a mail.
    refused: dict = field(factory=dict)
    answer: str = "250 OK"
    drops: bool = False
    envelopes: list = field(factory=list)

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - aiosmtpd calls it so
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd calls it so
        if self.drops:
            server.transport.abort()
            return "250 never heard"
        if self.answer.startswith("250"):
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        return self.answer

    @property
    def messages(self):
        return [message_from_bytes(content, policy=parsed) for _, _, content in self.envelopes]


@contextlib.contextmanager
def running_mailbox(**given):
    """A mail server that is run for a test."""
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname=HOST, port=free_port(), ready_timeout=60, **given)
    controller.start()
    mailbox.port = controller.port
    try:
        yield mailbox
    finally:
        controller.stop()


def mail(mailbox, **given):
    """A target that sends to it."""
    plain = {"name": "mail", "host": HOST, "port": mailbox.port, "security": "none", "timeout": 30}
    return Mail(**{**plain, "sender": "certcore@panel.example", "to": [OPS], **given})


def event_of(kind, one="id-7", **given):
    """An event of a certificate."""
    return Event(certificate_id=one, number=3, kind=kind, at=NOW, **given)


def notices_of(place, one):
    """A notice of each of the kinds that are told by default, as the engine makes them."""
    end = place.core.certificates.get(one).not_after.isoformat()
    problem = Problem(title="The CA is down.", detail="503", advice="Wait for it.")
    at = place.environment.now()
    told = {
        EventKind.EXPIRES_SOON: {"data": {"days": 7, "not_after": end}},
        EventKind.RENEWAL_FAILING: {"data": {"attempts": 5, "not_after": end}, "problem": problem},
        EventKind.FAILED: {"data": {"attempt": 5}, "problem": problem},
        EventKind.EXPIRED: {},
        EventKind.REVOKED: {"data": {"reason": "keyCompromise", "serial": "ab"}},
        EventKind.RENEWAL_NOT_READY: {"data": {"whose_turn": "owner", "count": 1}, "problem": problem},
    }
    return [Event(certificate_id=one, number=9, kind=kind, at=at, **given) for kind, given in told.items()]
