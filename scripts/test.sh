#!/usr/bin/env bash
# The whole gate: what it needs, lint, types, and all tests in three processes. `make test` calls this.
#
#   scripts/test.sh [OPTION...]    with options for pytest
#
# Debian's packages come beside Python's, and mypy runs beside whatever comes after lint. mypy's report comes last.
#
# A few hundred tests start real servers, and on two busy processors one of them can be late for its test. So up to five
# tests that fail beside others are run once more, alone and with temporary files where the system has them. Those that
# pass then are named: each is a test to be mended.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Where Python may keep no bytecode, each test process and each command that a test starts compiles every module again.
unset PYTHONDONTWRITEBYTECODE

bin=.venv/bin
# One more than CI has processors: tests with servers and browsers wait for a fifth of their time.
processes=3
tests_failed=1
most=5

# Tests keep temporary files in memory, if there is enough of it and programs may run from there: with databases on a disk
# they would wait for it for most of their time.
make_temporary() {
    local folder available in_memory enough=$((6 * 1024 * 1024)) # kB
    available=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo 2>/dev/null)
    in_memory=$(df --output=avail /dev/shm 2>/dev/null | tail -1)
    folder=${TMPDIR:-/tmp}
    if [ -z "${TMPDIR:-}" ] && [ "${available:-0}" -gt "$enough" ] && [ "${in_memory:-0}" -gt "$enough" ]; then
        folder=/dev/shm
    fi
    temporary=$(mktemp -d -p "$folder" certcore.XXXXXX)
    printf '#!/bin/sh\n' >"$temporary/program"
    chmod 755 "$temporary/program"
    if ! "$temporary/program" 2>/dev/null; then
        rm -rf "$temporary"
        temporary=$(mktemp -d)
    fi
    chmod 1777 "$temporary" # some servers run as a user of their own
}

run_tests() {
    local status failed
    make_temporary
    echo "Temporary files are in $temporary."
    TMPDIR="$temporary" "$bin/pytest" -n "$processes" --dist loadgroup --durations=10 -o cache_dir="$work/cache" "$@"
    status=$?
    [ "$status" -eq "$tests_failed" ] || return "$status"

    mapfile -t failed < <(
        # pytest-xdist has put "@" and the group after the name of a test that has one.
        "$bin/python" -c 'import json, re, sys; [print(re.sub(r"@[^]]*$", "", name)) for name in json.load(open(sys.argv[1]))]' \
            "$work/cache/v/cache/lastfailed"
    )
    if [ "${#failed[@]}" -eq 0 ] || [ "${#failed[@]}" -gt "$most" ]; then
        return "$tests_failed"
    fi
    echo "These tests failed beside others and are run once more, alone:"
    printf '  %s\n' "${failed[@]}"
    "$bin/pytest" "${failed[@]}" || return
    echo "They passed alone, and are to be mended:"
    printf '  %s\n' "${failed[@]}"
}

work=$(mktemp -d)
temporary=
trap 'rm -rf "$work" ${temporary:+"$temporary"}' EXIT

scripts/setup.sh test servers &
servers=$!
if ! { scripts/setup.sh test python && "$bin/ruff" check && "$bin/ruff" format --check; }; then
    wait "$servers" # an installation that is cut short leaves a machine to be repaired
    exit 1
fi
"$bin/mypy" >"$work/types" 2>&1 &
mypy=$!
failed=0
if wait "$servers"; then
    run_tests "$@" || failed=$?
else
    failed=1
fi
wait "$mypy" || failed=1
echo "mypy:"
cat "$work/types"
exit "$failed"
