"""The translations of the pages: complete, up to date, compiled, and with the parameters of the English texts."""

import runpy
from pathlib import Path

import pytest
from django.utils import translation

from support.django_panel import configure

configure()

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def tool():
    """The script that keeps the catalogues."""
    return runpy.run_path(str(ROOT / "scripts" / "page_texts.py"))


def test_every_text_of_the_pages_is_translated(tool):
    """Into German, French, Polish and Ukrainian, and what is shipped is compiled from what is translated."""
    assert list(tool["faults"](tool["folder_of"](ROOT))) == []


def test_what_is_missing_or_wrong_is_found(tool, tmp_path):
    """A text without a translation, another parameter, and a file that is out of date are faults."""
    (tmp_path / "page.html").write_text(
        "{% load i18n %}{% translate 'Good morning' %}{% blocktranslate %}{{ n }} h{% endblocktranslate %}"
    )
    faults = list(tool["faults"](tmp_path))
    assert len(faults) == len(tool["LANGUAGES"])
    tool["update"](tmp_path)
    assert "de: 'Good morning' is not translated" in list(tool["faults"](tmp_path))
    path = tmp_path / "locale" / "de" / "LC_MESSAGES" / "django.po"
    german = path.read_text().replace('msgid "Good morning"\nmsgstr ""', 'msgid "Good morning"\nmsgstr "Guten Morgen"')
    path.write_text(german.replace('msgid "%(n)s h"\nmsgstr ""', 'msgid "%(n)s h"\nmsgstr "%(m)s Uhr"'))
    of_german = [fault for fault in tool["faults"](tmp_path) if fault.startswith("de")]
    assert any("other parameters" in fault for fault in of_german)
    assert any("compiled catalogue is out of date" in fault for fault in of_german)
    (tmp_path / "page.html").write_text("{% load i18n %}{% translate 'Good evening' %}")
    assert any("the catalogue is out of date" in fault for fault in tool["faults"](tmp_path))


def test_django_finds_them():
    """A page in each language has its words."""
    words = {"de": "Speichern", "fr": "Enregistrer", "pl": "Zapisz", "uk": "Зберегти"}
    for language, word in words.items():
        with translation.override(language):
            assert translation.gettext("Save") == word
