"""The note in a certificate's timeline that its account has been replaced."""

from __future__ import annotations

from certcore.messages import Message
from certcore.model.notes import Note, NoteSubject
from certcore_puq_acme.orders.attempt import Attempt
from certcore_puq_acme.orders.state import OrderState

__all__ = ["account_notes"]


def account_notes(attempt: Attempt) -> tuple[Note, ...]:
    """The note that the account that ordered this certificate's leaf has been replaced by another one.

    No request is sent. The first leaf of a certificate also gets the note if the account changed during its issuance.
    """
    opened = attempt.accounts.last_opened(attempt.ref)
    if opened is None or not opened.record.url:
        return ()
    url, replaced = opened.record.url, opened.record.told_replaced(attempt.now)
    active = attempt.work.active
    former = OrderState.of(active).account_url if active else ""
    if not former or active is None or active.authority_id != attempt.work.issuance.authority_id:
        if replaced is None or replaced[2] < attempt.work.issuance.created_at:
            return ()
        former = replaced[0]
    if former == url:
        return ()
    settings = Message("puq_acme.replaced.settings_name", "the settings name another account")
    params = {"url": url, "former": former, "reason": replaced[1].reason if replaced else settings}
    text = "The account {url} is used at the CA in place of {former}: {reason}."
    return (Note(about=NoteSubject.ACCOUNT, text=Message("puq_acme.note.account", text, params)),)
