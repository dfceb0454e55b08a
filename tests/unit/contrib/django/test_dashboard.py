"""The dashboard: numbers, the chart, what fails first, and who is waited for."""

import html
import re
import xml.etree.ElementTree as ET

import pytest

from certcore.testing import Act


@pytest.fixture
def browser(panel):
    """An operator, signed in."""
    return panel.browser(panel.user("otto", "SSL operators"))


def shown(answer):
    """The texts of a page, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", answer.content.decode())).split())


def test_the_numbers_are_those_of_the_store(panel, browser):
    """Active, failed, owner's turn: each tile has its number."""
    panel.active("a.example")
    panel.certificate("b.example", Act.WAIT_OWNER)
    panel.certificate("c.example", Act.FAIL_NEVER)
    text = shown(browser.get("/ssl/"))
    for tile in ("Owner's turn 1", "Failed 1", "Active 1 of 3", "Expired 0"):
        assert tile in text, tile


def test_the_chart_has_a_table_for_those_who_cannot_see_it(panel, browser):
    """Thirteen weeks as bars, the same numbers as a table, and no style in the markup."""
    panel.active("a.example")
    panel.advance(days=1)
    page = browser.get("/ssl/").content.decode()
    chart = ET.fromstring(re.search(r"<svg.*?</svg>", page, re.DOTALL)[0])
    bars = chart.findall("rect")
    assert [int(bar.get("height")) > 0 for bar in bars] == [False] * 12 + [True]
    table = re.search(r'<table id="chart-table">.*?</table>', page, re.DOTALL)[0]
    assert re.findall(r"<td>(\d+)</td>", table) == ["0"] * 12 + ["1"]
    assert "style=" not in page


def test_what_fails_comes_first(panel, browser):
    """A renewal in danger and a failed issuance are named, with the reason."""
    panel.active("danger.example")
    panel.certificate("failed.example", Act.FAIL_NEVER)
    panel.advance(days=85)
    page = shown(browser.get("/ssl/"))
    failing = page[page.index("Failing first") : page.index("Waiting for")]
    assert "danger.example" in failing
    assert "failed.example" in failing


def test_who_is_waited_for_is_named(panel, browser):
    """Owners of domains and administrators, each with the certificates that wait for them."""
    panel.certificate("owner.example", Act.WAIT_OWNER)
    panel.certificate("desk.example", Act.WAIT_ADMINISTRATOR)
    page = shown(browser.get("/ssl/"))
    waiting = page[page.index("Waiting for") :]
    assert waiting.index("owner.example") < waiting.index("Administrators") < waiting.index("desk.example")


def test_a_tenant_sees_numbers_of_its_own(panel):
    """The counts of a tenant are of its certificates alone."""
    carla = panel.user("carla")
    panel.active("carla.example", owner=str(carla.pk))
    panel.active("other.example", owner="another")
    text = shown(panel.browser(carla).get("/ssl/"))
    assert "Active 1 of 1" in text


def test_the_live_part_is_silent_while_nothing_changes(panel, browser):
    """An open dashboard asks for its numbers again, and gets nothing while they are the same."""
    first = browser.get("/ssl/numbers/")
    answer = browser.get("/ssl/numbers/", headers={"X-Certcore-Seen": first["X-Certcore-Digest"]})
    assert answer.status_code == 204
