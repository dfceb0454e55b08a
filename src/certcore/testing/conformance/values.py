"""A check of a conformance suite, its result, and the report of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final

from attrs import field, frozen

__all__ = [
    "CheckOutcome",
    "ConformanceCheck",
    "ConformanceReport",
    "ConformanceResult",
    "MissingSetupError",
    "NotApplicableError",
    "RuleBrokenError",
    "Suite",
    "check_of",
    "require",
]

#: The page of the documentation that describes every check.
PAGE: Final = "docs/reference/conformance.md"


class RuleBrokenError(AssertionError):
    """A plugin breaks the rule of a check. The text says what the plugin did."""


class NotApplicableError(Exception):
    """A check does not apply to this plugin. The text says why."""


class MissingSetupError(Exception):
    """A check applies to this plugin, but needs something that the setup lacks. The text says what."""


class Suite(StrEnum):
    """The subject of a suite."""

    CA_MODULE = "ca_module"
    EXPORT_FORMAT = "export_format"
    KEYRING = "keyring"
    OBSERVER = "observer"
    POLICY = "policy"
    STORE = "store"
    ZONE_WRITER = "zone_writer"


class CheckOutcome(StrEnum):
    """The outcome of a check."""

    PASSED = "passed"
    FAILED = "failed"
    #: Not run, because a check that it needs has failed.
    SKIPPED = "skipped"
    #: The check does not apply to this plugin.
    NOT_APPLICABLE = "not_applicable"
    #: The check applies to this plugin, but needs something that the setup lacks; the detail says what.
    NOT_JUDGED = "not_judged"


@frozen(kw_only=True)
class ConformanceCheck:
    """A rule for plugins of one kind, and its test."""

    #: The suite of the check.
    subject: Suite
    #: The stable name: lower-case words with hyphens.
    name: str
    #: The rule, in one sentence.
    rule: str
    #: What fails in operation if the rule is broken, in one sentence.
    why: str
    #: The names of checks in the same suite that must pass before this check makes sense.
    needs: tuple[str, ...] = ()
    #: Tests the evidence of the suite. Raises a `RuleBrokenError`, `NotApplicableError` or `MissingSetupError`.
    test: Callable[[Any], None] = field(repr=False)

    @property
    def link(self) -> str:
        """The page of the documentation that describes the check, with an anchor."""
        return f"{PAGE}#{self.subject.replace('_', '-')}-{self.name}"

    def __str__(self) -> str:
        return self.name


@frozen(kw_only=True)
class ConformanceResult:
    """The result of one check."""

    check: ConformanceCheck
    outcome: CheckOutcome
    #: What the plugin did, or why the check was not run; empty when it passed.
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON."""
        return {
            "subject": str(self.check.subject),
            "check": self.check.name,
            "outcome": str(self.outcome),
            "detail": self.detail,
            "rule": self.check.rule,
            "why": self.check.why,
            "link": self.check.link,
        }


@frozen(kw_only=True)
class ConformanceReport:
    """The report of a run of one or more suites."""

    #: The name of the checked plugin or CA module.
    name: str
    results: tuple[ConformanceResult, ...]

    @property
    def ok(self) -> bool:
        """Whether no check has failed."""
        return not self.failed

    @property
    def failed(self) -> Sequence[ConformanceResult]:
        """The results of the checks that failed."""
        return self.of(CheckOutcome.FAILED)

    def of(self, outcome: CheckOutcome) -> Sequence[ConformanceResult]:
        """The results with this outcome."""
        return tuple(result for result in self.results if result.outcome is outcome)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON."""
        return {"name": self.name, "ok": self.ok, "results": [result.to_json() for result in self.results]}

    def text(self) -> str:
        """The report as text: the failed checks with rule, reason and link, the checks not judged, and the counts."""
        lines = []
        for result in self.failed:
            lines += [
                f"FAILED {result.check.name}: {result.detail}",
                f"    rule: {result.check.rule}",
                f"    why: {result.check.why}",
                f"    see: {result.check.link}",
            ]
        skipped = ", ".join(result.check.name for result in self.of(CheckOutcome.SKIPPED))
        if skipped:
            lines.append(f"Not run, because of that: {skipped}.")
        missing: dict[str, list[str]] = {}
        for result in self.of(CheckOutcome.NOT_JUDGED):
            missing.setdefault(result.detail, []).append(result.check.name)
        lines += [f"Not judged: {', '.join(names)}. {detail}" for detail, names in missing.items()]
        counts = {outcome: len(self.of(outcome)) for outcome in CheckOutcome}
        lines.append(
            f"{self.name}: {counts[CheckOutcome.PASSED]} passed, {counts[CheckOutcome.FAILED]} failed, "
            f"{counts[CheckOutcome.SKIPPED]} not run, {counts[CheckOutcome.NOT_APPLICABLE]} not applicable, "
            f"{counts[CheckOutcome.NOT_JUDGED]} not judged"
        )
        return "\n".join(lines)


def require(condition: object, text: str) -> None:
    """Raise an error unless a condition holds.

    Raises:
        RuleBrokenError: The condition does not hold.
    """
    if not condition:
        raise RuleBrokenError(text)


def check_of(
    suite: Suite, *, needs: tuple[str, ...] = (), always: tuple[str, ...] = ()
) -> Callable[..., ConformanceCheck]:
    """Make a short function for writing the checks of a suite.

    Args:
        suite: The suite of the checks.
        needs: The default needs of a check.
        always: Additional needs of every check.
    """
    usual = needs

    def check(
        name: str, rule: str, why: str, test: Callable[[Any], None], *, needs: tuple[str, ...] = usual
    ) -> ConformanceCheck:
        return ConformanceCheck(subject=suite, name=name, rule=rule, why=why, needs=(*always, *needs), test=test)

    return check
