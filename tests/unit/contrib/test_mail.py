"""Mail: clear notices; nobody is told twice without need, and nothing can be put into a header."""

from datetime import timedelta
from email import message_from_bytes
from email.policy import default as parsed

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from certcore.contrib.mail.notifier import Mail
from certcore.contrib.mail.texts import mail_text
from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.events import EventKind
from certcore.model.finding import Finding, Severity
from certcore.model.problem import Problem
from certcore.model.readiness import Obstacle, WhoseTurn
from certcore.model.secret import Secret
from certcore.testing.scripted_ca import Act
from support.inside import inside
from support.mailboxes import BOSS, OPS, PASSWORD, event_of, mail, notices_of

HEADERS = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"}
HEADERS |= {"MIME-Version", "Content-Type", "Content-Transfer-Encoding"}


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


def test_each_kind_has_its_text(open_place):
    """The subject says it all; the text says until when the leaf is valid and what to do."""
    place = open_place()
    certificate_id = place.issued(aliases=["www.shop.example"])
    view = place.core.certificates.view(certificate_id)
    place.environment.set(view.certificate.not_after - timedelta(days=6, hours=2))
    view = place.core.certificates.view(certificate_id)
    subjects, texts = zip(*(mail_text(event, view) for event in notices_of(place, certificate_id)), strict=True)
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
    event = notices_of(place, certificate_id)[0]
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
    events = notices_of(place, certificate_id)
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
        soon, _, _, *rest, _ = notices_of(place, certificate_id)
        for event in (soon, *rest):
            text = mail_text(event, view)[1]
            assert said in text
            assert ("cert renew" in text) is bool(authority)


def test_a_repeated_mail_can_be_recognised(open_place, mailbox):
    """The same event has the same Message-ID; another event, certificate or target has another."""
    place = open_place()
    one, other = place.issued(), place.issued("other.example")
    first, second = notices_of(place, one)[3:5]
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
    event = event_of(EventKind.FAILED, problem=problem, data={"domain": domain})
    raw = target.message(event, None, (OPS,)).as_bytes()
    message = message_from_bytes(raw, policy=parsed)
    assert set(message.keys()) == HEADERS
    assert len(message.keys()) == len(HEADERS)
    assert message["From"].addresses[0].addr_spec == f"{local}@panel.example"
    assert not message.is_multipart()
    assert raw.isascii()
    assert max(map(len, raw.splitlines())) <= 998
    assert all(line.isprintable() for line in message.get_content().splitlines())
