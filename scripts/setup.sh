#!/usr/bin/env bash
# Prepare this checkout: a virtualenv in .venv, and the servers that `make demo` or `make test` talks to.
#
#   scripts/setup.sh demo    what `make demo` needs; without Pebble it fails
#   scripts/setup.sh test    what `make test` needs; tests whose server is missing are skipped by name
#
# With `python` or `servers` after it, only that half. The halves run side by side, since both wait for the network.
#
# Debian packages are installed only when that can be done without asking: as root or with a sudo that wants no
# password. Otherwise the script says what is missing. A second run with nothing to do takes a moment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Debian keeps name servers where only root's PATH looks.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

purpose=${1:-test}
case "$purpose" in
    demo) wanted=(pebble:pebble pebble-challtestsrv:pebble) ;;
    test)
        wanted=(
            pebble:pebble pebble-challtestsrv:pebble named:bind9 dig:bind9-dnsutils unbound:unbound knotd:knot nsd:nsd
            postgres:postgresql mariadbd:mariadb-server-core my_print_defaults:mariadb-client
            kdig:knot-dnsutils softhsm2-util:softhsm2 redis-server:redis-server
            nginx:nginx haproxy:haproxy apache2:apache2-bin unzip:unzip keytool:default-jre-headless
            pdns_server:pdns-server "/usr/lib/*/pdns/libgsqlite3backend.so:pdns-backend-sqlite3"
            lego:lego caddy:caddy lighttpd:lighttpd /usr/lib/lighttpd/mod_openssl.so:lighttpd-mod-openssl
            "/usr/lib/*/pdns/libbindbackend.so:pdns-backend-bind" pdns_recursor:pdns-recursor ip:iproute2 prometheus:prometheus
            chromium:chromium /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf:fonts-dejavu-core
        )
        ;;
    *)
        echo "usage: scripts/setup.sh [demo|test] [python|servers]" >&2
        exit 2
        ;;
esac

say() { echo "setup: $*" >&2; }

die() {
    say "$*"
    exit 1
}

# ------------------------------------------------------------------------------------------------ Debian packages

policy=/usr/sbin/policy-rc.d
policy_is_ours=no

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    command -v apt-get >/dev/null || return 1
    [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

# Packages start their servers when they are installed, unless policy-rc.d says no. The tests start their own.
forbid_services() {
    [ -e "$policy" ] && return
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    policy_is_ours=yes
    as_root chmod 755 "$policy"
}

allow_services() {
    [ "$policy_is_ours" = yes ] || return 0
    as_root rm -f "$policy"
    policy_is_ours=no
}

# apt-get tells a long story; it is of interest only when it ends badly.
apt() {
    local story
    story=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 "$@" </dev/null 2>&1) ||
        { printf '%s\n' "$story" >&2 && return 1; }
}

# On a machine with systemd the new servers would otherwise take their ports at the next boot.
disable_services() {
    [ -d /run/systemd/system ] || return 0
    local package unit
    for package in "$@"; do
        case "$package" in
            bind9) unit=named.service ;;
            pdns-server) unit=pdns.service ;;
            pdns-recursor) unit=pdns-recursor.service ;;
            caddy | haproxy | knot | lighttpd | nginx | nsd | postgresql | prometheus | redis-server | unbound) unit=$package.service ;;
            *) continue ;;
        esac
        as_root systemctl disable --quiet "$unit" || say "could not disable $unit; it may start at the next boot"
    done
}

# Installs what it can. What is still missing afterwards is told by the caller, who knows what it is for.
#
# In a subshell, since only one of those that run side by side may change the machine at a time.
install_packages() (
    exec {turn}<scripts/setup.sh
    flock "$turn"
    trap allow_services EXIT
    say "installing with apt-get: $*"
    apt update || say "apt-get update failed; trying with the package lists as they are"
    forbid_services
    if ! apt install --no-install-recommends "$@"; then
        # One package that this release lacks must not keep the others away.
        local package
        for package in "$@"; do
            apt install --no-install-recommends "$package" || say "apt-get could not install $package"
        done
    fi
    disable_services "$@"
)

# ----------------------------------------------------------------------------------------------------- virtualenv

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        command -v "$candidate" >/dev/null || continue
        "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        command -v "$candidate"
        return
    done
    return 1
}

make_virtualenv() {
    # A virtualenv knows its own path: one that came along with a copied or moved checkout is of no use.
    if [ -x .venv/bin/python ] && grep -qsF "$PWD/.venv" .venv/bin/activate && .venv/bin/python -c '' 2>/dev/null; then
        return
    fi
    local python
    if ! python=$(find_python); then
        if may_install; then install_packages python3 python3-venv; fi
        python=$(find_python) ||
            die "Python 3.11 or newer with its venv module is needed; on Debian: apt-get install python3 python3-venv"
    fi
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
}

install_python_packages() {
    local fingerprint
    fingerprint=$(cat pyproject.toml constraints.txt | sha256sum)
    [ "$(cat .venv/setup-stamp 2>/dev/null)" = "$fingerprint" ] && return
    say "installing the Python packages"
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input \
        -c constraints.txt -e '.[dev]' </dev/null >&2
    echo "$fingerprint" >.venv/setup-stamp
}

prepare_python() {
    make_virtualenv
    install_python_packages
}

# -------------------------------------------------------------------------------------------------------- servers

missing_packages() {
    local pair what
    for pair in "${wanted[@]}"; do
        what=${pair%%:*}
        # Modules are named by a pattern. Debian keeps PostgreSQL's server, by version, where nobody's PATH looks.
        command -v "$what" >/dev/null || compgen -G "$what" >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/$what" >/dev/null ||
            echo "${pair##*:}"
    done | sort -u
}

prepare_servers() {
    local missing
    mapfile -t missing < <(missing_packages)
    if [ "${#missing[@]}" -gt 0 ] && may_install; then
        install_packages "${missing[@]}"
        mapfile -t missing < <(missing_packages)
    fi
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "missing on this machine: ${missing[*]}; on Debian: sudo apt-get install --no-install-recommends ${missing[*]}"
    [ "$purpose" = test ] || die "the demo needs Pebble, a small ACME server: install it and try again"
    say "going on; the tests that need them are skipped"
}

case "${2:-both}" in
    python) prepare_python ;;
    servers) prepare_servers ;;
    *)
        # A process of its own each: `set -e` does nothing in a function whose failure is looked at.
        scripts/setup.sh "$purpose" servers &
        servers=$!
        failed=0
        scripts/setup.sh "$purpose" python || failed=1
        wait "$servers" || failed=1
        exit "$failed"
        ;;
esac
