#!/bin/sh
# One gray step of a pipeline: register the new version, release it, wait, and end as it ended.
#
#   ROUTE=chat VERSION=v3 URLS=http://10.0.0.3:8000 sh gray-step.sh
#
# Who and where:   GRAYGATE_GATEWAY (URL of the admin port), GRAYGATE_ADMIN__TOKEN_FILE
#                  (a token with the role operator, for this route alone; never on a command line)
# What:            ROUTE, VERSION, URLS (blank between two); DIGEST and MODEL_ID, if known
# How:             PLAN (a TOML file) or PRESET (canary), MODE (automatic), TIMEOUT (seconds; 14400)
# Why:             WHY, kept in the history
# For people:      REPORT (release-report.md)
#
# Exit codes: 0  promoted                       3  the gateway cannot be reached; nothing is known
#             1  refused, or rolled back        4  somebody else wrote first: run it again
#             2  this step is set up wrongly    6  ended otherwise: aborted or expired
#                                               7  still runs: somebody must approve, or it needs
#                                                  more time; run `graygate release watch` later
#
# To run it again does no harm: a version that is there as it is wanted stays, and a release of it
# that runs already is waited for.
set -u

say() { printf '%s\n' "gray-step: $*" >&2; }

if [ -z "${ROUTE:-}" ] || [ -z "${VERSION:-}" ] || [ -z "${URLS:-}" ]; then
    say "set ROUTE, VERSION and URLS"
    exit 2
fi
PRESET=${PRESET:-canary}
MODE=${MODE:-automatic}
TIMEOUT=${TIMEOUT:-14400}
WHY=${WHY:-pipeline}
REPORT=${REPORT:-release-report.md}

# Ends with the code of the command that failed, after a word about it.
run() {
    "$@" && return 0
    code=$?
    say "failed with $code: graygate $2 ${3:-}"
    exit "$code"
}

run graygate ready

set -- version add "$ROUTE" "$VERSION"
for url in $URLS; do set -- "$@" "$url"; done
[ -z "${DIGEST:-}" ] || set -- "$@" --digest "$DIGEST"
[ -z "${MODEL_ID:-}" ] || set -- "$@" --model-id "$MODEL_ID"
run graygate "$@" --why "$WHY"

set -- release start "$ROUTE" "$VERSION" --mode "$MODE" --why "$WHY"
if [ -n "${PLAN:-}" ]; then set -- "$@" --plan "$PLAN"; else set -- "$@" --preset "$PRESET"; fi
graygate "$@"
code=$?
if [ "$code" -ne 0 ]; then
    # Perhaps an earlier run of this step has started it.
    told=$(graygate release status "$ROUTE" --json 2>/dev/null | tr -d ' \n')
    case $told in
        *'"running":true'*"\"candidate\":\"$VERSION\""* | *"\"candidate\":\"$VERSION\""*'"running":true'*)
            say "a release of $VERSION runs already; waiting for it"
            ;;
        *)
            say "the release could not be started"
            exit "$code"
            ;;
    esac
fi

graygate release watch "$ROUTE" --timeout "$TIMEOUT"
code=$?
graygate release report "$ROUTE" >"$REPORT" || say "there is no report"
case $code in
    0) say "$VERSION is promoted on $ROUTE" ;;
    1) say "$VERSION was rolled back on $ROUTE; $REPORT says why" ;;
    6) say "the release of $VERSION ended without a decision: aborted or expired" ;;
    7) say "the release of $VERSION still runs; go on with: graygate release watch $ROUTE" ;;
    *) say "what became of the release is not known; see: graygate release status $ROUTE" ;;
esac
exit "$code"
