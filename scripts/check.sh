#!/usr/bin/env bash
# The fast checks: lint, then types beside the tests that need no server. `make check` calls this.
#
#   scripts/check.sh [WORKERS]    with so many test processes, by default one a processor
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Where Python may keep no bytecode, each test process and each command that a test starts compiles every module again.
unset PYTHONDONTWRITEBYTECODE
bin=.venv/bin

"$bin/ruff" check && "$bin/ruff" format --check || exit 1

types=$(mktemp)
trap 'rm -f "$types"' EXIT
"$bin/mypy" >"$types" 2>&1 &
mypy=$!

# Imports are checked by tests/architecture, which runs import-linter.
failed=0
"$bin/pytest" -n "${1:-$(nproc)}" --dist loadgroup --hypothesis-profile=fast \
    -m 'not (soak or slow or integration or pebble)' \
    tests/unit tests/contracts tests/architecture || failed=1
wait "$mypy" || failed=1
cat "$types"
exit "$failed"
