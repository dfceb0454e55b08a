"""The tree of errors: every kind has a code that callers can rely on, and no error is of no kind."""

import ast
import importlib
import json
import pkgutil

import certcore
import certcore_puq_acme
from certcore import errors
from certcore.errors import CertCoreError


def _kinds():
    """Every subclass of `CertCoreError` in both packages."""
    for package in (certcore, certcore_puq_acme):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__") and ".migrations" not in module.name:
                importlib.import_module(module.name)
    found, ahead = set(), [CertCoreError]
    while ahead:
        kind = ahead.pop()
        ahead += kind.__subclasses__()
        # Examples, whose names begin like ours, may have been imported by other tests.
        if kind.__module__.partition(".")[0] in {"certcore", "certcore_puq_acme"}:
            found.add(kind)
    return found


def test_every_error_has_a_code_of_its_own():
    """Every kind of error has its own `code` and a valid HTTP status."""
    kinds = _kinds()
    codes = {kind: vars(kind).get("code") for kind in kinds}
    assert len(kinds) > 40
    assert [kind.__name__ for kind, code in codes.items() if not code] == []
    assert len(set(codes.values())) == len(kinds)
    assert all(code.replace("_", "").isalnum() and code.islower() for code in codes.values())
    assert all(400 <= kind.http_status < 600 for kind in kinds)


def test_no_error_has_two_parents():
    """The tree is a tree: catching one branch never catches errors of another."""
    assert [kind.__name__ for kind in _kinds() if len(kind.__bases__) != 1] == []


def test_no_error_is_of_no_kind(sources):
    """certcore raises subclasses of `CertCoreError`, never the root itself: callers can tell errors apart."""
    bare = [
        f"{module.name}:{node.lineno}"
        for module in sources
        for node in module.nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "CertCoreError"
    ]
    assert bare == []


def test_every_public_error_is_exported():
    """The errors of `certcore.errors` are all importable from there, and listed in order."""
    own = {kind.__name__ for kind in _kinds() if kind.__module__.startswith("certcore.errors")}
    assert set(errors.__all__) == own
    assert list(errors.__all__) == sorted(errors.__all__)


def test_an_error_is_plain_json():
    """`as_dict` has code, message, advice and params, whatever values the error was made with."""
    error = errors.StaleWriteError(
        "certificate", "id-1", expected=1, found=2, changes={"aliases": ((), ("a.example",))}, actors=["anna"]
    )
    told = json.loads(json.dumps(error.as_dict()))
    assert (told["code"], told["message"], told["advice"]) == ("stale_write", error.message, error.advice)
    assert told["params"]["changes"] == {"aliases": {"from": [], "to": ["a.example"]}}
    assert (told["params"]["key"], told["params"]["actors"]) == ("id-1", ["anna"])
