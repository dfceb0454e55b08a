"""The dashboard: numbers, the chart, what fails first, and who is waited for."""

import re
import xml.etree.ElementTree as ET

from certcore.testing import Act
from support.django_pages import shown


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


def test_the_page_says_how_old_its_numbers_are_and_its_lists_are_of_now(panel, browser):
    """The numbers are counted once a minute; a certificate that fails meanwhile is in the list at once."""
    panel.active("a.example")
    first = shown(browser.get("/ssl/"))
    assert "Failed 0" in first
    counted = re.search(r"The numbers are as of (\d\d:\d\d:\d\d \w+) ?, the lists as of now\.", first)[1]
    panel.advance(seconds=30)
    panel.certificate("failed.example", Act.FAIL_NEVER)
    second = shown(browser.get("/ssl/"))
    assert "Failed 0" in second
    assert f"as of {counted}" in second
    assert "failed.example" in second[second.index("Failing first") : second.index("Waiting for")]
    panel.advance(seconds=31)
    third = shown(browser.get("/ssl/"))
    assert "Failed 1" in third
    assert f"as of {counted}" not in third


def test_a_new_count_of_the_same_numbers_is_no_news(panel, browser):
    """The time of the page is renewed; the half of the digest by which news are announced stays."""
    panel.active("a.example")
    panel.advance(days=2)  # the leaf ends within the 90 days of the chart
    first = browser.get("/ssl/numbers/")["X-Certcore-Digest"]
    panel.advance(seconds=61)
    answer = browser.get("/ssl/numbers/", headers={"X-Certcore-Seen": first})
    assert answer.status_code == 200
    second = answer["X-Certcore-Digest"]
    assert second != first
    assert second.split(".")[0] == first.split(".")[0]
    panel.certificate("failed.example", Act.FAIL_NEVER)
    third = browser.get("/ssl/numbers/", headers={"X-Certcore-Seen": second})["X-Certcore-Digest"]
    assert third.split(".")[0] != first.split(".")[0]


def test_a_panel_without_certificates_says_how_to_get_one(panel, browser):
    """Links to create and import for those who may; the first certificate is counted at once."""
    for address in ("/ssl/", "/ssl/certificates/"):
        empty = browser.get(address).content.decode()
        assert "There are no certificates yet." in empty
        assert 'href="/ssl/certificates/new/">Create a certificate' in empty
        viewer = panel.browser(panel.user(f"vera{len(address)}", "SSL viewers")).get(address).content.decode()
        assert "There are no certificates yet." in viewer
        assert "Create a certificate" not in viewer
    panel.certificate("shop.example")
    text = shown(browser.get("/ssl/"))
    assert "There are no certificates yet." not in text
    assert "Draft 1" in text
