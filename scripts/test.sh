#!/usr/bin/env bash
# All tests of the gate, in two processes. `make test` calls this.
#
# A few hundred tests start real servers, and on two busy processors one of them can be late for its test. So up to five
# tests that fail beside others are run once more, alone. Those that pass then are named: each is a test to be mended.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Where Python may keep no bytecode, each test process and each command that a test starts compiles every module again.
unset PYTHONDONTWRITEBYTECODE

pytest=.venv/bin/pytest
tests_failed=1
most=5

cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT
"$pytest" -n 2 --dist loadgroup --durations=10 -o cache_dir="$cache" "$@"
status=$?
[ "$status" -eq "$tests_failed" ] || exit "$status"

mapfile -t failed < <(
    # pytest-xdist has put "@" and the group after the name of a test that has one.
    .venv/bin/python -c 'import json, re, sys; [print(re.sub(r"@[^]]*$", "", name)) for name in json.load(open(sys.argv[1]))]' \
        "$cache/v/cache/lastfailed"
)
if [ "${#failed[@]}" -eq 0 ] || [ "${#failed[@]}" -gt "$most" ]; then
    exit "$tests_failed"
fi
echo "These tests failed beside others and are run once more, alone:"
printf '  %s\n' "${failed[@]}"
"$pytest" "${failed[@]}" || exit
echo "They passed alone, and are to be mended:"
printf '  %s\n' "${failed[@]}"
