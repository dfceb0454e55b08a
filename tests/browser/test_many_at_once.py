"""Many certificates at once: chosen with the keyboard or in ranges, and exported; and a test that is seen to run."""

import io
import shutil
import zipfile

import pytest

pytestmark = [
    pytest.mark.pebble,
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed"),
]


def _reach(page, locator):
    """Press Tab until something has the focus, as somebody without a mouse does."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if locator.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"the keyboard does not reach {locator}")


def test_chosen_certificates_are_exported_with_the_keyboard(person, site):
    """Space chooses rows, the page counts them, Enter asks; a missing reason is told, and then the archive comes."""
    for domain in ("one.test", "two.test"):
        site.issued(domain, "anna")
    site.draft("three.test", "anna")
    anna = person("anna")
    anna.expected |= {422}
    page = anna.page
    anna.visit("/ssl/certificates/")
    anna.look("list")
    for domain in ("one.test", "three.test", "two.test"):
        _reach(page, page.get_by_label(domain, exact=True))
        page.keyboard.press("Space")
    assert page.locator("[data-chosen]").inner_text().strip() == "(3)"
    _reach(page, page.get_by_role("button", name="Export"))
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Export 2 certificates?").wait_for()
    assert "three.test" in page.get_by_text("Left out").inner_text()
    anna.look("asked")
    page.get_by_role("button", name="Download").click()
    page.locator("#field-reason-errors p").wait_for()
    anna.look("reason-missing")
    page.get_by_label("Reason").fill("move to another server")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"one.test", "two.test"}
    page.get_by_role("link", name="Back").click()
    page.get_by_text("Export: 2 of 2 done.").wait_for()


def test_rows_are_chosen_in_ranges(person, site):
    """With the shift key all rows between two; the box in the head chooses all, and none."""
    for number in range(4):
        site.draft(f"range{number}.test", "bert")
    bert = person("bert")
    page = bert.page
    bert.visit("/ssl/certificates/")
    boxes = page.locator("input[name=ids]")
    boxes.nth(0).click()
    boxes.nth(2).click(modifiers=["Shift"])
    assert [box.is_checked() for box in boxes.all()] == [True, True, True, False]
    page.get_by_label("Choose all").check()
    assert all(box.is_checked() for box in boxes.all())
    assert page.locator("[data-chosen]").inner_text().strip() == "(4)"
    page.get_by_label("Choose all").uncheck()
    assert page.locator("[data-chosen]").is_hidden()


def test_save_and_test_shows_the_checks_while_they_come(person, site):
    """The list of checks grows on the page, which is not loaded again, and ends with all of them passed."""
    root = person("root")
    page = root.page
    root.visit(f"/ssl/authorities/{site.authority.id}/")
    page.evaluate("""() => {
        window.states = [];
        new MutationObserver(() => {
            window.states.push(document.querySelectorAll("#check-report li:not(.now)").length);
        }).observe(document.querySelector("#check-report"), {childList: true});
    }""")
    page.get_by_role("button", name="Test now").click()
    page.locator("#check-report .note").filter(has_not_text="can take a minute").wait_for()
    root.look("tested")
    counts = page.evaluate("window.states")
    assert counts == sorted(counts)
    assert len(set(counts)) > 2
    assert "Running" not in page.locator("#check-report").inner_text()
