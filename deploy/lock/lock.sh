#!/bin/sh
# Pins everything that is installed to one version and its hashes, for all systems at once.
#
#     sh deploy/lock/lock.sh UV [--upgrade]
#
# runtime.txt   what a gateway needs, with the extra otel: this goes into the image
# embedded.txt  the same and the embedded store, for one machine
# test.txt      all of it and what tests, checks and packaging need
# build.txt     what builds the wheel
# compile.txt   what compiles it, where that is asked for
#
# Versions that are pinned already stay, unless --upgrade is given.
set -eu
cd "$(dirname "$0")/../.."
uv=$1
shift

pin() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate "$@"
}

pin "$@" --extra otel -o deploy/lock/runtime.txt pyproject.toml
pin "$@" --extra otel --extra embedded -c deploy/lock/runtime.txt -o deploy/lock/embedded.txt pyproject.toml
pin "$@" --all-extras -c deploy/lock/embedded.txt -o deploy/lock/test.txt pyproject.toml
sed -n 's/^requires = \["\(.*\)"\]$/\1/p' pyproject.toml | pin "$@" -o deploy/lock/build.txt -
sed -n '/^\[tool.graygate.compile\]/,/^$/s/^requires = \["\(.*\)"\]$/\1/p' pyproject.toml | sed 's/", "/\n/g' \
    | pin "$@" -c deploy/lock/test.txt -o deploy/lock/compile.txt -
