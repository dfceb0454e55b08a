"""Hints for templates: one template per kind, texts in the reader's language.

Every CA module uses the kinds of `certcore.hints`, so a new CA module needs no change here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from attrs import frozen

from certcore.contrib.django.shown_forms import Texts, anchor_of
from certcore.hints import (
    ActionButton,
    DnsRecord,
    DnsRecords,
    Facts,
    Finding,
    Form,
    Hint,
    Level,
    Link,
    Message,
    Notice,
    RecordState,
    Refresh,
    Steps,
    StepState,
    hint_to_json,
    label_of,
)

__all__ = ["ShownFinding", "ShownHint", "digest_of", "pace_of", "shown_finding", "shown_hints"]

#: The CSS classes of levels and states.
_TONES = {Level.INFO: "info", Level.SUCCESS: "ok", Level.WARNING: "warn", Level.ERROR: "bad"}
_RECORD_TONES = {
    RecordState.UNKNOWN: "mute",
    RecordState.MISSING: "bad",
    RecordState.WRONG: "bad",
    RecordState.CORRECT: "ok",
    RecordState.UNREACHABLE: "warn",
}
_STEP_CLASSES = {StepState.DONE: "done", StepState.CURRENT: "now", StepState.FAILED: "failed", StepState.WAITING: ""}
#: The shortest and the longest interval between two refreshes that a `Refresh` hint can set, in seconds.
_LEAST_PACE = 2
_LONGEST_PACE = 3600


@frozen(kw_only=True)
class ShownFact:
    """A label and a value."""

    label: str
    value: str


@frozen(kw_only=True)
class ShownFinding:
    """A finding about a DNS record, or of the test of a CA profile."""

    tone: str
    severity: str
    cause: str
    advice: str
    server: str
    expected: str
    seen: str
    remedy: tuple[str, ...]
    next_look: datetime | None


@frozen(kw_only=True)
class ShownRecord:
    """A DNS record to set."""

    id: str
    name: str
    type: str
    value: str
    tone: str
    state: str
    is_correct: bool
    seen: str
    checked_at: datetime | None
    findings: tuple[ShownFinding, ...]


@frozen(kw_only=True)
class ShownStep:
    """One step of the issuance."""

    title: str
    css_class: str
    state: str
    is_current: bool
    detail: str
    at: datetime | None


@frozen(kw_only=True)
class ShownHint:
    """A hint. Its kind decides which attributes have a value."""

    #: The kind as in `certcore.hints.hint_to_json`: ``notice``, ``facts``, ``dns_records``, ``steps``, ``form``,
    #: ``action`` or ``link``.
    kind: str
    text: str = ""
    help: str = ""
    tone: str = ""
    #: For an action: its name.
    name: str = ""
    #: For an action: whether it has its own page, which asks for values or for a confirmation.
    asks: bool = False
    is_primary: bool = False
    url: str = ""
    facts: tuple[ShownFact, ...] = ()
    records: tuple[ShownRecord, ...] = ()
    steps: tuple[ShownStep, ...] = ()

    @property
    def template(self) -> str:
        """The name of the template for this kind of hint."""
        return f"certcore/_hint_{self.kind}.html"


def shown_hints(
    hints: Iterable[Hint], texts: Texts, *, primary: str = "", confirmed: Iterable[str] = ()
) -> tuple[ShownHint, ...]:
    """Return hints as templates need them. `Refresh` hints are left out: see `pace_of`.

    Args:
        hints: The hints of a certificate or a CA profile.
        texts: Translates to the reader's language.
        primary: The name of the action whose button is emphasized.
        confirmed: The names of actions that have their own page even if the hint asks for nothing.
    """
    shown: list[ShownHint] = []
    count, with_page = 0, frozenset(confirmed)
    for hint in hints:
        match hint:
            case Notice():
                shown.append(ShownHint(kind="notice", tone=_TONES[hint.level], text=texts(hint.text)))
            case Facts():
                facts = tuple(ShownFact(label=texts(row.label), value=texts(row.value)) for row in hint.rows)
                shown.append(ShownHint(kind="facts", facts=facts))
            case DnsRecords():
                records = tuple(_record(row, texts, count + index) for index, row in enumerate(hint.rows))
                count += len(records)
                shown.append(ShownHint(kind="dns_records", records=records))
            case Steps():
                shown.append(ShownHint(kind="steps", steps=tuple(_steps(hint, texts))))
            case Form():
                facts = tuple(ShownFact(label=texts(each.label), value=anchor_of(each.name)) for each in hint.fields)
                shown.append(ShownHint(kind="form", facts=facts))
            case ActionButton():
                shown.append(
                    ShownHint(
                        kind="action",
                        name=hint.name,
                        text=texts(hint.label),
                        help="" if hint.help is None else texts(hint.help),
                        asks=bool(hint.fields) or hint.confirm is not None or hint.name in with_page,
                        is_primary=hint.name == primary,
                    )
                )
            case Link():
                shown.append(ShownHint(kind="link", text=texts(hint.label), url=hint.url))
            case Refresh():
                pass
    return tuple(shown)


def pace_of(hints: Iterable[Hint], usual: int) -> int:
    """Return the seconds until a page refreshes: the shortest of its `Refresh` hints, within 2 seconds and one hour.

    Args:
        hints: The hints of the page.
        usual: The seconds if there is no `Refresh` hint.
    """
    wishes = [hint.after for hint in hints if isinstance(hint, Refresh)]
    return round(max(_LEAST_PACE, min([*wishes, _LONGEST_PACE]))) if wishes else usual


def digest_of(hints: Sequence[Hint], *others: str) -> str:
    """Return a digest of a page's content, to see whether it has changed.

    Args:
        hints: The hints of the page.
        others: The other content of the page.
    """
    plain = json.dumps([*others, *(hint_to_json(hint) for hint in hints)], sort_keys=True, default=str)
    return hashlib.sha256(plain.encode()).hexdigest()[:20]


def _text(value: Message | str, texts: Texts) -> str:
    return texts(value) if value else ""


def _record(row: DnsRecord, texts: Texts, number: int) -> ShownRecord:
    return ShownRecord(
        id=f"record-{number}",
        name=row.name,
        type=row.type,
        value=row.value,
        tone=_RECORD_TONES[row.state],
        state=texts(label_of(row.state)),
        is_correct=row.state is RecordState.CORRECT,
        seen=_text(row.seen, texts),
        checked_at=row.checked_at,
        findings=tuple(shown_finding(finding, texts) for finding in row.findings),
    )


def shown_finding(finding: Finding, texts: Texts) -> ShownFinding:
    """Return a finding as templates need it.

    Args:
        finding: A finding about a DNS record, or of the test of a CA profile.
        texts: Translates to the reader's language.
    """
    tones = {"error": "bad", "warning": "warn", "info": "info"}
    return ShownFinding(
        tone=tones[str(finding.severity)],
        severity=texts(label_of(finding.severity)),
        cause=texts(finding.cause),
        advice=texts(finding.advice),
        server=finding.server,
        expected=_text(finding.expected, texts),
        seen=_text(finding.seen, texts),
        remedy=tuple(
            f"{texts(label_of(change.change))}: {change.name} {change.type} {change.value}".strip()
            for change in finding.remedy
        ),
        next_look=finding.next_look,
    )


def _steps(hint: Steps, texts: Texts) -> Iterable[ShownStep]:
    for row in hint.rows:
        yield ShownStep(
            title=texts(row.title),
            css_class=_STEP_CLASSES[row.state],
            state=texts(label_of(row.state)),
            is_current=row.state is StepState.CURRENT,
            detail=_text(row.detail, texts),
            at=row.at,
        )
