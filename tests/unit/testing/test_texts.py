"""Texts are read from the code as translators need them."""

import pytest
from attrs import frozen

from certcore.messages import parameters
from certcore.plugin import form
from certcore.testing.texts import conflicts, sentences_without_key, texts_of, texts_of_form


@pytest.fixture
def package(tmp_path):
    """Write the files of a package."""

    def write(**files):
        for name, source in files.items():
            (tmp_path / f"{name}.py").write_text(source)
        return tmp_path

    return write


def read(package):
    texts, unreadable = texts_of(package)
    return {text.key: text.english for text in texts}, [str(fault) for fault in unreadable]


@pytest.mark.parametrize(
    "source",
    [
        'Message("desk.waits", "It waits.")',
        'Message("desk.waits", "It " "waits.")',
        'Message("desk.waits", ("It " + "waits."))',
        'TEXT = "It waits."\ndef f():\n    return Message("desk.waits", TEXT)',
        'def f():\n    text = "Something else."\n    text = "It waits."\n    return Message("desk.waits", text)',
        'def f():\n    return Message("desk.waits", TEXT)\nTEXT: Final = "It waits."',
        'def say(key, text):\n    return Message(f"desk.{key}", text)\nsay("waits", "It waits.")',
        'def say(text, key):\n    return Message(f"desk.{key}", text)\nrows = [f(say("It waits.", "waits"))]',
        'rows = [lambda: Message("desk.waits", "It waits.")]',
        'def f():\n    for each in []:\n        if each:\n            yield Message("desk.waits", "It waits.")',
    ],
)
def test_a_literal_text_is_read(package, source):
    """However it is written down: at once, in a variable, or through a function with a prefix."""
    assert read(package(desk=source)) == ({"desk.waits": "It waits."}, [])


@pytest.mark.parametrize(
    "source",
    [
        'Message(f"desk.{kind}", "It waits.")',
        'Message("desk.waits", f"It waits for {desk}.")',
        'Message("desk.waits", text)',
        'def f(text):\n    return Message("desk.waits", text)',
        'Message("desk.waits", "It waits." if late else "It is done.")',
        'Message("desk.waits")',
        'def f():\n    text = "It waits."\ndef g():\n    return Message("desk.waits", text)',
    ],
)
def test_what_is_not_literal_is_told_with_its_line(package, source):
    """A text that nobody can read from the code would never be translated."""
    texts, faults = read(package(desk=source))
    assert texts == {}
    assert len(faults) == 1
    assert "/desk.py:" in faults[0]


def test_a_line_that_says_where_its_text_is_from_is_left_out(package):
    """For tables, whose texts are read from the table."""
    assert read(package(desk="Message(row.key, row.text)  # text: the table of desks")) == ({}, [])


def test_a_text_has_an_english_singular(package):
    """A translator sees both numbers."""
    source = 'Message("desk.many", "{count} wait.", {"count": 2}, singular="{count} waits.")'
    (text,), _ = texts_of(package(desk=source))
    assert (text.english, text.singular) == ("{count} wait.", "{count} waits.")


def test_rooms_without_texts_for_pages_are_left_out(package):
    """A command that speaks English only has nothing to translate."""
    files = package(desk='Message("desk.waits", "It waits.")', cli='Message("cli.done", "Done.")')
    texts, _ = texts_of(files, leave_out=["cli"])
    assert [text.key for text in texts] == ["desk.waits"]


def test_a_key_with_two_texts_is_told(package):
    """The second text would get the translation of the first."""
    texts, _ = texts_of(package(one='Message("a", "x")\nMessage("a", "x")', two='Message("a", "y")'))
    (conflict,) = conflicts(texts)
    assert "two.py:1" in conflict
    assert "one.py:1" in conflict


def test_sentences_without_a_key_are_told(package):
    """Errors that nobody can translate; names of fields and errors for programmers are none."""
    source = """
raise InvalidInputError("email", "is not an e-mail address.")
raise InvalidInputError("email", Message("input.email", "is not an e-mail address."), advice="Ask somebody.")
raise CAError(f"{url} does not answer.")
raise errors.CAError("It is gone." if gone else reason)
raise ValueError("This is for programmers.")
raise InvalidInputError("email", reason)
"""
    lines = [int(fault.place.rpartition(":")[2]) for fault in sentences_without_key(package(desk=source))]
    assert lines == [2, 3, 4, 5]


def test_parameters_are_the_names_in_braces():
    """Doubled braces are braces."""
    assert parameters("{name} of {{these}} {count}") == {"name", "count"}
    with pytest.raises(ValueError, match="expected '}'"):
        parameters("{name")


def test_the_texts_of_a_form_are_those_that_a_page_shows():
    """Labels, help and choices; each with a key of the class and the field."""

    @frozen(kw_only=True)
    class Desk:
        kind: str = form.choice("Kind", [form.Choice("small", "A small one")], help="How large it is.", default="small")
        width: int = form.integer("Width", minimum=1, maximum=9, unit="metres", default=1)

    assert [(text.key.rpartition("Desk.")[2], text.english) for text in texts_of_form(Desk)] == [
        ("kind.label", "Kind"),
        ("kind.help", "How large it is."),
        ("kind.choice.small", "A small one"),
        ("width.label", "Width"),
        ("certcore.unit.metres", "metres"),
    ]
