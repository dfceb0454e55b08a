"""Notices about a replaced account, and about a difference between our clock and the CA's."""

from __future__ import annotations

from certcore.messages import shown_moment
from certcore.model.hints import Level, Message, Notice
from certcore.model.views import CertificateView
from certcore_puq_acme.accounts.known_clock import known_difference
from certcore_puq_acme.accounts.records import AccountRecord, account_of, read_record
from certcore_puq_acme.hints.dns_records import own_settings
from certcore_puq_acme.orders.state import OrderState
from certcore_puq_acme.profile.settings import AcmeContext

__all__ = ["clock_notice", "new_account_notice", "replaced_notice"]


def replaced_notice(record: AccountRecord, context: AcmeContext) -> list[Notice]:
    """The notice of a CA profile that one of its accounts has replaced another."""
    replaced = record.told_replaced(context.environment.now())
    if replaced is None or not record.url:
        return []
    former, why, at = replaced
    text = (
        "Since {date} the account {url} is used in place of {former}: {reason}. CAA records (accounturi) and "
        "dns-persist-01 records that name the former account do not permit this one."
    )
    params = {"date": shown_moment(at), "url": record.url, "former": former, "reason": why.reason}
    level = Level.INFO if why.is_wanted else Level.WARNING
    return [Notice(level, Message("puq_acme.profile.account_replaced", text, params))]


def new_account_notice(view: CertificateView, context: AcmeContext) -> list[Notice]:
    """The notice of a certificate that its next order uses another account than the leaf in service did."""
    former = OrderState.of(view.active).account_url
    record = read_record(context.documents, account_of(context, own_settings(view), view.certificate.owner).key)
    replaced = record.told_replaced(context.environment.now())
    if replaced is None or not former or not record.url or record.url == former:
        return []
    text = (
        "The leaf in service was ordered with the account {former}; the next leaf is ordered with {url}. If a CAA "
        "record (accounturi) or a dns-persist-01 record of the domain names the former account, its owner has to "
        "change it before the renewal."
    )
    return [Notice(Level.WARNING, Message("puq_acme.new_account", text, {"former": former, "url": record.url}))]


def clock_notice(context: AcmeContext) -> list[Notice]:
    """The notice that our clock and the CA's differ, with both times."""
    sight = known_difference(context)
    if sight is None:
        return []
    text = (
        "The clock of this machine and that of the CA differ: when it was {ours} here, it was {theirs} there; this "
        "clock is {difference}. Set the clock of this machine, or report it to the CA."
    )
    return [Notice(Level.WARNING, Message("puq_acme.clock", text, dict(sight.told())))]
