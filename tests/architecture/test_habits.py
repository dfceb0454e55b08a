"""The habits: where time and chance come from, how failures are caught, and what tests may not do."""

import ast
import re

import pytest

from certcore.adapters.plugins.module_checks import METHODS

#: Where time and chance come into the library. Everybody else is handed a clock, ids and jitter.
_ENVIRONMENT = "certcore/adapters/environment.py"

#: What may be used where; a path that ends in "/" stands for everything below it.
_ALLOWED = {
    # The TLS certificate of a test server has to be valid on the clock of whoever talks to it.
    "datetime.datetime.now": [_ENVIRONMENT, "certcore/testing/pebble.py"],
    "datetime.datetime.today": [],
    "datetime.datetime.utcnow": [],
    "datetime.date.today": [],
    "time.time": [],
    # The test kit waits for a server that it started, and notices a plugin that sleeps.
    "time.sleep": [
        "certcore/engine/worker.py",
        "certcore/testing/conformance/recording.py",
        "certcore/testing/server.py",
    ],
    "time.monotonic": [
        "certcore/cli/",
        "certcore/engine/worker.py",
        "certcore/engine/preflight_pace.py",
        "certcore/testing/",
        # How long a connection has been idle, and how long a step has been running.
        "certcore/adapters/sql/connections.py",
        "certcore/adapters/sql/storage.py",
        # How long a thread waits for its turn to write.
        "certcore/adapters/sql/group_commit.py",
        # How long a fork waits for other threads.
        "certcore/forks.py",
        "certcore/engine/leases.py",
        # How long a step, a request or a delivery takes.
        "certcore/net/telemetry.py",
        # When a crew of threads has to have ended, and for how long the store has been away.
        "certcore/engine/supervised_threads.py",
        "certcore/engine/outage.py",
        # Deadlines of questions to others; they take it as an argument, this is its default.
        "certcore/net/http.py",
        "certcore_puq_acme/dns/asking.py",
        "certcore_puq_acme/dns/checks.py",
        "certcore_puq_acme/techzone/server.py",
    ],
    # Test processes beside each other must not all try the same ports.
    "random": [_ENVIRONMENT, "certcore/testing/ports.py"],
    "uuid": [_ENVIRONMENT],
    # Key material and labels nobody can guess are made at the edge only.
    "secrets": ["certcore/adapters/"],
    "os.urandom": ["certcore/adapters/"],
}

_BROAD = {"Exception", "BaseException"}
_REASON = re.compile(r"# (isolation|boundary): \S")


def _is_in(name, places):
    return any(name.startswith(place) if place.endswith("/") else name == place for place in places)


@pytest.mark.parametrize("habit", sorted(_ALLOWED))
def test_time_and_chance_come_from_outside(sources, habit):
    """Clocks, sleeps and randomness are used in the places named above and nowhere else."""
    found = {
        f"{module.name}:{line} {name}"
        for module in sources
        if not _is_in(module.name, _ALLOWED[habit])
        for line, name in module.uses
        if name == habit or name.startswith(f"{habit}.")
    }
    assert not sorted(found)


def test_catching_everything_has_a_reason(sources):
    """`except Exception` says on its line which isolation or boundary it is."""
    found = []
    for module in sources:
        for node in module.nodes:
            if not isinstance(node, ast.ExceptHandler):
                continue
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            broad = any(kind is None or (isinstance(kind, ast.Name) and kind.id in _BROAD) for kind in kinds)
            if broad and not _REASON.search(module.lines[node.lineno - 1]):
                found.append(f"{module.name}:{node.lineno}")
    assert not found


def test_nothing_relies_on_assert(sources):
    """Python may be told to drop asserts, so only the test kit has them."""
    assert not [
        f"{module.name}:{node.lineno}"
        for module in sources
        if not module.name.startswith("certcore/testing/")
        for node in module.nodes
        if isinstance(node, ast.Assert)
    ]


def test_tests_use_the_real_thing(tests):
    """No test mocks anything, and none replaces a part of certcore behind its back."""
    found = set()
    for module in tests:
        if "mock" in module.text:
            found |= {
                f"{module.name}:{line} {name}"
                for line, name in module.uses
                if {"mock", "pytest_mock"} & set(name.split("."))
            }
        for node in module.nodes:
            if isinstance(node, ast.arg) and node.arg == "mocker":
                found.add(f"{module.name}:{node.lineno} mocker")
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            if node.func.attr not in {"setattr", "delattr", "setitem", "delitem"}:
                continue
            target = node.args[0]
            name = str(target.value) if isinstance(target, ast.Constant) else module.resolve(target)
            if name.startswith("certcore"):
                found.add(f"{module.name}:{node.lineno} {node.func.attr} on {name}")
    assert not sorted(found)


def test_a_slow_test_says_why(tests):
    """Whoever leaves a test out of `make check` says what makes it slow."""
    assert not [
        f"{module.name}:{node.lineno}"
        for module in tests
        if "slow" in module.text
        for node in module.nodes
        if isinstance(node, ast.Attribute)
        and node.attr == "slow"
        and module.resolve(node) == "pytest.mark.slow"
        and not any(node is call.func for call in module.calls if [word.arg for word in call.keywords] == ["reason"])
    ]


def test_every_test_says_its_promise(tests):
    """A test's docstring is the sentence that fails when the test does."""
    assert not [
        f"{module.name}:{node.lineno} {node.name}"
        for module in tests
        for node in module.nodes
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]


def test_no_other_code_calls_a_module(sources):
    """In the library, a method of a module is handed to the wrapper, never called."""
    found = [
        f"{source.name}:{node.lineno}"
        for source in sources
        if source.name.startswith("certcore/") and not source.name.startswith("certcore/testing/")
        for node in source.nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (
            (node.func.value.id in {"module", "ca_module"} and node.func.attr in METHODS)
            or (node.func.attr == "function" and source.name != "certcore/adapters/plugins/loading.py")
        )
    ]
    assert not found


#: Where JSON is read, of all the files that work with an attempt's state.
_READS_JSON = {
    "certcore_puq_acme/orders/stored_fields.py",
    "certcore_puq_acme/orders/renewal_info.py",  # the CA's
}


def test_one_module_knows_how_an_attempt_is_stored(sources):
    """What the ACME module's attempts remember and see are attributes; JSON is read and written in state.py only."""
    found = []
    for source in sources:
        if not source.name.startswith("certcore_puq_acme/"):
            continue
        is_inside = source.name.startswith(("certcore_puq_acme/orders/", "certcore_puq_acme/hints/"))
        for node in source.nodes:
            is_raw = isinstance(node, ast.Attribute) and node.attr == "module_state"
            key = None
            if isinstance(node, ast.Subscript):
                key = node.slice
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                key = node.args[0] if node.func.attr in {"get", "setdefault", "pop"} else None
            is_member = isinstance(key, ast.Constant) and isinstance(key.value, str)
            if (is_raw and source.name != "certcore_puq_acme/orders/state.py") or (
                is_member and is_inside and source.name not in _READS_JSON
            ):
                found.append(f"{source.name}:{node.lineno}")
    assert not found
