"""The state of an attempt between steps, and its last findings; read and written only here.

The engine keeps both as JSON. States that earlier versions stored are read as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, frozen

from certcore.messages import Message
from certcore.model.finding import Change, Finding, RecordChange, Severity
from certcore.model.hints import RecordState
from certcore.model.issuance import Issuance
from certcore.net.foreign_text import LONGEST_URL, LONGEST_WORD
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.dns.finding_codes import FINDING_CODES
from certcore_puq_acme.dns.findings import finding
from certcore_puq_acme.orders.patience import Trouble
from certcore_puq_acme.orders.stored_fields import (
    choice,
    count,
    flag,
    from_json,
    items,
    members,
    message,
    moment,
    nested,
    shown_message,
    stored,
    text,
    to_json,
    words,
)
from certcore_puq_acme.profile.settings import ChallengeType
from certcore_puq_acme.protocol.resources import Order
from certcore_puq_acme.rate_limits.turns import Turn, Why
from certcore_puq_acme.techzone.records import is_record_name

__all__ = [
    "ChainFacts",
    "Findings",
    "HostedState",
    "OrderState",
    "PendingChallenge",
    "RequestsUsedUp",
    "SeenFinding",
    "SeenHosted",
    "SeenRecord",
    "Stage",
    "UnbelievedRefusal",
    "UnwrittenValues",
    "WaitingTurn",
]

_url: Final = text(LONGEST_URL)
_word: Final = text(LONGEST_WORD)
_LONGEST_NUMBER: Final = 12
_UNSAID: Final = Message("", "")
_NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and is_record_name(value) else None


def _slot(value: object) -> int | None:
    name = str(value)
    return int(name) if len(name) <= _LONGEST_NUMBER and name.isdecimal() else None


class Stage(StrEnum):
    """How far an issuance is."""

    #: No order is placed. The owner's DNS records are checked first.
    PREFLIGHT = "preflight"
    #: The records are correct: the order is placed in the same call. Never stored.
    ORDERING = "ordering"
    #: The order is placed; its authorizations are read.
    ORDERED = "ordered"
    #: The TXT values are published; the challenges are answered when they are visible.
    PUBLISHED = "published"
    #: The CA validates.
    ANSWERED = "answered"
    #: The CA has the CSR and issues.
    FINALIZING = "finalizing"

    @property
    def has_order(self) -> bool:
        """Whether an order is placed."""
        return self not in (Stage.PREFLIGHT, Stage.ORDERING)


@frozen(kw_only=True)
class PendingChallenge:
    """A challenge of an authorization that is pending."""

    #: The identifier without ``*.``.
    base: str = stored(text())
    url: str = stored(_url)
    #: The TXT value; empty where nothing is published.
    value: str = stored(text(), "")


@frozen(kw_only=True)
class ChainFacts:
    """What the page of a certificate says of its chain."""

    #: The name of the root that it leads to.
    root: str = stored(text(), "")
    #: Whether this machine knows that root; None where nobody said which roots the CA has.
    known: bool | None = stored(flag, None)
    #: In which way it is not the chain that the profile prefers; empty when it is.
    note: Message = stored(message(), _UNSAID)


@frozen(kw_only=True)
class OrderState:
    """What an attempt remembers between steps."""

    stage: Stage = stored(choice(Stage), Stage.PREFLIGHT)
    #: When the stage began.
    since: datetime | None = stored(moment, None)
    #: How often the order was looked at in this stage.
    polls: int = stored(count, 0)
    #: How often it was looked at because of the owner's records, or of other orders in flight.
    looks: int = stored(count, 0)

    #: When the owner's records are to be looked at next, and when somebody last asked for an earlier look.
    next_look: datetime | None = stored(moment, None)
    asked_at: datetime | None = stored(moment, None)

    #: How many orders turned out to be another attempt's, which had finalized them.
    foreign_orders: int = stored(count, 0, key="foreign")
    #: False: the CA did not accept that the order names the leaf that it replaces.
    names_leaf: bool = stored(flag, True)

    #: It is unknown whether the last newOrder request has placed an order.
    unclear: bool = stored(flag, False)

    #: The order's URL; empty while there is none.
    order: str = stored(_url, "")
    authorizations: tuple[str, ...] = stored(items(_url), ())
    #: The certificate's URL; empty until the CA names it.
    certificate: str = stored(_url, "")
    #: The document's key, and the URL, of the account that placed the order.
    account: str = stored(text(), "")
    account_url: str = stored(_url, "")
    #: The directory URL of the CA.
    directory: str = stored(_url, "")
    #: How the names are validated; None before an order is placed.
    challenge: ChallengeType | None = stored(choice(ChallengeType), None)
    #: Where the TXT values of each base name are published.
    targets: Mapping[str, str] = stored(members(_name, _name), _NOTHING)

    #: The challenges, in the order of their authorizations.
    challenges: tuple[PendingChallenge, ...] = stored(items(nested(PendingChallenge)), ())
    #: How many authorizations were read, and how many challenges answered.
    fetched: int = stored(count, 0)
    answered: int = stored(count, 0)
    #: The server of the tech zone has confirmed the values. Never, where that is certcore's own.
    written: bool = stored(flag, False)
    #: The order gave its place in flight to others while its values are not visible.
    out_of_flight: bool = stored(flag, False, key="outside")
    #: Our CSR was handed in.
    finalized: bool = stored(flag, False)
    #: The status of the order in the CA's last answer, while it stays the same.
    status: str = stored(_word, "")
    #: What keeps it from getting on.
    trouble: Trouble | None = stored(nested(Trouble), None)
    #: How many requests were sent in each of the last slots of five minutes.
    asked: Mapping[int, int] = stored(members(_slot, count), _NOTHING)

    #: What is known of the chain that was issued.
    chain: ChainFacts | None = stored(nested(ChainFacts), None)

    @classmethod
    def read(cls, document: Mapping[str, Any] | None) -> OrderState:
        """The state that was stored, whatever that is."""
        return from_json(cls, document) or cls()

    @classmethod
    def of(cls, issuance: Issuance | None) -> OrderState:
        """The state of an issuance; an empty one when there is none."""
        return cls.read(issuance.module_state if issuance else None)

    def to_json(self) -> dict[str, Any]:
        """As the engine keeps it."""
        return {"stage": str(self.stage), **to_json(self)}

    def resumed(self) -> OrderState:
        """The state to go on from: without the URL of its order, the attempt begins anew."""
        if self.stage is Stage.ORDERING:
            return evolve(self, stage=Stage.PREFLIGHT)
        if self.stage.has_order and not self.order:
            return OrderState(targets=self.targets, asked=self.asked)
        return self

    @property
    def looks_for_place(self) -> int:
        """How often it was looked for a place in flight: those for the owner's records before do not count."""
        return 0 if self.next_look is not None else self.looks

    def with_order(self, order: Order) -> OrderState:
        """The same with what is kept of an order."""
        return evolve(self, order=order.url, authorizations=order.authorizations, certificate=order.certificate)


@frozen(kw_only=True)
class _SeenChange:
    """A record that a finding asks to set or remove."""

    name: str = stored(text())
    type: str = stored(_word)
    value: str = stored(text(), "")
    change: Change = stored(choice(Change), Change.SET)


@frozen(kw_only=True)
class SeenFinding:
    """A finding about DNS records; its texts are made from the table of codes when it is shown."""

    code: DnsCode = stored(choice(DnsCode))
    severity: Severity = stored(choice(Severity), Severity.ERROR)
    params: Mapping[str, Message | str] = stored(members(_word, words()), _NOTHING)
    remedy: tuple[_SeenChange, ...] = stored(items(nested(_SeenChange)), ())

    @classmethod
    def of(cls, finding: Finding) -> SeenFinding:
        """As it is kept."""
        return cls(
            code=DnsCode(finding.code),
            severity=finding.severity,
            params={key: value for key, value in finding.cause.params.items() if value},
            remedy=tuple(
                _SeenChange(name=change.name, type=change.type, value=change.value, change=change.change)
                for change in finding.remedy
            ),
        )

    def finding(self, next_look: datetime | None = None) -> Finding:
        """The finding, with when it is looked at again."""
        remedy = [
            RecordChange(name=change.name, type=change.type, value=change.value, change=change.change)
            for change in self.remedy
        ]
        # A parameter that was not stored, or cannot be read, is left empty in the texts.
        params: dict[str, Any] = {**dict.fromkeys(FINDING_CODES[self.code].example, ""), **self.params}
        made = finding(self.code, severity=self.severity, remedy=remedy, **params)
        return evolve(made, next_look=next_look)


@frozen(kw_only=True)
class _UnseenValue:
    """The form in which earlier versions stored a value that was not seen."""

    name: str = stored(text(), "")
    zone: str = stored(text(), "")
    #: Which server does not show it, in words.
    missing: str = stored(text(), "")


def _unseen_values(value: object) -> tuple[SeenFinding, ...] | None:
    """Reads findings, also from what earlier versions kept."""
    unseen = nested(_UnseenValue)(value)
    if unseen is None:
        return items(nested(SeenFinding))(value)
    server, _, shown_values = unseen.missing.partition(" shows ")
    words = {"name": unseen.name, "zone": unseen.zone, "server": server, "seen": shown_values or server}
    return (SeenFinding(code=DnsCode.TXT_MISSING, params={name: word for name, word in words.items() if word}),)


@frozen(kw_only=True)
class SeenRecord:
    """What was seen of one record that the owner sets."""

    name: str = stored(text())
    base: str = stored(text(), "")
    #: What it has to hold.
    target: str = stored(text(), "")
    state: RecordState = stored(choice(RecordState), RecordState.UNKNOWN)
    #: In words, or what it holds instead.
    seen: Message | str = stored(words(), "")
    #: CNAME, TXT or CAA.
    type: str = stored(text(), "CNAME")
    #: Until when it can be used; None for a record without an end.
    until: datetime | None = stored(moment, None)
    #: Why it is not correct, the cause first.
    findings: tuple[SeenFinding, ...] = stored(items(nested(SeenFinding)), ())

    @property
    def is_correct(self) -> bool:
        """Whether it is as it has to be."""
        return self.state is RecordState.CORRECT


@frozen(kw_only=True)
class WaitingTurn:
    """A wait that needs no action."""

    why: Why = stored(choice(Why), Why.IN_FLIGHT)
    until: datetime | None = stored(moment, None)
    #: The limit that is used up, in words.
    limit: str = stored(text(), "")
    #: What the limit is about: a registered domain or a name; empty for the account.
    about: str = stored(text(), "")
    detail: str = stored(text(), "")
    #: Until when the CA wishes a pause, which may be later than ``until``.
    wished: datetime | None = stored(moment, None)

    @classmethod
    def of(cls, turn: Turn) -> WaitingTurn:
        """From what the budget says."""
        return cls(
            why=turn.why or Why.IN_FLIGHT,
            until=turn.until,
            limit=str(turn.limit or ""),
            about=turn.about,
            detail=turn.detail,
            wished=turn.wished,
        )


@frozen(kw_only=True)
class UnwrittenValues:
    """The server of the tech zone does not have the TXT values."""

    #: Which server, and why, as a sentence.
    said: Message = stored(message(), _UNSAID)
    #: What can be done about it.
    advice: Message = stored(message(), _UNSAID)
    since: datetime | None = stored(moment, None)

    @classmethod
    def of(cls, reason: str | Message, advice: str | Message, since: datetime) -> UnwrittenValues:
        """From what the publication says."""
        return cls(said=shown_message(reason) or _UNSAID, advice=shown_message(advice) or _UNSAID, since=since)


class HostedState(StrEnum):
    """The state of a CNAME at the panel's own DNS server, or why a CNAME proves nothing for this owner."""

    #: certcore has set it.
    SET = "set"
    #: Something else is at the name.
    OCCUPIED = "occupied"
    #: The server could not be asked, or refused.
    UNWRITTEN = "unwritten"
    #: Another process is writing it.
    BUSY = "busy"
    #: certcore had set it, and the panel no longer says that the owner controls the name.
    DENIED = "denied"
    #: A plugin failed when it was asked whether the owner controls the name.
    UNANSWERED = "unanswered"
    #: The panel says that the owner does not control the name.
    REFUSED = "refused"
    #: The name is bound to another owner, who has proved it; or another one is about to prove it.
    TAKEN = "taken"
    CLAIMED = "claimed"


@frozen(kw_only=True)
class SeenHosted:
    """The state of a CNAME besides the DNS observations."""

    name: str = stored(text())
    state: HostedState = stored(choice(HostedState))
    #: What is at the name instead, or why it could not be set.
    said: Message = stored(message(), _UNSAID)
    advice: Message = stored(message(), _UNSAID)
    #: The CNAME does not count, whatever the DNS shows.
    is_denied: bool = stored(flag, False, key="denied")


@frozen(kw_only=True)
class UnbelievedRefusal:
    """The CA refuses a URL that it has named itself; the URL is requested again before the order counts as lost."""

    said: Message = stored(message(), _UNSAID)
    since: datetime | None = stored(moment, None)


@frozen(kw_only=True)
class RequestsUsedUp:
    """The requests that a certificate may cost within an hour are used up."""

    until: datetime | None = stored(moment, None)
    said: Message = stored(message(), _UNSAID)
    since: datetime | None = stored(moment, None)


@frozen(kw_only=True)
class Findings:
    """The last findings of an attempt, for the right column."""

    #: When the owner's records were checked.
    checked_at: datetime | None = stored(moment, None)
    records: tuple[SeenRecord, ...] = stored(items(nested(SeenRecord)), ())
    turn: WaitingTurn | None = stored(nested(WaitingTurn), None)
    #: Which servers do not show the TXT values that are published.
    unseen: tuple[SeenFinding, ...] = stored(_unseen_values, ())
    #: What is wrong with the tech zone.
    zone: tuple[SeenFinding, ...] = stored(items(nested(SeenFinding)), ())
    unwritten: UnwrittenValues | None = stored(nested(UnwrittenValues), None)
    #: CNAMEs at the panel's own DNS server.
    hosted: tuple[SeenHosted, ...] = stored(items(nested(SeenHosted)), ())
    doubt: UnbelievedRefusal | None = stored(nested(UnbelievedRefusal), None)
    enough: RequestsUsedUp | None = stored(nested(RequestsUsedUp), None)

    @classmethod
    def read(cls, document: Mapping[str, Any] | None) -> Findings:
        """The findings that were stored, whatever they are."""
        return from_json(cls, document) or cls()

    @classmethod
    def of(cls, issuance: Issuance | None) -> Findings:
        """The findings of an issuance; empty ones when there are none."""
        return cls.read(issuance.findings if issuance else None)

    def to_json(self) -> dict[str, Any]:
        """As the engine keeps them."""
        return to_json(self)

    def lasting(self) -> Findings:
        """Without what was true at the last look only."""
        return Findings(checked_at=self.checked_at, records=self.records, hosted=self.hosted)

    @property
    def by_name(self) -> Mapping[str, SeenRecord]:
        """The records by their names."""
        return {record.name: record for record in self.records}

    @property
    def are_correct(self) -> bool:
        """Whether records were checked, and all of them are as they have to be."""
        return bool(self.records) and all(record.is_correct for record in self.records)
