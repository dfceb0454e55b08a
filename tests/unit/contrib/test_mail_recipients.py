"""Who gets mail: the administrators and the owner, whoever of them the server takes."""

import logging

import pytest

from certcore.contrib.mail.notifier import MailError
from support.mailboxes import BOSS, OPS, mail, notices_of


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
        target.certcore_on_event(notices_of(place, certificate_id)[3], place.core.certificates)
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
    event = notices_of(place, certificate_id)[3]
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
