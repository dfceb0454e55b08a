"""The examples on the page of hooks: each hook has one, and each example passes its test as printed."""

import importlib.util
import inspect
from pathlib import Path

import pytest

from certcore import hookspecs

_FOLDER = Path(__file__).parents[2] / "docs/reference/hook_examples"
_HOOKS = sorted(name for name in hookspecs.__all__ if name.startswith("certcore_"))


def test_every_hook_has_an_example():
    """No hook is left without an example, and no example without its hook."""
    assert sorted(file.stem for file in _FOLDER.glob("*.py")) == _HOOKS


@pytest.mark.parametrize("hook", _HOOKS)
def test_the_example_of_a_hook_passes_its_test(hook, request):
    """The plugin in the example implements the hook, and the test that is printed under it passes."""
    spec = importlib.util.spec_from_file_location(f"example_of_{hook}", _FOLDER / f"{hook}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert hasattr(getattr(module.Plugin, hook), "certcore_impl")
    tests = [function for name, function in vars(module).items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test(**{name: request.getfixturevalue(name) for name in inspect.signature(test).parameters})
