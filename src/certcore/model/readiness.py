"""Readiness: whether a renewal could succeed now, its obstacles, and who has to act."""

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

#: An obstacle that may resolve on its own is reported when all checks have seen it for this long.
_SURE_AFTER: Final = timedelta(minutes=10)


class WhoseTurn(StrEnum):
    """Who has to act before a renewal can succeed."""

    #: The owner of the domain: a DNS record is missing or wrong.
    OWNER = "owner"
    #: The operator of the panel, because of the account, the CA profile, the tech zone or a target.
    ADMINISTRATOR = "administrator"
    #: Nobody, because it resolves on its own, for example a rate limit of the CA.
    NOBODY = "nobody"


@frozen(kw_only=True)
class Obstacle:
    """An obstacle to a renewal, certain or possible."""

    #: The finding. With `Severity.ERROR`, no renewal succeeds before it is repaired.
    finding: Finding
    #: Who has to act.
    whose_turn: WhoseTurn
    #: Whether it persists without an action. False if it may resolve on its own, for example if a server does not
    #: answer; then it is reported only if later checks see it, too.
    is_certain: bool = True
    #: Since when all checks have seen it, UTC; None before the check is stored.
    since: datetime | None = None
    #: The name of the plugin whose deployment target it is about; empty otherwise.
    target: str = ""

    @property
    def blocks(self) -> bool:
        """Whether no renewal succeeds before it is repaired."""
        return self.finding.severity is Severity.ERROR

    @property
    def key(self) -> str:
        """The key by which the next check recognises it: the code, and the name or target."""
        return f"{self.finding.code} {self.finding.name} {self.target}"

    def without_details(self) -> Obstacle:
        """A copy for actors who may not see details of the server: paths, users and commands."""
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
    """The result of a check whether a certificate could be renewed now."""

    #: The obstacles, the most important first.
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
        """Who has to act first; nobody if a renewal could succeed now."""
        return next((obstacle.whose_turn for obstacle in self.obstacles if obstacle.blocks), WhoseTurn.NOBODY)

    def without_details(self) -> Readiness:
        """A copy for actors who may not see details of the server."""
        return Readiness(obstacles=tuple(obstacle.without_details() for obstacle in self.obstacles))

    def after(self, before: Readiness | None, now: datetime) -> Readiness:
        """A copy in which `Obstacle.since` is set.

        Args:
            before: The result of the previous check.
            now: The present moment.
        """
        known = {} if before is None else {obstacle.key: obstacle.since for obstacle in before.obstacles}
        obstacles = (
            evolve(obstacle, since=min(known.get(obstacle.key) or now, now))  # the clock may have been ahead
            for obstacle in self.obstacles
        )
        return Readiness(obstacles=tuple(obstacles))

    def lasting(self, now: datetime) -> tuple[Obstacle, ...]:
        """The blocking obstacles that are certain or have been seen for ten minutes."""
        return tuple(
            obstacle
            for obstacle in self.obstacles
            if obstacle.blocks and (obstacle.is_certain or now - (obstacle.since or now) >= _SURE_AFTER)
        )

    def to_json(self) -> dict[str, Any]:
        """The stored form, for `from_json`."""
        return {"obstacles": [_obstacle_json(obstacle) for obstacle in self.obstacles]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Readiness:
        """Read the stored form of `to_json`."""
        return cls(obstacles=tuple(_obstacle(entry) for entry in document["obstacles"]))


def fingerprint(obstacles: Iterable[Obstacle]) -> str:
    """A fingerprint of the obstacles; empty if there are none."""
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
