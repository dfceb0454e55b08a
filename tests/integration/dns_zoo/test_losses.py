"""A hundred names of one certificate: at servers that lose packets, and at slow ones where every name is broken."""

import pytest

from support.dns_zoo.losses import NAMES

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("dns_zoo")]


def test_lost_packets_make_no_row_wrong(written):
    """One packet of twenty is lost each way, at the domains' servers and at the resolver: ten checks find no fault."""
    found = written("losses")
    assert len(found["lossy"]) == 10
    assert [text for check in found["lossy"] for severity, text in check if severity == "error"] == []
    assert found["questions"] > 10 * NAMES * 4  # they were asked through the relays


def test_broken_names_cost_few_questions(written):
    """Servers that answer in 50 ms: the check of all names took 4 seconds when this was written, with 10 each."""
    found = written("losses")["broken"]
    assert found["codes"] == ["cname_missing"] * NAMES
    assert found["questions"] <= 12 * NAMES
