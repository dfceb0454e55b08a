"""The helpers of this folder notice what no page may do."""

import pytest

from support.browser import Person

pytestmark = [pytest.mark.integration]

_BAD = """<html><body><img src="http://elsewhere.test/x.png"><input><script>alert(1)</script></body></html>"""


def test_bad_pages_are_complained_of(browser, tmp_path):
    """An inline script against the CSP, a request to another host, a status and grave faults of access are all told."""
    person = Person.arrive(browser, "http://127.0.0.1:9", tmp_path, "bad")
    headers = {"content-type": "text/html", "content-security-policy": "script-src 'self'"}
    person.page.route("http://127.0.0.1:9/", lambda route: route.fulfill(status=500, headers=headers, body=_BAD))
    person.visit("/")
    person.look("bad")
    with pytest.raises(AssertionError) as failed:
        person.leave()
    told = str(failed.value)
    for expected in ("Content Security Policy", "another place: http://elsewhere.test", "500 of GET", "(critical)"):
        assert expected in told
    assert (tmp_path / "bad-01-bad.png").stat().st_size > 1000
