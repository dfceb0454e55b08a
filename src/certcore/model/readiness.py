"""Whether a renewal could succeed now: its obstacles, and who has to act."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from attrs import evolve, frozen

from certcore.messages import Message, as_message
from certcore.model.finding import Change, Finding, RecordChange, Severity
from certcore.model.stored_messages import message_document, read_message

__all__ = ["Obstacle", "Readiness", "WhoseTurn", "fingerprint"]

#: A finding that may resolve on its own counts when consecutive checks have seen it for this long.
_SURE_AFTER: Final = timedelta(minutes=10)


class WhoseTurn(StrEnum):
    """Who has to act before a renewal can succeed."""

    #: The owner of the domain: a DNS record is missing or wrong.
    OWNER = "owner"
    #: The operator of the panel: the account, the CA profile, the tech zone or a target.
    ADMINISTRATOR = "administrator"
    #: Nobody: it resolves on its own, like a limit of the CA.
    NOBODY = "nobody"


@frozen(kw_only=True)
class Obstacle:
    """An obstacle to a renewal, certain or possible."""

    #: What it is. With `Severity.ERROR` no renewal succeeds before it is repaired.
    finding: Finding
    whose_turn: WhoseTurn
    #: False: it may resolve on its own, like a server that does not answer. It is reported when a later check sees it,
    #: too.
    is_certain: bool = True
    #: Since when each check has seen it; None before the check is stored.
    since: datetime | None = None
    #: The plugin that found it about its target; empty for the CA module and for certcore itself.
    target: str = ""

    @property
    def blocks(self) -> bool:
        """Whether no renewal succeeds before it is repaired."""
        return self.finding.severity is Severity.ERROR

    @property
    def key(self) -> str:
        """Its identity in the next check: the same code about the same name or target."""
        return f"{self.finding.code} {self.finding.name} {self.target}"

    def without_details(self) -> Obstacle:
        """A copy for readers who must not see details of the server: paths, users, commands."""
        if not self.target:
            return self
        text = "The target {target} could not be written now."
        advice = "The administrator sees the reason with the command certcore cert preflight."
        finding = Finding(
            code=self.finding.code,
            severity=self.finding.severity,
            name=self.finding.name,
            cause=Message("core.preflight.target.cause", text, {"target": self.target}),
            advice=Message("core.preflight.target.advice", advice),
        )
        return evolve(self, finding=finding)


@frozen(kw_only=True)
class Readiness:
    """The result of a check of a certificate, as if it were renewed at that moment."""

    #: The most important first.
    obstacles: tuple[Obstacle, ...] = ()

    @classmethod
    def of(cls, obstacles: Iterable[Obstacle]) -> Readiness:
        """The readiness with these obstacles, by severity."""
        return cls(obstacles=tuple(sorted(obstacles, key=lambda obstacle: obstacle.finding.severity.rank)))

    @property
    def is_ready(self) -> bool:
        """Whether a renewal could succeed now."""
        return not any(obstacle.blocks for obstacle in self.obstacles)

    @property
    def whose_turn(self) -> WhoseTurn:
        """Who has to act first; nobody when a renewal could succeed now."""
        return next((obstacle.whose_turn for obstacle in self.obstacles if obstacle.blocks), WhoseTurn.NOBODY)

    def without_details(self) -> Readiness:
        """A copy for readers who must not see details of the server."""
        return Readiness(obstacles=tuple(obstacle.without_details() for obstacle in self.obstacles))

    def after(self, before: Readiness | None, now: datetime) -> Readiness:
        """The same with the moments since which each obstacle is seen.

        Args:
            before: What the last check found.
            now: The present moment.
        """
        known = {} if before is None else {obstacle.key: obstacle.since for obstacle in before.obstacles}
        obstacles = (
            evolve(obstacle, since=min(known.get(obstacle.key) or now, now))  # a clock may have been ahead
            for obstacle in self.obstacles
        )
        return Readiness(obstacles=tuple(obstacles))

    def lasting(self, now: datetime) -> tuple[Obstacle, ...]:
        """The obstacles that block and are sure: for certain, or since they were seen for ten minutes."""
        return tuple(
            obstacle
            for obstacle in self.obstacles
            if obstacle.blocks and (obstacle.is_certain or now - (obstacle.since or now) >= _SURE_AFTER)
        )

    def to_json(self) -> dict[str, Any]:
        """As it is stored; `from_json` reads it."""
        return {"obstacles": [_obstacle_json(obstacle) for obstacle in self.obstacles]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Readiness:
        """Read what `to_json` wrote."""
        return cls(obstacles=tuple(_obstacle(entry) for entry in document["obstacles"]))


def fingerprint(obstacles: Iterable[Obstacle]) -> str:
    """A fingerprint of the obstacles; empty without any."""
    keys = sorted(obstacle.key for obstacle in obstacles)
    return hashlib.sha256("\0".join(keys).encode()).hexdigest()[:16] if keys else ""


def _obstacle_json(obstacle: Obstacle) -> dict[str, Any]:
    finding = obstacle.finding
    return {
        "whose_turn": str(obstacle.whose_turn),
        "is_certain": obstacle.is_certain,
        "since": None if obstacle.since is None else obstacle.since.isoformat(),
        "target": obstacle.target,
        "code": finding.code,
        "severity": str(finding.severity),
        "name": finding.name,
        "server": finding.server,
        "expected": _text_document(finding.expected),
        "seen": _text_document(finding.seen),
        "cause": message_document(finding.cause),
        "advice": message_document(finding.advice),
        "remedy": [
            {"name": change.name, "type": change.type, "value": change.value, "change": str(change.change)}
            for change in finding.remedy
        ],
        "next_look": None if finding.next_look is None else finding.next_look.isoformat(),
    }


def _obstacle(entry: Mapping[str, Any]) -> Obstacle:
    next_look = entry["next_look"]
    finding = Finding(
        **{name: entry[name] for name in ("code", "name", "server")},
        expected=_text(entry["expected"]),
        seen=_text(entry["seen"]),
        severity=Severity(entry["severity"]),
        cause=_message(entry["cause"]),
        advice=_message(entry["advice"]),
        remedy=tuple(RecordChange(**{**change, "change": Change(change["change"])}) for change in entry["remedy"]),
        next_look=None if next_look is None else datetime.fromisoformat(next_look),
    )
    return Obstacle(
        finding=finding,
        whose_turn=WhoseTurn(entry["whose_turn"]),
        is_certain=entry["is_certain"],
        since=None if entry.get("since") is None else datetime.fromisoformat(entry["since"]),
        target=entry["target"],
    )


def _text_document(text: Message | str) -> object:
    return message_document(text) if isinstance(text, Message) else text


def _text(stored: object) -> Message | str:
    return read_message(stored) or str(stored)


def _message(stored: object) -> Message:
    return as_message(_text(stored))
