"""A panel's own frame and templates around the pages of the section."""

import pytest
from django.test import override_settings

FRAME = """<!doctype html><html lang="en"><head><title>{% block title %}{% endblock %}</title>
{% include "certcore/_head.html" %}{% block head %}{% endblock %}</head>
<body><h2>The panel's own frame</h2>{% include "certcore/_navigation.html" %}
{% block content %}{% endblock %}</body></html>
"""


@pytest.fixture
def templates_of(tmp_path):
    """A project with a folder of templates of its own, before those of the apps."""

    def use(**files):
        (tmp_path / "certcore").mkdir()
        for name, text in files.items():
            (tmp_path / "certcore" / f"{name}.html").write_text(text)
        backend = "django.template.backends.django.DjangoTemplates"
        return override_settings(TEMPLATES=[{"BACKEND": backend, "APP_DIRS": True, "DIRS": [tmp_path]}])

    return use


def test_a_panel_puts_the_section_into_its_frame(panel, templates_of):
    """A `certcore/base.html` of the project is the frame of every page, and the list works in it."""
    panel.certificate("shop.example")
    browser = panel.browser(panel.user("otto", "SSL operators"))
    with templates_of(base=FRAME):
        pages = [browser.get(address).content.decode() for address in ("/ssl/", "/ssl/certificates/")]
    assert all("The panel's own frame" in page for page in pages)
    assert "shop.example" in pages[1]
    assert "certcore/htmx.min.js" in pages[1]


def test_a_single_part_can_be_replaced(panel, templates_of):
    """A badge of the project's own appears in the list."""
    panel.certificate("shop.example")
    browser = panel.browser(panel.user("otto", "SSL operators"))
    with templates_of(_badge="<mark>{{ label }}</mark>"):
        page = browser.get("/ssl/certificates/").content.decode()
    assert "<mark>Draft</mark>" in page
