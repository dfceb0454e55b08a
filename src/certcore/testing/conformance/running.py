"""Run the checks of a suite in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from certcore.errors import CertCoreError
from certcore.model.plugin_calls import frames_of, is_interrupt, kind_of
from certcore.testing.conformance.values import (
    CheckOutcome,
    ConformanceCheck,
    ConformanceResult,
    MissingSetupError,
    NotApplicableError,
    RuleBrokenError,
)

__all__ = ["run_checks"]


def run_checks(checks: Iterable[ConformanceCheck], evidence: Any) -> tuple[ConformanceResult, ...]:
    """Run checks one after the other. A check is skipped if a check that it needs has failed or was not run.

    Args:
        checks: The checks, each after the checks that it needs.
        evidence: The argument of their tests.
    """
    results: dict[str, ConformanceResult] = {}
    for check in checks:
        results[check.name] = _skipped(check, list(results.values())) or _result(check, evidence)
    return tuple(results.values())


def _skipped(check: ConformanceCheck, before: Sequence[ConformanceResult]) -> ConformanceResult | None:
    bad = (CheckOutcome.FAILED, CheckOutcome.SKIPPED)
    missing = [result.check.name for result in before if result.check.name in check.needs and result.outcome in bad]
    if not missing:
        return None
    return ConformanceResult(check=check, outcome=CheckOutcome.SKIPPED, detail=f"It needs: {', '.join(missing)}.")


def _result(check: ConformanceCheck, evidence: Any) -> ConformanceResult:
    try:
        check.test(evidence)
    except NotApplicableError as reason:
        return ConformanceResult(check=check, outcome=CheckOutcome.NOT_APPLICABLE, detail=str(reason))
    except MissingSetupError as reason:
        return ConformanceResult(check=check, outcome=CheckOutcome.NOT_JUDGED, detail=str(reason))
    except RuleBrokenError as fault:
        return ConformanceResult(check=check, outcome=CheckOutcome.FAILED, detail=str(fault))
    except BaseException as error:  # isolation: the plugin's own error, in a check that did not expect it
        if is_interrupt(error):
            raise
        text = f"{kind_of(error)}: {error.message}" if isinstance(error, CertCoreError) else kind_of(error)
        detail = f"It raised {text}\n{frames_of(error)}"
        return ConformanceResult(check=check, outcome=CheckOutcome.FAILED, detail=detail)
    return ConformanceResult(check=check, outcome=CheckOutcome.PASSED)
