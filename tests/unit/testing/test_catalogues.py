"""Catalogues keep what people have translated, and say what lacks."""

import pytest

from certcore.messages import Message
from certcore.testing.catalogues import CatalogueFiles
from certcore.translations import Catalogue, translator

WAITS = 'Message("desk.waits", "It waits for {desk}.", {"desk": desk})\n'
MANY = 'Message("desk.many", "{count} wait.", {"count": n}, singular="{count} waits.")\n'


@pytest.fixture
def package(tmp_path):
    """A package with its catalogues; ``package(source)`` writes its only module anew."""
    folder = tmp_path / "certcore_desk"
    folder.mkdir()

    def with_source(source):
        (folder / "desk.py").write_text(source)
        return CatalogueFiles.of_package(folder, languages=["de", "uk"])

    return with_source


def translate(files, language, *pairs):
    """Fill in the ``msgstr`` of keys, as a person does with an editor."""
    path = files.folder / language / "LC_MESSAGES" / f"{files.domain}.po"
    text = path.read_text()
    for key, translation in pairs:
        head, found, rest = text.partition(f'msgid "{key}"\n')
        assert found, key
        text = head + found + rest.replace('msgstr ""', f'msgstr "{translation}"', 1)
    path.write_text(text)


def said(files, language, message):
    return translator(language, [Catalogue(files.folder, files.domain)])(message)


def test_new_texts_are_untranslated_in_every_language(package):
    """And a page shows them in English until they are."""
    files = package(WAITS)
    files.update()
    faults = files.faults()
    assert sorted(fault.partition(":")[0] for fault in faults) == ["de", "uk"]
    assert all("desk.waits is not translated: It waits for {desk}." in fault for fault in faults)
    assert said(files, "uk", Message("desk.waits", "It waits for {desk}.", {"desk": "A"})) == "It waits for A."


def test_a_translation_is_used_and_stays_over_updates(package):
    """What people have translated is never lost."""
    files = package(WAITS)
    files.update()
    translate(files, "uk", ("desk.waits", "Очікує на {desk}."))
    translate(files, "de", ("desk.waits", "Wartet auf {desk}."))
    assert any("not compiled" in fault for fault in files.faults())
    files.update()
    assert files.faults() == []
    package(WAITS + 'Message("desk.done", "Done.")\n').update()
    assert said(files, "uk", Message("desk.waits", "It waits for {desk}.", {"desk": "A"})) == "Очікує на A."


def test_a_changed_english_text_is_looked_at_again(package):
    """Until then the page shows the new English text, not a translation of the old one."""
    files = package(WAITS)
    files.update()
    translate(files, "uk", ("desk.waits", "Очікує на {desk}."))
    files.update()
    files = package(WAITS.replace("It waits for", "Nobody waits for"))
    assert any("does not have the texts of the code" in fault for fault in files.faults())
    files.update()
    assert any("desk.waits has another English text now" in fault for fault in files.faults())
    message = Message("desk.waits", "Nobody waits for {desk}.", {"desk": "A"})
    assert said(files, "uk", message) == "Nobody waits for A."


def test_a_text_that_is_gone_leaves_the_catalogues(package):
    """Nobody translates what is never shown."""
    files = package(WAITS + MANY)
    files.update()
    files = package(WAITS)
    files.update()
    assert not any("desk.many" in fault for fault in files.faults())


@pytest.mark.parametrize(
    ("translation", "fault"),
    [
        ("Очікує на {стіл}.", "names a parameter that is not there: стіл"),
        ("Очікує.", "leaves a parameter out: desk"),
        ("Очікує на {desk.", "has braces that are no parameters"),
    ],
)
def test_a_translation_with_other_parameters_is_told(package, translation, fault):
    """A page would show braces, or leave out what matters."""
    files = package(WAITS)
    files.update()
    translate(files, "uk", ("desk.waits", translation))
    files.update()
    assert any(fault in line for line in files.faults())


def test_a_plural_has_the_forms_of_the_language(package):
    """Ukrainian has three, German two."""
    files = package(MANY)
    files.update()
    path = files.folder / "uk" / "LC_MESSAGES" / "certcore_desk.po"
    text = path.read_text()
    for number, form in enumerate(("{count} чекає.", "{count} чекають.", "{count} чекає їх.")):
        assert f'msgstr[{number}] ""' in text
        text = text.replace(f'msgstr[{number}] ""', f'msgstr[{number}] "{form}"')
    path.write_text(text)
    files.update()
    assert [fault for fault in files.faults() if fault.startswith("uk")] == []
    assert "msgstr[2]" not in (files.folder / "de" / "LC_MESSAGES" / "certcore_desk.po").read_text()

    def many(count):
        return said(files, "uk", Message("desk.many", "{count} wait.", {"count": count}, singular="{count} waits."))

    assert [many(1), many(21), many(3), many(11)] == ["1 чекає.", "21 чекає.", "3 чекають.", "11 чекає їх."]


def test_updating_twice_changes_nothing(package):
    """No dates: a catalogue changes only when a text does."""
    files = package(WAITS + MANY)
    files.update()
    before = {path: path.read_bytes() for path in files.folder.rglob("*.*o")}
    files.update()
    assert {path: path.read_bytes() for path in files.folder.rglob("*.*o")} == before
    assert len(before) == 4
