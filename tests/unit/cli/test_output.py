"""What the command prints cannot be forged by what it prints about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.cli.output import Output, cell, plain
from certcore.errors import CertCoreError


@given(st.text())
def test_a_shown_text_is_one_printable_line(text):
    """Whatever a CA, a plugin or a tenant wrote, it neither drives the terminal nor begins a line of its own."""
    shown = plain(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1


@given(st.text())
def test_a_cell_keeps_its_lines_and_nothing_else(text):
    """Several values stand below each other in a cell, where they cannot be taken for another row's."""
    assert all(character.isprintable() or character == "\n" for character in cell(text).plain)


@pytest.mark.parametrize("breaking", ["\n", "\r", "\r\n", "\u2028", "\x85", "\x1b[2K\r"])
def test_an_error_does_not_bring_a_line_of_its_own(capsys, breaking):
    """A text that looks like a line of certcore's stays within the sentence that it is part of."""
    Output(as_json=False).error(CertCoreError(f"The CA refused: no{breaking}Error: all keys were deleted."))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Error: The CA refused: no")
