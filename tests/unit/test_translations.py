"""Texts in other languages: what is translated is used, and nothing that a translation does takes a page away."""

import gettext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore import CertCore, hookimpl
from certcore.hints import Catalogue, Message
from certcore.translations import translator


@pytest.fixture
def catalogue(tmp_path):
    """Make a catalogue of translations: ``catalogue(uk={"key": "text"})``."""
    from babel.messages.catalog import Catalog
    from babel.messages.mofile import write_mo

    def make(domain="desk", **languages):
        for language, translations in languages.items():
            entries = Catalog(locale=language, charset="utf-8")
            for key, text in translations.items():
                entries.add((key, key) if isinstance(text, tuple) else key, text)
            path = tmp_path / language / "LC_MESSAGES" / f"{domain}.mo"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                write_mo(file, entries)
        return Catalogue(tmp_path, domain)

    return make


def test_a_message_is_translated_with_its_parameters(catalogue):
    """The order of the parameters is the translator's."""
    texts = translator("uk", [catalogue(uk={"desk.move": "До {end} від {start}"})])
    assert texts(Message("desk.move", "From {start} to {end}", {"start": "A", "end": "B"})) == "До B від A"


def test_a_message_inside_a_message_is_translated_too(catalogue):
    """An error names a field and a reason; both are texts."""
    texts = translator("uk", [catalogue(uk={"outer": "«{reason}»", "inner": "{n} разів"})])
    inner = Message("inner", "{n} times", {"n": 3})
    assert texts(Message("outer", "'{reason}'", {"reason": inner})) == "«3 разів»"
    assert texts(Message("outer", "'{reason}'", {"reason": (inner, Message("", "Again."))})) == "«3 разів Again.»"


def test_what_is_not_translated_stays_english(catalogue):
    """Whole and in its parts."""
    texts = translator("uk", [catalogue(uk={"inner": "часткове"})])
    assert texts(Message("outer", "It is {part}.", {"part": Message("inner", "partial")})) == "It is часткове."
    assert translator("xx", [])(Message("desk", "English")) == "English"
    assert translator("uk", [Catalogue(Path("/nowhere"), "desk")])("a plain text") == "a plain text"


@pytest.mark.parametrize("translation", ["{missing}", "{count.__class__}", "{", "{0}", "{count:q}", "{count[9]}"])
def test_a_broken_translation_shows_the_english_text(catalogue, translation):
    """A plugin's catalogue cannot take a page away, nor read what is not a parameter."""
    texts = translator("uk", [catalogue(uk={"desk": translation})])
    assert texts(Message("desk", "There are {count}.", {"count": 2})) == "There are 2."


def test_a_damaged_catalogue_counts_as_none(tmp_path):
    """A file that is no catalogue is left out."""
    folder = tmp_path / "uk" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "desk.mo").write_bytes(b"\xde\x12\x04\x95" + b"\xff" * 40)
    assert translator("uk", [Catalogue(tmp_path, "desk")])(Message("a", "English")) == "English"


def test_a_territory_falls_back_to_its_language(catalogue):
    """However the browser spells it."""
    catalogues = [catalogue(de={"desk": "Tisch", "chair": "Stuhl"}, de_AT={"chair": "Sessel"})]
    for spelled in ("de-AT", "de_at", "DE-at"):
        texts = translator(spelled, catalogues)
        assert (texts.language, texts(Message("desk", "desk")), texts(Message("chair", "chair"))) == (
            "de_AT",
            "Tisch",
            "Sessel",
        )


@given(st.text())
def test_any_language_can_be_asked_for(language):
    """It comes from a browser: it never names a file outside of the folder, and never raises."""
    texts = translator(language, [Catalogue(Path(__file__).parent, "desk")])
    assert texts(Message("a", "English")) == "English"
    assert set(texts.language) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def test_a_document_is_translated_wherever_it_has_messages(catalogue):
    """What a REST interface sends, made from the same keys; numbers are texts there."""
    plural = ("{count} стіл", "{count} столи", "{count} столів")
    texts = translator("uk", [catalogue(uk={"desks": plural, "error": "Помилка: {reason}"})])
    desks = Message("desks", "{count} desks", {"count": 2}, singular="{count} desk")
    document = {"rows": [{"title": Message("error", "Error: {reason}", {"reason": desks}).to_json(), "n": 1}]}
    translated = texts.document(document)
    assert translated["rows"][0]["title"]["text"] == "Помилка: 2 столи"
    assert translated["rows"][0]["title"]["params"]["reason"]["text"] == "2 столи"
    assert document["rows"][0]["title"]["text"] == "Error: 2 desks"
    assert texts.document({"key": "k", "text": "t {x}", "params": {}}) == {"key": "k", "text": "t {x}", "params": {}}


def test_a_plugin_brings_its_catalogue_and_the_panel_its_own(catalogue, tmp_path):
    """The panel's words count before those of certcore, and those before a plugin's."""

    class Plugin:
        name = "desk"

        @hookimpl
        def certcore_catalogues(self):
            return [catalogue(uk={"desk": "стіл", "kind.certificate": "чуже слово"})]

    with CertCore.in_memory(plugins=[Plugin()]) as core:
        assert core.plugin_failures == ()
        assert core.translator("uk")(Message("desk", "desk")) == "стіл"
        own = catalogue("panel", uk={"desk": "бюро"})
        assert core.translator("uk", catalogues=[own])(Message("desk", "desk")) == "бюро"


@pytest.mark.parametrize("offered", ["desk.mo", None, Catalogue(Path("/nowhere"), "desk")])
def test_a_catalogue_that_cannot_be_used_is_told(offered):
    """A panel that shows English only is told why."""

    class Plugin:
        name = "desk"

        @hookimpl
        def certcore_catalogues(self):
            return [offered]

    with CertCore.in_memory(plugins=[Plugin()]) as core:
        (failure,) = core.plugin_failures
        assert failure.plugin == "desk"
        assert "catalogue" in failure.reason


def test_the_file_is_an_ordinary_gettext_catalogue(catalogue):
    """Other tools read it as well."""
    made = catalogue(uk={"desk": "стіл"})
    assert gettext.translation("desk", str(made.folder), ["uk"]).gettext("desk") == "стіл"
