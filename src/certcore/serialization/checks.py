"""JSON documents of checks: findings, tests of CA profiles, preflights, and the hints of the right column."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, Final

from certcore.messages import Message
from certcore.model.finding import Finding
from certcore.model.hints import (
    ActionButton,
    DnsRecords,
    Facts,
    Form,
    Hint,
    Link,
    Notice,
    Refresh,
    Steps,
    hint_to_json,
)
from certcore.model.json_form import json_form, moment
from certcore.model.preflight import Preflight
from certcore.model.readiness import WhoseTurn
from certcore.ports.ca_module import CheckReport
from certcore.serialization.identity import identified
from certcore.serialization.shapes import (
    BOOLEAN,
    MOMENT,
    TEXT,
    Schema,
    array,
    nullable,
    of_class,
    record,
    reference,
    words,
)

__all__ = [
    "CHECK_SHAPES",
    "check_document",
    "finding_document",
    "findings_document",
    "hint_document",
    "hints_document",
    "preflight_document",
    "preflight_members",
]

#: The classes of hints, by the value of the member ``kind``.
_HINTS: Final = MappingProxyType(
    {
        "notice": Notice,
        "facts": Facts,
        "dns_records": DnsRecords,
        "steps": Steps,
        "form": Form,
        "action": ActionButton,
        "link": Link,
        "refresh": Refresh,
    }
)


def _hint_shape(word: str, kind: type) -> Schema:
    shape = of_class(kind)
    return record({"kind": {"const": word}, **shape["properties"]})


_FINDING: Final[Schema] = of_class(Finding)["properties"]
_TEXT_OR_MESSAGE: Final[Schema] = {"anyOf": [TEXT, reference("Message")]}
#: The schemas of these documents, by name.
CHECK_SHAPES: Final = MappingProxyType(
    {
        "Finding": of_class(Finding),
        "Findings": record({"findings": array(reference("Finding"))}),
        "Hint": {"oneOf": [_hint_shape(word, kind) for word, kind in _HINTS.items()]},
        "SingleHint": record({"hint": reference("Hint")}),
        "Hints": record({"hints": array(reference("Hint"))}),
        "CheckReport": record(
            {
                "ok": BOOLEAN,
                "items": array(
                    record(
                        {
                            "title": reference("Message"),
                            "ok": BOOLEAN,
                            "detail": _TEXT_OR_MESSAGE,
                            "advice": _TEXT_OR_MESSAGE,
                            "findings": array(reference("Finding")),
                        }
                    )
                ),
            }
        ),
        "Preflight": record(
            {
                "ready": nullable(BOOLEAN),
                "whose_turn": nullable(words(WhoseTurn)),
                "checked_at": nullable(MOMENT),
                "next_check_at": MOMENT,
                "obstacles": array(
                    record({**_FINDING, "blocks": BOOLEAN, "whose_turn": words(WhoseTurn), "target": TEXT})
                ),
            }
        ),
    }
)


def finding_document(finding: Finding) -> dict[str, Any]:
    """A finding of a check. ``cause`` and ``advice`` are messages; ``remedy`` has the DNS records to change."""
    return identified("finding", json_form(finding))


def findings_document(findings: Iterable[Finding]) -> dict[str, Any]:
    """Several findings: the member ``findings``."""
    return identified("findings", {"findings": [json_form(finding) for finding in findings]})


def hint_document(hint: Hint) -> dict[str, Any]:
    """One entry of the right column: the member ``hint``, whose member ``kind`` tells its class."""
    return identified("hint", {"hint": hint_to_json(hint)})


def hints_document(hints: Iterable[Hint]) -> dict[str, Any]:
    """The right column: the member ``hints``."""
    return identified("hints", {"hints": [hint_to_json(hint) for hint in hints]})


def check_document(report: CheckReport) -> dict[str, Any]:
    """The result of testing a CA profile."""
    items = [
        {
            "title": json_form(item.title),
            "ok": item.ok,
            "detail": _text_or_message(item.detail),
            "advice": _text_or_message(item.advice),
            "findings": [json_form(finding) for finding in item.findings],
        }
        for item in report.items
    ]
    return identified("check", {"ok": report.ok, "items": items})


def preflight_document(preflight: Preflight) -> dict[str, Any]:
    """The last preflight of a certificate.

    ``ready`` is null if there was no check yet, or if preflights do not apply to the certificate.
    """
    return identified("preflight", preflight_members(preflight))


def preflight_members(preflight: Preflight) -> dict[str, Any]:
    """A preflight as a part of another document."""
    readiness = preflight.readiness
    return {
        "ready": None if readiness is None else readiness.is_ready,
        "whose_turn": None if readiness is None else str(readiness.whose_turn),
        "checked_at": moment(preflight.checked_at),
        "next_check_at": moment(preflight.due_at),
        "obstacles": [
            {
                **json_form(obstacle.finding),
                "blocks": obstacle.blocks,
                "whose_turn": str(obstacle.whose_turn),
                "target": obstacle.target,
            }
            for obstacle in (() if readiness is None else readiness.obstacles)
        ],
    }


def _text_or_message(text: Message | str) -> Any:
    return json_form(text)
