#!/bin/sh
# Installs what the comparison takes from Debian: nginx, HAProxy, a C compiler, and Debian's Python
# with what it needs to make environments and to compile. Elsewhere, and without root's rights, it
# installs nothing: what is absent is left out, and the table says so.
set -eu

has_python() {
    /usr/bin/python3 -c 'import ensurepip, pathlib, sysconfig, sys
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' 2>/dev/null
}

has_program() {
    PATH="$PATH:/usr/sbin" command -v "$1" >/dev/null
}

missing=""
has_nginx=1
has_program nginx || { missing="$missing nginx-light"; has_nginx=; }
has_program haproxy || missing="$missing haproxy"
has_program cc || missing="$missing gcc libc6-dev"
has_python || missing="$missing python3-venv python3-dev"

if [ -z "$missing" ]; then
    exit 0
elif ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "Not installed, since this is not Debian or you are not root:$missing." >&2
    exit 0
fi
echo "Installing from Debian:$missing." >&2
apt-get update -qq
# shellcheck disable=SC2086  # a list of packages
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
# The comparison starts its own; nobody asked for the one that the package starts.
[ -n "$has_nginx" ] || service nginx stop >/dev/null 2>&1 || true
