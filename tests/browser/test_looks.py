"""What the pages look like where they are tight: long names, long words of other languages, a narrow window."""

import shutil

import pytest

pytestmark = [
    pytest.mark.pebble,
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed"),
]

LONG = "a-very-long-label-that-somebody-has-chosen-for-a-host.another-quite-long-label-of-the-department.customers.test"
#: Whether something to scroll is wider than its frame.
_SCROLLS = "Array.from(document.querySelectorAll('.scroll')).some(each => each.scrollWidth > each.clientWidth)"


@pytest.fixture
def long_named(site):
    """A certificate with long names that waits for its owner, and one in danger."""
    certificate_id = site.pending(LONG, "anna", aliases=[f"www{number}.{LONG}" for number in range(6)])
    site.in_danger("danger.test", "anna")
    site.until(lambda: site.core.certificates.rows(condition="RenewalInDanger").items)
    yield certificate_id
    for certificate in site.core.certificates.list().items:
        site.core.certificates.delete(certificate.id)


def test_the_list_needs_no_scrolling_in_any_language(person, site, long_named):
    """Every column is in the window of a small laptop, and the filters are in one line."""
    for locale in ("en-GB", "de-DE", "fr-FR", "pl-PL", "uk-UA"):
        root = person("root", locale=locale)
        root.visit("/ssl/certificates/")
        root.look(locale)
        assert not root.page.evaluate(_SCROLLS), locale
        filters = root.page.locator(".filters").bounding_box()
        assert filters["height"] < 80, locale


def test_tables_are_read_from_top_to_bottom_on_a_phone(person, site, long_named):
    """No table scrolls sideways, and what a cell says is not broken into single letters."""
    root = person("root", viewport={"width": 360, "height": 740})
    for title, path in {
        "list": "/ssl/certificates/",
        "record": "/ssl/audit/",
        "plugins": "/ssl/plugins/",
        "profiles": "/ssl/authorities/",
        "timeline": f"/ssl/certificates/{long_named}/timeline/",
    }.items():
        root.visit(path)
        root.look(title)
        assert not root.page.evaluate(_SCROLLS), title
        assert not root.is_wider_than_the_window(), title
        for cell in root.page.locator("tbody td:visible").all()[:20]:
            assert cell.bounding_box()["width"] > 60 or not cell.inner_text().strip(), title
