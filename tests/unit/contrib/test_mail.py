"""Mail: a real server gets clear notices; nobody is told twice without need, and nothing can be put into a header."""

import contextlib
import logging
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default as parsed

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from certcore.contrib.mail.notifier import Mail, MailError
from certcore.contrib.mail.texts import mail_text
from certcore.errors import InvalidInputError, NotFoundError
from certcore.messages import Message
from certcore.model.events import Event, EventKind
from certcore.model.finding import Finding, Severity
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.problem import Problem
from certcore.model.readiness import Obstacle, WhoseTurn
from certcore.model.secret import Secret
from certcore.model.subject import Subject
from certcore.testing.local_ca import LittleAuthority
from certcore.testing.ports import free_port
from certcore.testing.scripted_ca import Act
from certcore.x509.chain import parse_chain
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key, private_key_pem
from support.inside import inside

PASSWORD = "canary-password"
HOST = "127.0.0.1"
OPS, BOSS = "ops@panel.example", "boss@panel.example"
HEADERS = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"}
HEADERS |= {"MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
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
def _serving(**given):
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname=HOST, port=free_port(), ready_timeout=60, **given)
    controller.start()
    mailbox.port = controller.port
    try:
        yield mailbox
    finally:
        controller.stop()


@pytest.fixture
def mailbox():
    """A server without protection."""
    with _serving() as one:
        yield one


def mail(mailbox, **given):
    plain = {"name": "mail", "host": HOST, "port": mailbox.port, "security": "none", "timeout": 30}
    return Mail(**{**plain, "sender": "certcore@panel.example", "to": [OPS], **given})


def _event(kind, one="id-7", **given):
    return Event(certificate_id=one, number=3, kind=kind, at=NOW, **given)


# ------------------------------------------------------------------------------------------------------------- notices


def test_a_renewal_that_fails_every_day_is_told_once(open_place, mailbox):
    """Not with each failure: when it has failed for a day. The leaf in service is good all that time."""
    place = open_place(mail(mailbox))
    certificate_id = place.issued()
    place.ca.script = (Act.FAIL_NEVER,)
    core, environment = place.core, inside(place.core).environment
    environment.set(core.certificates.view(certificate_id).renews_at)
    for _ in range(60):
        core.reconcile(certificate_id)
        view = core.certificates.view(certificate_id)
        if view.days_remaining < 20:
            break
        environment.set(max(view.schedule.due_at, environment.now() + timedelta(seconds=1)))
    place.deliver()
    kinds = [str(event.kind) for event in core.certificates.timeline(certificate_id)]
    assert kinds.count("failed") > 5
    assert kinds.count("renewal_failing") == len(mailbox.messages) == 1


def test_a_failure_is_told(open_place, mailbox):
    """Which certificate, what happened, why, and what to do; once, with headers that no robot answers."""
    place = open_place(mail(mailbox))
    place.ca.script = (Act.FAIL_NEVER,)
    made = place.core.certificates.create("shop.example", wildcard=True, authority=place.authority.id, owner="anna")
    place.core.certificates.generate_csr(made.id)
    place.core.reconcile(made.id)
    place.deliver()
    ((sender, recipients, _),) = mailbox.envelopes
    assert (sender, recipients) == ("certcore@panel.example", [OPS])
    (message,) = mailbox.messages
    assert message["Subject"] == "shop.example: no certificate was issued"
    assert (message["From"], message["To"]) == ("certcore@panel.example", OPS)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == place.event(made.id, "failed").at
    assert message.get_content_type() == "text/plain"
    text = message.get_content()
    for said in (
        f"Certificate: {made.id}",
        "*.shop.example",
        "Owner:       anna",
        "no certificate is in service",
        "What went wrong: The scripted CA refuses.",
        "The CA said: fail_never",
        "Advice: Wait.",
        "What to do: ",
        "Status now:  error",
    ):
        assert said in text
    place.deliver()
    assert len(mailbox.envelopes) == 1
    assert place.reason(made.id, "mail") is None


def test_only_what_needs_a_person_is_told_by_default(open_place, mailbox):
    """A certificate's good days make no mail; all of them do when they are asked for."""
    place = open_place(mail(mailbox), mail(mailbox, name="all", kinds=list(EventKind), to=[BOSS]))
    certificate_id = place.issued()
    place.deliver()
    place.core.certificates.delete(certificate_id)
    place.deliver()
    assert [recipients for _, recipients, _ in mailbox.envelopes] == [[BOSS]] * 4
    assert mailbox.messages[-1]["Subject"] == "shop.example: deleted"
    assert "The certificate has been deleted." in mailbox.messages[-1].get_content()


def _notices(place, one):
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


def test_each_kind_has_its_text(open_place):
    """The subject says it all; the text says until when the leaf is valid and what to do."""
    place = open_place()
    certificate_id = place.issued(aliases=["www.shop.example"])
    view = place.core.certificates.view(certificate_id)
    place.environment.set(view.certificate.not_after - timedelta(days=6, hours=2))
    view = place.core.certificates.view(certificate_id)
    subjects, texts = zip(*(mail_text(event, view) for event in _notices(place, certificate_id)), strict=True)
    assert subjects == (
        "shop.example: the certificate expires in 6 days",
        "shop.example: the renewal keeps failing",
        "shop.example: the renewal has failed",
        "shop.example: the certificate has expired",
        "shop.example: the certificate was revoked",
        "shop.example: a renewal would fail",
    )
    end = f"Valid until: {view.certificate.not_after:%Y-%m-%d %H:%M} UTC (6 days left)"
    for text in texts:
        assert end in text
        assert "www.shop.example" in text
        assert "What to do: " in text
    assert "failed 5 times in a row" in texts[1]
    assert "The CA said: 503" in texts[1]
    assert "keyCompromise" in texts[4]
    assert "the owner of the domain has to repair the problem above" in texts[5]


def test_days_are_counted_as_people_do(open_place):
    """One day, today, and how long ago."""
    place = open_place()
    certificate_id = place.issued()
    end = place.core.certificates.get(certificate_id).not_after
    event = _notices(place, certificate_id)[0]
    for before, words in (
        (timedelta(days=1, hours=1), "expires in 1 day"),
        (timedelta(hours=3), "expires today"),
    ):
        place.environment.set(end - before)
        assert words in mail_text(event, place.core.certificates.view(certificate_id))[0]
    place.environment.set(end + timedelta(days=2, hours=1))
    assert "(expired 2 days ago)" in mail_text(event, place.core.certificates.view(certificate_id))[1]


def test_what_is_in_the_way_of_a_renewal_is_mailed_while_it_is(open_place, mailbox):
    """One mail when a preflight finds something; none when it was over before the mail server was up again."""
    place = open_place(mail(mailbox))
    certificate_id = place.issued()
    finding = Finding(
        code="x",
        severity=Severity.ERROR,
        name="",
        cause=Message("x", "The CNAME is gone."),
        advice=Message("y", "Set it."),
    )
    place.ca.obstacles = (Obstacle(finding=finding, whose_turn=WhoseTurn.OWNER),)
    place.core.certificates.preflight(certificate_id)
    place.deliver()
    (message,) = mailbox.messages
    assert message["Subject"] == "shop.example: a renewal would fail"
    assert "The CNAME is gone." in message.get_content()
    place.ca.obstacles = ()
    place.core.certificates.preflight(certificate_id)
    place.ca.obstacles = (Obstacle(finding=finding, whose_turn=WhoseTurn.OWNER),)
    place.core.certificates.preflight(certificate_id)
    place.ca.obstacles = ()
    place.core.certificates.preflight(certificate_id)
    place.deliver()
    assert len(mailbox.messages) == 1


def test_a_trouble_that_has_passed_is_not_told_any_more(open_place, mailbox):
    """The mail server was down, and the certificate was renewed, or issued anew after a revocation, meanwhile."""
    target = mail(mailbox)
    place = open_place()
    certificate_id = place.issued()
    events = _notices(place, certificate_id)
    place.renewed(certificate_id)
    for event in events:
        target.certcore_on_event(event, place.core.certificates)
    assert mailbox.messages == []
    place.core.certificates.revoke(certificate_id)
    target.certcore_on_event(place.event(certificate_id, "revoked"), place.core.certificates)
    place.renewed(certificate_id)
    target.certcore_on_event(place.event(certificate_id, "revoked"), place.core.certificates)
    assert [message["Subject"] for message in mailbox.messages] == ["shop.example: the certificate was revoked"]
    place.core.certificates.delete(certificate_id)
    for event in events:
        target.certcore_on_event(event, place.core.certificates)
    assert len(mailbox.envelopes) == 1


def test_without_a_ca_profile_nobody_is_told_to_renew(open_place):
    """Renewing would be refused; choosing a CA profile, or a newer certificate, helps."""
    place = open_place()
    certificate_id = place.issued(renewal={"auto": False})
    for authority, said in ((place.authority.id, f"certcore cert renew {certificate_id}"), ("", "choose a CA profile")):
        view = place.core.certificates.view(place.core.certificates.edit(certificate_id, authority=authority).id)
        soon, _, _, *rest, _ = _notices(place, certificate_id)
        for event in (soon, *rest):
            text = mail_text(event, view)[1]
            assert said in text
            assert ("cert renew" in text) is bool(authority)


def test_a_repeated_mail_can_be_recognised(open_place, mailbox):
    """The same event has the same Message-ID; another event, certificate or target has another."""
    place = open_place()
    one, other = place.issued(), place.issued("other.example")
    first, second = _notices(place, one)[3:5]
    target = mail(mailbox)
    for event, by in (
        (first, target),
        (first, target),
        (evolve(second, number=10), target),
        (evolve(first, certificate_id=other), target),
        (first, evolve(target, name="second")),
    ):
        by.certcore_on_event(event, place.core.certificates)
    ids = [message["Message-ID"] for message in mailbox.messages]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4
    assert all(one.endswith("@panel.example>") for one in ids)


# ---------------------------------------------------------------------------------------------------------- recipients


def test_the_owner_gets_mail(open_place, mailbox, caplog):
    """Whose address is looked up by the panel; nobody learns of the other addresses; what is no address is left out."""
    asked = []

    def address_of(view):
        asked.append(view.certificate.owner)
        return ["anna@customer.example", "Anna <x@y.example>", "a@b.example\nBcc: all@c.example", OPS]

    target = mail(mailbox, address_of=address_of)
    place = open_place()
    certificate_id = place.issued(owner="anna")
    with caplog.at_level(logging.WARNING):
        target.certcore_on_event(_notices(place, certificate_id)[3], place.core.certificates)
    ((_, recipients, content),) = mailbox.envelopes
    assert asked == ["anna"]
    assert recipients == [OPS, "anna@customer.example"]
    assert b"customer.example" not in content
    assert mailbox.messages[0]["To"] == "undisclosed-recipients:;"
    assert "ignored an invalid e-mail address" in caplog.text
    assert "Bcc" not in caplog.text


def test_nobody_to_tell(open_place, mailbox):
    """An owner without address gets none, and that is no error; with none but rubbish it is one that is shown."""
    place = open_place()
    certificate_id = place.issued()
    event = _notices(place, certificate_id)[3]
    for found in ([], ()):
        mail(mailbox, to=(), address_of=lambda view, found=found: found).certcore_on_event(
            event, place.core.certificates
        )
    with pytest.raises(MailError, match=f"None of the addresses for certificate {certificate_id}"):
        mail(mailbox, to=(), address_of=lambda view: "rubbish").certcore_on_event(event, place.core.certificates)
    assert mailbox.envelopes == []


@pytest.mark.parametrize("refusal", ["550 5.1.1 no such user", "450 4.2.0 greylisted"])
def test_one_refused_recipient_does_not_stop_the_others(open_place, mailbox, caplog, refusal):
    """Accepted recipients get one mail each, the refused one is named in the log, and the event is delivered."""
    mailbox.refused = {BOSS: refusal}
    place = open_place(mail(mailbox, to=[BOSS, OPS], kinds=["installed"]))
    with caplog.at_level(logging.WARNING):
        certificate_id = place.issued()
        place.deliver()
        place.deliver()
    assert [recipients for _, recipients, _ in mailbox.envelopes] == [[OPS]]
    assert place.reason(certificate_id, "mail") is None
    assert f"refused {BOSS}: {refusal}" in caplog.text


def test_when_all_are_refused_it_is_tried_again(open_place, mailbox):
    """The delivery fails with the server's reason, is retried, and succeeds once."""
    mailbox.refused = {OPS: "550 5.7.1 relaying denied"}
    place = open_place(mail(mailbox, kinds=["installed"]))
    certificate_id = place.issued()
    for _ in range(2):
        place.deliver()
        assert "refused all recipients: 550 5.7.1 relaying denied" in place.reason(certificate_id, "mail")
    mailbox.refused = {}
    place.deliver()
    place.deliver()
    assert len(mailbox.envelopes) == 1
    assert place.reason(certificate_id, "mail") is None


# -------------------------------------------------------------------------------------------------------------- servers


@pytest.mark.parametrize(
    ("answer", "said"),
    [("554 5.6.0 not in this form", "554 5.6.0 not in this form"), ("451 4.3.0 later", "451 4.3.0 later")],
)
def test_a_mail_that_is_not_taken(open_place, mailbox, answer, said):
    """Is kept, and the server's word is the reason."""
    mailbox.answer = answer
    place = open_place(mail(mailbox, kinds=["installed"]))
    certificate_id = place.issued()
    place.deliver()
    assert said in place.reason(certificate_id, "mail")


def test_a_server_that_drops_the_connection(open_place, mailbox):
    """In the middle of a mail: it is sent again."""
    mailbox.drops = True
    place = open_place(mail(mailbox, kinds=["installed"]))
    certificate_id = place.issued()
    place.deliver()
    assert "closed the connection" in place.reason(certificate_id, "mail")
    mailbox.drops = False
    place.deliver()
    assert len(mailbox.envelopes) == 1


@pytest.fixture
def rude():
    """Starts servers that do with a connection what they are told; returns their port."""
    with contextlib.ExitStack() as stack:

        def start(behave):
            listening = stack.enter_context(socket.create_server((HOST, 0)))
            listening.settimeout(60)

            def serve():
                with contextlib.suppress(OSError), listening.accept()[0] as connected:
                    connected.settimeout(60)
                    behave(connected)

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join, 60)
            return Mailbox(port=listening.getsockname()[1])

        yield start


def _silent(connected):
    while connected.recv(100):
        pass


def _trickles(connected):
    for _ in range(10_000):
        connected.sendall(b"2")
        threading.Event().wait(0.02)


def _never_ends_its_greeting(connected):
    for _ in range(100_000):
        connected.sendall(b"220-hello\r\n")
        threading.Event().wait(0.01)


class _Gone:
    def view(self, certificate_id, **_):
        raise NotFoundError("certificate", certificate_id)


def _send(mailbox, **given):
    mail(mailbox, kinds=["deleted"], **given).certcore_on_event(_event(EventKind.DELETED), _Gone())


@pytest.mark.parametrize("behave", [_silent, _trickles, _never_ends_its_greeting])
@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_a_server_that_never_comes_to_the_point(rude, behave, security):
    """A server that is silent, or sends one byte now and then, is given up after some time."""
    with pytest.raises(MailError) as failed:
        _send(rude(behave), security=security, timeout=0.1)
    assert "did not answer within" in str(failed.value) or "TLS handshake" in str(failed.value)


@pytest.mark.parametrize(
    ("greeting", "said"),
    [
        (b"554 5.3.2 no service here\r\n", "554 5.3.2 no service here"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "did not accept the mail"),
        (b"\xff\xfe\x1b[2J\r\n", "did not accept the mail"),
        (b"", "closed the connection"),
        (b"2" * 100_000, "did not accept the mail"),
    ],
)
def test_what_is_no_greeting(rude, greeting, said):
    """A server that wants nothing of us, or speaks something else: a sentence, and nothing that talks to a terminal."""

    def behave(connected):
        with contextlib.suppress(OSError):
            connected.sendall(greeting)

    with pytest.raises(MailError) as failed:
        _send(rude(behave))
    assert said in str(failed.value)
    assert str(failed.value).isprintable()


def test_nobody_is_there(monkeypatch):
    """A refused connection and a name without address are said in words."""
    with pytest.raises(MailError, match="refused the connection"):
        _send(Mailbox(port=free_port()))

    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(MailError, match="has no address"):
        _send(Mailbox(port=25), host="mail.invalid")


# ------------------------------------------------------------------------------------------------- protection and login


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """A mail server's certificate, and the file of its root."""
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.now(UTC)
    authority = LittleAuthority(now)
    key = generate_key(KeyType.EC_P256)
    csr = build_csr(key, [DnsName("mail.localhost")], Subject()).decode()
    chain = parse_chain(authority.issue(csr, now=now))
    (folder / "chain.pem").write_text(chain.leaf_pem + chain.chain_pem)
    (folder / "key.pem").write_bytes(private_key_pem(key))
    (folder / "root.pem").write_text(authority.root_pem)
    return folder


@pytest.fixture
def context(identity):
    """What the server needs for TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity / "chain.pem", identity / "key.pem")
    return context


@pytest.fixture
def named(monkeypatch):
    """The resolver gives every name the address of this machine."""
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real(HOST, *rest, **more))


def _check_login(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"certcore", PASSWORD.encode()), handled=False)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")  # it knows of no other TLS
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_protected_login(identity, context, named, security, caplog):
    """By STARTTLS or TLS, the server verified by root and name; that a password is wrong is said, and not which."""
    tls = {"tls_context": context, "require_starttls": True} if security == "starttls" else {"ssl_context": context}
    given = {"security": security, "host": "mail.localhost", "username": "certcore"}
    given |= {"password": Secret(PASSWORD), "ca_file": identity / "root.pem"}
    with _serving(
        authenticator=_check_login, auth_required=True, auth_require_tls=security == "starttls", **tls
    ) as mailbox:
        _send(mailbox, **given)
        assert len(mailbox.envelopes) == 1
        said = []
        for wrong, words in (
            ({"password": Secret("canary-wrong")}, "rejected the user name or password (code 535)"),
            ({"username": "", "password": None}, "The server requires a login"),
            ({"host": "other.localhost"}, "certificate that cannot be trusted"),
            ({"ca_file": None}, "certificate that cannot be trusted"),
        ):
            with caplog.at_level(logging.DEBUG), pytest.raises(MailError) as failed:
                _send(mailbox, **(given | wrong))
            assert words in str(failed.value)
            said += [str(failed.value), repr(mail(mailbox, **(given | wrong)))]
        assert "canary" not in "".join(said) + caplog.text
        assert len(mailbox.envelopes) == 1


def test_nothing_is_sent_in_plain_where_tls_was_meant(mailbox):
    """A server that does not offer STARTTLS, or that speaks no TLS, gets no mail and no password."""
    with pytest.raises(MailError, match="does not support STARTTLS"):
        _send(mailbox, security="starttls")
    with pytest.raises(MailError, match="TLS handshake"):
        _send(mailbox, security="tls")
    with pytest.raises(MailError, match="no known login method"):
        _send(mailbox, username="certcore", password=Secret(PASSWORD))
    assert mailbox.envelopes == []


def test_a_server_that_repeats_the_password_is_not_quoted(rude):
    """What a server answers may become a reason in the store; the password does not, whoever says it."""

    def behave(connected):
        lines = connected.makefile("rb")
        connected.sendall(b"220 hello\r\n")
        for line in lines:
            if line.startswith(b"EHLO"):
                connected.sendall(b"250-hello\r\n250 AUTH PLAIN\r\n")
            elif line.startswith(b"AUTH"):
                connected.sendall(b"235 ok\r\n")
            else:
                connected.sendall(f"550 you said {PASSWORD}\r\n".encode())

    with pytest.raises(MailError, match="550") as failed:
        _send(rude(behave), username="certcore", password=Secret(PASSWORD))
    assert PASSWORD not in str(failed.value)


# ------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"host": "mail example"}, "host"),
        ({"host": ""}, "host"),
        ({"host": "mail.example\r\nX"}, "host"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"port": "25"}, "port"),
        ({"security": "ssl"}, "security"),
        ({"sender": "certcore"}, "sender"),
        ({"sender": "Certcore <certcore@panel.example>"}, "sender"),
        ({"sender": None}, "sender"),
        ({"to": []}, "to"),
        ({"to": ["a@b.example, c@d.example"]}, "to"),
        ({"to": ["a@b.example\nBcc: c@d.example"]}, "to"),
        ({"to": ["a@b.example\r"]}, "to"),
        ({"to": ["ä@b.example"]}, "to"),
        ({"to": ["a@bücher.example"]}, "to"),
        ({"to": ['"a b"@c.example']}, "to"),
        ({"to": ["a@b..example"]}, "to"),
        ({"to": ["a..b@c.example"]}, "to"),
        ({"to": ["a@-b.example"]}, "to"),
        ({"to": ["@b.example"]}, "to"),
        ({"to": [f"{'a' * 250}@b.example"]}, "to"),
        ({"to": [7]}, "to"),
        ({"to": [f"a{number}@b.example" for number in range(101)]}, "to"),
        ({"username": "certcore"}, "password"),
        ({"password": Secret(PASSWORD)}, "password"),
        ({"username": "certcore", "password": Secret("canary-ä")}, "password"),
        ({"username": "cert\ncore", "password": Secret(PASSWORD)}, "username"),
        ({"username": "certcore", "password": Secret(PASSWORD), "security": "none"}, "security"),
        ({"kinds": ["exploded"]}, "kinds"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_what_cannot_work_is_refused_at_once(given, field):
    """By the name of the field, and without a secret in the sentence."""
    with pytest.raises(InvalidInputError) as refused:
        Mail(**{"name": "mail", "host": "mail.example", "sender": "certcore@panel.example", "to": [OPS], **given})
    assert refused.value.field == field
    assert "canary" not in str(refused.value)


@given(
    title=st.text(),
    detail=st.text(),
    advice=st.text(),
    domain=st.text(),
    local=st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,60}", fullmatch=True),
)
def test_foreign_words_stay_in_the_text(title, detail, advice, domain, local):
    """Whatever a CA says, or a name holds: the headers are those that we made, and the text is text."""
    target = Mail(name="mail", host="mail.example", sender=f"{local}@panel.example", to=(OPS,), kinds=list(EventKind))
    inner = Problem(detail=detail, identifier=domain)
    problem = Problem(title=title, detail=detail, advice=advice, subproblems=(inner,))
    event = _event(EventKind.FAILED, problem=problem, data={"domain": domain})
    raw = target.message(event, None, (OPS,)).as_bytes()
    message = message_from_bytes(raw, policy=parsed)
    assert set(message.keys()) == HEADERS
    assert len(message.keys()) == len(HEADERS)
    assert message["From"].addresses[0].addr_spec == f"{local}@panel.example"
    assert not message.is_multipart()
    assert raw.isascii()
    assert max(map(len, raw.splitlines())) <= 998
    assert all(line.isprintable() for line in message.get_content().splitlines())
