"""Mail servers that refuse, drop the connection or never answer; TLS and login."""

import contextlib
import logging
import socket
import threading

import pytest
from aiosmtpd.smtp import AuthResult

from certcore.contrib.mail.notifier import MailError
from certcore.errors import NotFoundError
from certcore.model.events import EventKind
from certcore.model.secret import Secret
from certcore.testing.ports import free_port
from support.mailboxes import PASSWORD, Mailbox, event_of, mail, running_mailbox
from support.rude_servers import rude_servers
from support.server_identity import server_context, write_identity

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
    """Starts servers that do with a connection what they are told."""
    with rude_servers() as start:
        yield lambda behave: Mailbox(port=start(behave))


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
    mail(mailbox, kinds=["deleted"], **given).certcore_on_event(event_of(EventKind.DELETED), _Gone())


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
    write_identity(folder, "mail.localhost")
    return folder


@pytest.fixture
def context(identity):
    """What the server needs for TLS."""
    return server_context(identity)


def _check_login(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"certcore", PASSWORD.encode()), handled=False)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")  # it knows of no other TLS
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_protected_login(identity, context, named, security, caplog):
    """By STARTTLS or TLS, the server verified by root and name; that a password is wrong is said, and not which."""
    tls = {"tls_context": context, "require_starttls": True} if security == "starttls" else {"ssl_context": context}
    given = {"security": security, "host": "mail.localhost", "username": "certcore"}
    given |= {"password": Secret(PASSWORD), "ca_file": identity / "root.pem"}
    with running_mailbox(
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
