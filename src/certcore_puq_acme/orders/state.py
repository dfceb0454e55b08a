"""The module's state of an issuance between steps, and its last findings.

The engine stores both as JSON, which is only read and written here. States of earlier versions can be read, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
#: The largest number of findings that are stored of one kind.
_MOST_FINDINGS: Final = 4
_UNSAID: Final = Message("", "")
_NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and is_record_name(value) else None


def _slot(value: object) -> int | None:
    name = str(value)
    return int(name) if len(name) <= _LONGEST_NUMBER and name.isdecimal() else None


class Stage(StrEnum):
    """The stages of an issuance."""

    #: No order is placed yet. The owner's DNS records are checked.
    PREFLIGHT = "preflight"
    #: The records are correct, and the order is placed in the same call. Never stored.
    ORDERING = "ordering"
    #: The order is placed; its authorizations are read.
    ORDERED = "ordered"
    #: The TXT values are published. The challenges are answered when they are visible.
    PUBLISHED = "published"
    #: The challenges are answered, and the CA validates.
    ANSWERED = "answered"
    #: The CA has the CSR and issues the leaf.
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
    #: The TXT value; empty if nothing is published.
    value: str = stored(text(), "")


@frozen(kw_only=True)
class ChainFacts:
    """Facts about the issued chain, for the certificate's page."""

    #: The name of the root of the chain.
    root: str = stored(text(), "")
    #: Whether this machine trusts the root; None if the roots of the CA are not configured.
    known: bool | None = stored(flag, None)
    #: How the chain differs from the one that the CA profile prefers; empty if it does not.
    note: Message = stored(message(), _UNSAID)


@frozen(kw_only=True)
class OrderState:
    """The state of an issuance between steps."""

    stage: Stage = stored(choice(Stage), Stage.PREFLIGHT)
    #: When the stage began.
    since: datetime | None = stored(moment, None)
    #: How many times the order was polled in this stage.
    polls: int = stored(count, 0)
    #: How many steps waited for the owner's records or for other orders in flight.
    looks: int = stored(count, 0)

    #: When the owner's records are checked next, and when a user last asked for an earlier check.
    next_look: datetime | None = stored(moment, None)
    asked_at: datetime | None = stored(moment, None)

    #: How many orders turned out to belong to another issuance, which had finalized them.
    foreign_orders: int = stored(count, 0, key="foreign")
    #: Whether orders name the leaf that they replace (RFC 9773 section 5). False after the CA refused that.
    names_leaf: bool = stored(flag, True)

    #: Whether it is unknown if the last newOrder request has placed an order.
    unclear: bool = stored(flag, False)

    #: The order's URL; empty while there is none.
    order: str = stored(_url, "")
    authorizations: tuple[str, ...] = stored(items(_url), ())
    #: The certificate's URL; empty until the CA names it.
    certificate: str = stored(_url, "")
    #: The document key and the URL of the account that placed the order.
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
    #: How many authorizations were read, and how many challenges were answered.
    fetched: int = stored(count, 0)
    answered: int = stored(count, 0)
    #: Whether another DNS server has confirmed the TXT values. Always False with certcore's own server.
    written: bool = stored(flag, False)
    #: Whether the order has released its place among the orders in flight, because its values are not visible yet.
    out_of_flight: bool = stored(flag, False, key="outside")
    #: Whether the CSR was sent to the CA.
    finalized: bool = stored(flag, False)
    #: The status of the order in the CA's last answer.
    status: str = stored(_word, "")
    #: The trouble that delays the issuance; None if there is none.
    trouble: Trouble | None = stored(nested(Trouble), None)
    #: How many requests were sent in each of the last slots of five minutes, by the slot's number.
    asked: Mapping[int, int] = stored(members(_slot, count), _NOTHING)

    #: Facts about the issued chain.
    chain: ChainFacts | None = stored(nested(ChainFacts), None)

    @classmethod
    def read(cls, document: Mapping[str, Any] | None) -> OrderState:
        """Read a stored state. Unknown and invalid members are ignored."""
        return from_json(cls, document) or cls()

    @classmethod
    def of(cls, issuance: Issuance | None) -> OrderState:
        """The state of an issuance; an empty state if there is none."""
        return cls.read(issuance.module_state if issuance else None)

    def to_json(self) -> dict[str, Any]:
        """The stored form of the state."""
        return {"stage": str(self.stage), **to_json(self)}

    def resumed(self) -> OrderState:
        """The state from which to continue. Without the URL of its order, the issuance starts again."""
        if self.stage is Stage.ORDERING:
            return evolve(self, stage=Stage.PREFLIGHT)
        if self.stage.has_order and not self.order:
            return OrderState(targets=self.targets, asked=self.asked)
        return self

    @property
    def looks_for_place(self) -> int:
        """How many steps waited for a place in flight, without those that waited for the owner's records."""
        return 0 if self.next_look is not None else self.looks

    def with_order(self, order: Order) -> OrderState:
        """A copy with the stored facts of an order."""
        return evolve(self, order=order.url, authorizations=order.authorizations, certificate=order.certificate)


@frozen(kw_only=True)
class _SeenChange:
    """A DNS record that a finding asks to set or remove."""

    name: str = stored(text())
    type: str = stored(_word)
    value: str = stored(text(), "")
    change: Change = stored(choice(Change), Change.SET)


@frozen(kw_only=True)
class SeenFinding:
    """A stored finding about DNS records. Its texts are made from its code when it is shown."""

    code: DnsCode = stored(choice(DnsCode))
    severity: Severity = stored(choice(Severity), Severity.ERROR)
    params: Mapping[str, Message | str] = stored(members(_word, words()), _NOTHING)
    remedy: tuple[_SeenChange, ...] = stored(items(nested(_SeenChange)), ())

    @classmethod
    def of(cls, finding: Finding) -> SeenFinding:
        """The stored form of a finding."""
        return cls(
            code=DnsCode(finding.code),
            severity=finding.severity,
            params={key: value for key, value in finding.cause.params.items() if value},
            remedy=tuple(
                _SeenChange(name=change.name, type=change.type, value=change.value, change=change.change)
                for change in finding.remedy
            ),
        )

    @classmethod
    def first_of(cls, findings: Sequence[Finding]) -> tuple[SeenFinding, ...]:
        """The stored form of the first findings; the others are not stored."""
        return tuple(map(cls.of, findings[:_MOST_FINDINGS]))

    def finding(self, next_look: datetime | None = None) -> Finding:
        """The finding, with the time of its next check."""
        remedy = [
            RecordChange(name=change.name, type=change.type, value=change.value, change=change.change)
            for change in self.remedy
        ]
        # A parameter that is missing or cannot be read is empty in the texts.
        params: dict[str, Any] = {**dict.fromkeys(FINDING_CODES[self.code].example, ""), **self.params}
        made = finding(self.code, severity=self.severity, remedy=remedy, **params)
        return evolve(made, next_look=next_look)


@frozen(kw_only=True)
class _UnseenValue:
    """The form in which earlier versions stored a value that was not visible."""

    name: str = stored(text(), "")
    zone: str = stored(text(), "")
    #: The server that does not publish it, as text.
    missing: str = stored(text(), "")


def _unseen_values(value: object) -> tuple[SeenFinding, ...] | None:
    """Read findings, also in the form of earlier versions."""
    unseen = nested(_UnseenValue)(value)
    if unseen is None:
        return items(nested(SeenFinding))(value)
    server, _, shown_values = unseen.missing.partition(" shows ")
    words = {"name": unseen.name, "zone": unseen.zone, "server": server, "seen": shown_values or server}
    return (SeenFinding(code=DnsCode.TXT_MISSING, params={name: word for name, word in words.items() if word}),)


@frozen(kw_only=True)
class SeenRecord:
    """The observed state of a record that the owner has to set."""

    name: str = stored(text())
    base: str = stored(text(), "")
    #: The expected value.
    target: str = stored(text(), "")
    state: RecordState = stored(choice(RecordState), RecordState.UNKNOWN)
    #: The observed value, or a description.
    seen: Message | str = stored(words(), "")
    #: CNAME, TXT or CAA.
    type: str = stored(text(), "CNAME")
    #: Until when the record can be used; None for no limit.
    until: datetime | None = stored(moment, None)
    #: Why the record is not correct, the cause first.
    findings: tuple[SeenFinding, ...] = stored(items(nested(SeenFinding)), ())

    @property
    def is_correct(self) -> bool:
        """Whether the record is correct."""
        return self.state is RecordState.CORRECT


@frozen(kw_only=True)
class WaitingTurn:
    """A wait that needs no action, because of a limit, a pause or other orders."""

    why: Why = stored(choice(Why), Why.IN_FLIGHT)
    until: datetime | None = stored(moment, None)
    #: The exhausted limit, as text.
    limit: str = stored(text(), "")
    #: The registered domain or name that the limit applies to; empty for the account.
    about: str = stored(text(), "")
    detail: str = stored(text(), "")
    #: Until when the CA asks to pause, which may be later than ``until``.
    wished: datetime | None = stored(moment, None)

    @classmethod
    def of(cls, turn: Turn) -> WaitingTurn:
        """Make one from a `Turn` of the budget."""
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
    """The DNS server of the tech zone does not have the TXT values."""

    #: The server and the reason, as a sentence.
    said: Message = stored(message(), _UNSAID)
    #: What to do about it.
    advice: Message = stored(message(), _UNSAID)
    since: datetime | None = stored(moment, None)

    @classmethod
    def of(cls, reason: str | Message, advice: str | Message, since: datetime) -> UnwrittenValues:
        """Make one from a failure of the publication."""
        return cls(said=shown_message(reason) or _UNSAID, advice=shown_message(advice) or _UNSAID, since=since)


class HostedState(StrEnum):
    """The state of a CNAME at the panel's own DNS server, or why a CNAME does not prove control by this owner."""

    #: certcore has set the CNAME.
    SET = "set"
    #: The name has another record.
    OCCUPIED = "occupied"
    #: The server could not be reached or refused.
    UNWRITTEN = "unwritten"
    #: Another process is writing the CNAME.
    BUSY = "busy"
    #: certcore had set the CNAME, but the panel no longer confirms that the owner controls the name.
    DENIED = "denied"
    #: A plugin failed when it was asked whether the owner controls the name.
    UNANSWERED = "unanswered"
    #: According to the panel, the owner does not control the name.
    REFUSED = "refused"
    #: The name is bound to another owner, who has proved control (taken) or is about to prove it (claimed).
    TAKEN = "taken"
    CLAIMED = "claimed"


@frozen(kw_only=True)
class SeenHosted:
    """The stored state of a CNAME at the panel's own DNS server."""

    name: str = stored(text())
    state: HostedState = stored(choice(HostedState))
    #: The other record at the name, or why the CNAME could not be set.
    said: Message = stored(message(), _UNSAID)
    advice: Message = stored(message(), _UNSAID)
    #: Whether the CNAME is not accepted as a proof, whatever the DNS shows.
    is_denied: bool = stored(flag, False, key="denied")


@frozen(kw_only=True)
class UnbelievedRefusal:
    """The CA refuses a URL that it has given. The URL is requested again before the order counts as lost."""

    said: Message = stored(message(), _UNSAID)
    since: datetime | None = stored(moment, None)


@frozen(kw_only=True)
class RequestsUsedUp:
    """The certificate has used up its requests to the CA for this hour."""

    until: datetime | None = stored(moment, None)
    said: Message = stored(message(), _UNSAID)
    since: datetime | None = stored(moment, None)


@frozen(kw_only=True)
class Findings:
    """The last findings of an issuance, for the right column."""

    #: When the owner's records were last checked.
    checked_at: datetime | None = stored(moment, None)
    #: The challenge type and the account for which all of them were checked; empty if only some were.
    checked_for: str = stored(text(), "")
    records: tuple[SeenRecord, ...] = stored(items(nested(SeenRecord)), ())
    turn: WaitingTurn | None = stored(nested(WaitingTurn), None)
    #: The servers that do not publish the TXT values yet.
    unseen: tuple[SeenFinding, ...] = stored(_unseen_values, ())
    #: The faults of the tech zone.
    zone: tuple[SeenFinding, ...] = stored(items(nested(SeenFinding)), ())
    unwritten: UnwrittenValues | None = stored(nested(UnwrittenValues), None)
    #: CNAMEs at the panel's own DNS server.
    hosted: tuple[SeenHosted, ...] = stored(items(nested(SeenHosted)), ())
    doubt: UnbelievedRefusal | None = stored(nested(UnbelievedRefusal), None)
    enough: RequestsUsedUp | None = stored(nested(RequestsUsedUp), None)

    @classmethod
    def read(cls, document: Mapping[str, Any] | None) -> Findings:
        """Read stored findings. Unknown and invalid members are ignored."""
        return from_json(cls, document) or cls()

    @classmethod
    def of(cls, issuance: Issuance | None) -> Findings:
        """The findings of an issuance; empty if there are none."""
        return cls.read(issuance.findings if issuance else None)

    def to_json(self) -> dict[str, Any]:
        """The stored form of the findings."""
        return to_json(self)

    def lasting(self) -> Findings:
        """A copy without the findings that only apply to the last step."""
        return Findings(
            checked_at=self.checked_at, checked_for=self.checked_for, records=self.records, hosted=self.hosted
        )

    @property
    def by_name(self) -> Mapping[str, SeenRecord]:
        """The records by their names."""
        return {record.name: record for record in self.records}

    @property
    def are_correct(self) -> bool:
        """Whether records were checked and all of them are correct."""
        return bool(self.records) and all(record.is_correct for record in self.records)
