"""The conformance suite of zone writers as pytest tests, one for each rule.

::

    class TestMyWriter(ZoneWriterContract):
        @pytest.fixture
        def written(self):
            with start_my_server("acme.panel.test") as server:
                yield WrittenZone(
                    writer=MyWriter(server.address),
                    zone="acme.panel.test",
                    values=server.txt_values,
                    has=server.has,
                )

All tests may share the server, because each test uses other names. A rule that does not apply to the writer, or that
needs something that the `WrittenZone` lacks, is skipped with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from certcore.testing.conformance.values import (
    ConformanceCheck,
    MissingSetupError,
    NotApplicableError,
    RuleBrokenError,
)
from certcore.testing.conformance.zone_writers.evidence import WriterEvidence
from certcore.testing.conformance.zone_writers.setup import WrittenZone
from certcore.testing.conformance.zone_writers.suite import CNAME_CHECKS, TXT_CHECKS

__all__ = ["CnameWriterContract", "WrittenZone", "ZoneWriterContract"]


class _WriterContract:
    @pytest.fixture
    def writer_evidence(self, written: WrittenZone) -> Iterator[WriterEvidence]:
        """The zone, with every call recorded."""
        with WriterEvidence(written) as evidence:
            yield evidence


class ZoneWriterContract(_WriterContract):
    """The rules of TXT values. Inherit this class and define a fixture ``written``, a `WrittenZone`."""

    @pytest.mark.parametrize("check", TXT_CHECKS, ids=str)
    def test_rule(self, check: ConformanceCheck, writer_evidence: WriterEvidence) -> None:
        """The writer keeps the rule of this name: see docs/reference/conformance.md."""
        _judge(check, writer_evidence)


class CnameWriterContract(_WriterContract):
    """The rules of CNAMEs, for writers that set them. Define the same fixture ``written``, with ``cname``."""

    @pytest.mark.parametrize("check", CNAME_CHECKS, ids=str)
    def test_cname_rule(self, check: ConformanceCheck, writer_evidence: WriterEvidence) -> None:
        """The writer keeps the rule of this name: see docs/reference/conformance.md."""
        _judge(check, writer_evidence)


def _judge(check: ConformanceCheck, evidence: WriterEvidence) -> None:
    try:
        check.test(evidence)
    except (NotApplicableError, MissingSetupError) as reason:
        pytest.skip(str(reason))
    except RuleBrokenError as fault:
        text = f"{fault}\nRule: {check.rule}\nWhy: {check.why}\nSee: {check.link}"
        pytest.fail(text, pytrace=False)
