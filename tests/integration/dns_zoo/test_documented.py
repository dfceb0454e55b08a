"""The how-to pages about BIND, Knot and PowerDNS as the tech zone, followed step by step on the real servers."""

import pytest

from support.dns_zoo.documented import PAGES

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("dns_zoo"), pytest.mark.parametrize("page", PAGES)]


def test_the_page_leads_to_a_tech_zone_that_passes_its_test(written, page):
    """Primary, secondary, delegation and profile as the page has them: the test prints what the page shows."""
    found = written("documented")[page]
    assert len(found["expected"]) == 5
    printed = [line for line in found["printed"] if line in found["expected"] or not line.startswith("✓")]
    assert [line for line in found["printed"] if line in found["expected"]] == found["expected"], printed
    assert not [line for line in found["printed"] if line.startswith("✗")]


def test_a_certificate_is_issued_through_it(written, page):
    """Through the primary that is written to and the secondary that copies it, and nothing is left in the zone."""
    found = written("documented")[page]
    assert found["active"], found["problem"]
    assert found["left"] == []


def test_failures_are_in_the_words_of_the_page(written, page):
    """A zone that the server does not have, a secondary that is down, a secret that is wrong."""
    found = written("documented")[page]
    assert set(found["failures"]) == {"another zone", "secondary down", "wrong secret"}
    for failure, said in found["failures"].items():
        assert any(word in said for word in found["words"]), (failure, said, found["words"])
