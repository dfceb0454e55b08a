#!/usr/bin/env bash
# The unit tests with the oldest packages that pyproject.toml allows, in a virtualenv of its own: `make test-lowest`.
# Besides them the test kit as a plugin of the oldest pytest, the packages of new plugins, and the documentation.
#
# scripts/lower_bounds.py makes the constraints from pyproject.toml; what that does not name is as new as it can be.
#
#   scripts/test_lowest.sh [WORKERS]    with so many test processes, by default one a processor
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Where Python may keep no bytecode, each test process and each command that a test starts compiles every module again.
unset PYTHONDONTWRITEBYTECODE
place=.venv-lowest

[ -x "$place/bin/python" ] || .venv/bin/python -m venv "$place"
"$place/bin/python" scripts/lower_bounds.py >"$place/constraints.txt"
"$place/bin/python" -m pip install -qq --disable-pip-version-check --no-input -c "$place/constraints.txt" -e '.[dev]' </dev/null
"$place/bin/python" -m pip check
"$place/bin/pytest" -n "${1:-$(nproc)}" --dist loadgroup --hypothesis-profile=fast \
    -m 'not (soak or slow or integration or pebble)' tests/unit
"$place/bin/pytest" -n 0 tests/unit/testing/test_pytest_plugin.py tests/acceptance/test_new_plugins.py
"$place/bin/sphinx-build" -q -W --keep-going -b html docs "$place/docs"
