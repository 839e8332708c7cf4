#!/bin/sh
# Install the operating system's programs that tests need. Where that is not permitted, name them:
# the tests that need them are then skipped, loudly. In CI a missing program is an error.
set -eu

missing=""
need() { # need PROGRAM PACKAGE...
    program=$1; shift
    for place in "$program" /usr/sbin/"$program" /usr/lib/postgresql/*/bin/"$program"; do
        if command -v "$place" >/dev/null 2>&1; then return; fi
    done
    missing="$missing $*"
}
need redis-server redis-server
need postgres postgresql
need netconfd netconfd
need yangcli yangcli
need prometheus prometheus
need prometheus-alertmanager prometheus-alertmanager
need sshd openssh-server
need ssh openssh-client
need openssl openssl
need kubectl kubernetes-client
need /usr/lib/frr/zebra frr
if apt-cache show libyang3-tools >/dev/null 2>&1; then need yanglint libyang3-tools; else need yanglint libyang2-tools; fi

[ -n "$missing" ] || exit 0
install="apt-get install -y -qq --no-install-recommends"
# RUNLEVEL=1: install the servers without starting them.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive $install $missing >/dev/null
elif sudo -n true 2>/dev/null && command -v apt-get >/dev/null; then
    sudo apt-get update -qq && sudo RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive $install $missing >/dev/null
elif [ "${CI:-}" = true ]; then
    echo "missing programs, and no right to install them:$missing" >&2
    exit 1
else
    echo "################################################################################" >&2
    echo "# Tests that need these packages WILL BE SKIPPED:$missing" >&2
    echo "# To run them: sudo apt-get install$missing" >&2
    echo "################################################################################" >&2
fi
