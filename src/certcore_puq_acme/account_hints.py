"""What pages say when another account is used than before, or when our clock and the CA's differ."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from certcore.model.hints import Level, Message, Notice
from certcore.model.views import CertificateView
from certcore.ports.ca_module import ModuleContext
from certcore_puq_acme.account_records import AccountRecord, Replaced, account_of, read_record
from certcore_puq_acme.clock_records import known_difference
from certcore_puq_acme.owner_records import own_settings
from certcore_puq_acme.patience import shown_moment

__all__ = ["REASONS", "clock_notice", "new_account_notice", "replaced_notice"]

#: Why another account is used, as a clause.
REASONS: Final = MappingProxyType(
    {
        Replaced.UNKNOWN: "the CA did not know that one, or its key, any more, as after a key rollover elsewhere and "
        "the restore of an older database",
        Replaced.MOVED: "the CA names it so now",
        Replaced.OPENED: "somebody has opened it, since that one was closed, or its key was lost",
        Replaced.IMPORTED: "somebody has taken it along from another client",
        Replaced.SETTINGS: "the CA profile was set to another CA, or to other EAB credentials",
    }
)


def replaced_notice(record: AccountRecord, context: ModuleContext) -> list[Notice]:
    """For a CA profile: that one of its accounts has taken the place of another one."""
    told = record.told_replaced(context.environment.now())
    if told is None or not record.url:
        return []
    former, why, at = told
    text = (
        "Since {date} the account {url} is used in place of {former}: {reason}. CAA records (accounturi) and "
        "dns-persist-01 records that name the former account do not permit this one."
    )
    params = {"date": shown_moment(at), "url": record.url, "former": former, "reason": REASONS[why]}
    level = Level.INFO if why.is_wanted else Level.WARNING
    return [Notice(level, Message("puq_acme.profile.account_replaced", text, params))]


def new_account_notice(view: CertificateView, context: ModuleContext) -> list[Notice]:
    """For a certificate: that its next order is placed with another account than the leaf in service."""
    state = (view.active.module_state if view.active else None) or {}
    former = state.get("account_url")
    record = read_record(context.documents, account_of(context, own_settings(view), view.certificate.owner).key)
    told = record.told_replaced(context.environment.now())
    if told is None or not former or not record.url or record.url == former:
        return []
    text = (
        "The leaf in service was ordered with the account {former}; the next one is ordered with {url}. If a CAA "
        "record (accounturi) or a dns-persist-01 record of the domain names the former account, its owner has to "
        "change it before the renewal."
    )
    return [Notice(Level.WARNING, Message("puq_acme.new_account", text, {"former": former, "url": record.url}))]


def clock_notice(context: ModuleContext) -> list[Notice]:
    """That our clock and the CA's differ, with both times."""
    sight = known_difference(context)
    if sight is None:
        return []
    text = (
        "The clock of this machine and that of the CA differ: when it was {ours} here, it was {theirs} there; this "
        "clock is {difference}. Set the clock of this machine, or tell the CA."
    )
    return [Notice(Level.WARNING, Message("puq_acme.clock", text, dict(sight.told())))]
