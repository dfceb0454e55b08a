"""An open list of certificates: it shows news by itself, and leaves alone whoever works in it."""

import shutil

import pytest

pytestmark = [
    pytest.mark.pebble,
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed"),
]

ROWS = "/ssl/certificates/rows/"


def test_an_open_list_shows_news_and_disturbs_nobody(person, site):
    """A new certificate appears and is announced; while a box is checked, nothing is asked for; unchanged is 204."""
    site.draft("first.test", "lena")
    lena = person("lena")
    lena.visit("/ssl/certificates/")
    page = lena.page
    page.get_by_role("link", name="first.test", exact=True).wait_for()
    with page.expect_response(lambda answer: ROWS in answer.url and answer.status == 204):
        pass  # the second look: nothing has changed
    site.draft("second.test", "lena")
    page.get_by_role("link", name="second.test", exact=True).wait_for()
    page.locator("#announcement", has_text="The list has changed.").wait_for()

    asked = []
    page.get_by_label("second.test", exact=True).check()
    page.on("request", lambda request: asked.append(request.url) if ROWS in request.url else None)
    page.wait_for_timeout(5_000)  # the page waits two seconds between two looks
    assert asked == []
    page.get_by_label("second.test", exact=True).uncheck()
    page.evaluate("document.activeElement.blur()")
    with page.expect_response(lambda answer: ROWS in answer.url):
        pass
