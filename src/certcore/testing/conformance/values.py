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

#: Where every check is described, in the documentation.
PAGE: Final = "docs/reference/conformance.md"


class RuleBrokenError(AssertionError):
    """A plugin does not keep the rule of a check; the text says what it did."""


class NotApplicableError(Exception):
    """A check does not concern this plugin; the text says why."""


class MissingSetupError(Exception):
    """A check concerns this plugin, but cannot see what it has to judge; the text says what the setup has to give."""


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
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    #: It was not run, because a check that it needs has failed.
    SKIPPED = "skipped"
    #: It does not concern this plugin.
    NOT_APPLICABLE = "not_applicable"
    #: It concerns this plugin, but the setup does not give what it needs; the detail says what.
    NOT_JUDGED = "not_judged"


@frozen(kw_only=True)
class ConformanceCheck:
    """One rule that plugins of a kind have to keep, and how it is checked."""

    subject: Suite
    #: Stable: lower-case words with hyphens.
    name: str
    #: What the plugin has to do, in a sentence.
    rule: str
    #: What goes wrong in operation when it does not, in a sentence.
    why: str
    #: The names of the checks of the same suite without which this one cannot be judged.
    needs: tuple[str, ...] = ()
    #: Runs the check on the evidence of its suite; it raises `RuleBrokenError` or `NotApplicableError`.
    test: Callable[[Any], None] = field(repr=False)

    @property
    def link(self) -> str:
        """Where the check is described: a page of the documentation with an anchor."""
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

    #: What was checked: the name of a plugin or of a CA module.
    name: str
    results: tuple[ConformanceResult, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
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
        """The report for a terminal: what failed, with rule, reason and link; what could not be judged; the counts."""
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
    """Say that a rule is broken unless a condition holds.

    Raises:
        RuleBrokenError: It does not hold.
    """
    if not condition:
        raise RuleBrokenError(text)


def check_of(
    suite: Suite, *, needs: tuple[str, ...] = (), always: tuple[str, ...] = ()
) -> Callable[..., ConformanceCheck]:
    """A short form to write the checks of a suite.

    Args:
        suite: What the checks belong to.
        needs: The usual needs of a check.
        always: Needs of every check, besides its own or the usual ones.
    """
    usual = needs

    def check(
        name: str, rule: str, why: str, test: Callable[[Any], None], *, needs: tuple[str, ...] = usual
    ) -> ConformanceCheck:
        return ConformanceCheck(subject=suite, name=name, rule=rule, why=why, needs=(*always, *needs), test=test)

    return check
