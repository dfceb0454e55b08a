"""What a plugin returned: copied, and refused when it is nested too deeply."""

import sys
from pathlib import Path

import pytest

from certcore.messages import Message
from certcore.model.hints import Level, Notice
from certcore.model.plugin_results import UnexpectedResultError, conform, plain_json


def _nested(levels, container):
    value = "leaf"
    for _ in range(levels - 1):
        value = container(value)
    return {"state": value}


def _dict_of(value):
    return {"more": value}


def _list_of(value):
    return [value]


@pytest.fixture
def many_levels():
    """A recursion limit as a program around certcore may set it, with which `json` reads thousands of levels."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.parametrize("container", [_dict_of, _list_of])
def test_a_hundred_levels_are_copied(container):
    """What a module has to remember is far below the bound."""
    state = _nested(100, container)
    copied = plain_json(state)
    assert copied == state
    assert copied is not state


@pytest.mark.parametrize("levels", [101, 5000])
@pytest.mark.parametrize("container", [_dict_of, _list_of])
def test_more_levels_are_refused_whatever_the_recursion_limit_is(container, levels, many_levels):
    """The bound is certcore's own: the interpreter's is the program's to set."""
    with pytest.raises(UnexpectedResultError, match="a dict that is not plain JSON of at most 100 levels"):
        plain_json(_nested(levels, container))


def test_values_beside_a_deep_one_are_copied(many_levels):
    """The number of levels counts, not the number of containers."""
    state = {str(number): _nested(50, _dict_of) for number in range(200)}
    assert plain_json(state) == state


def test_a_message_of_a_plugin_keeps_its_singular_and_the_messages_in_it():
    """A plugin's texts are translated as certcore's are."""
    inner = Message("test.inner", "{path} is missing.", {"path": Path("/a")})
    message = Message("test.outer", "{count}: {each}", {"count": 1, "each": (inner,)}, singular="One file: {each}")
    copied = conform(message, Message)
    assert str(copied) == "One file: /a is missing."
    assert copied.params["each"][0].key == "test.inner"
    assert copied.params["each"][0].params == {"path": "/a"}


def test_a_message_whose_singular_cannot_be_filled_in_is_refused():
    """A page does not fail the first time that there is just one of something."""
    with pytest.raises(UnexpectedResultError, match="cannot be filled in"):
        conform(Message("test", "{count} files.", {"count": 3}, singular="The file {name}."), Message)


def nested(levels):
    message = Message("desk", "deep")
    for _ in range(levels):
        message = Message("desk", "{inner}", {"inner": message})
    return message


@pytest.mark.parametrize("levels", [9, 5000])
def test_messages_inside_messages_are_bounded(levels):
    """However deep, it is the plugin's error, not one of the interpreter."""
    with pytest.raises(UnexpectedResultError, match="more than 8 others"):
        conform(Notice(Level.INFO, nested(levels)), Notice)
