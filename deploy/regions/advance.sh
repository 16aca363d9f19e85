#!/usr/bin/env bash
# Takes a release through all regions, one after the other.
#
#     advance.sh [OPTION...] ROUTE CANDIDATE [WORD...]
#     advance.sh chat v2 --plan canary.toml --why 'the new ranker'
#
# Each region has its own gateways and its own store, so a release in one says nothing to another.
# In each region: the gateways must be ready; the release runs until it is over; then nothing is done
# for the bake time; then the gateways must be ready still and the gate, if there is one, must agree.
# The first region in which that is not so ends it: no later region is touched, and what is done stays
# done. The words go to `graygate release start`.
#
#     --regions FILE   regions and their order; default: regions.conf beside this script
#     --from REGION    begin there: go on after an interruption
#     --join           in the first region the release runs already: wait for its end
#     --bake SECONDS   rest after each region; default: 900. None after the last one
#     --gate COMMAND   is run after each region with REGION and GATEWAY set; not 0 = stop here
#
# Exit code: 0 = promoted in all regions; else that of the command that failed: 1 the release was
# rolled back or a region is not ready, 2 a wrong word, 3 a gateway cannot be reached, 4 a release runs
# there already or somebody else was faster, 6 the release ended otherwise, 7 it still runs (with
# --timeout). Interrupting it leaves the release of the moment running: go on with --from and --join.
set -euo pipefail

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
regions="$folder/regions.conf"
from=""
bake=900
gate=""
join=""

say() { printf '%s %s\n' "$(date -u +%H:%M:%SZ)" "$*"; }
usage() { echo "advance.sh: $*; see the head of $folder/advance.sh" >&2; exit 2; }

while [ $# -gt 0 ]; do
    case $1 in
        --regions | --from | --bake | --gate)
            [ $# -ge 2 ] || usage "$1 needs a value"
            printf -v "${1#--}" '%s' "$2"
            shift 2
            ;;
        --join) join=yes; shift ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        -*) usage "there is no option $1" ;;
        *) break ;;
    esac
done
[ $# -ge 2 ] || usage "name the route and the candidate"
route=$1
candidate=$2
shift 2
[ -r "$regions" ] || usage "$regions cannot be read"
case $bake in "" | *[!0-9]*) usage "--bake takes whole seconds" ;; esac

names=() gateways=() tokens=()
while read -r name gateway token rest; do
    case $name in "" | \#*) continue ;; esac
    [ -n "$token" ] && [ -z "$rest" ] || usage "a region is a name, a URL and a token file: $name"
    [ -r "$token" ] || usage "the token file of $name cannot be read: $token"
    case " ${names[*]-} " in *" $name "*) usage "$name is there twice" ;; esac
    names+=("$name") gateways+=("$gateway") tokens+=("$token")
done <"$regions"
[ ${#names[@]} -gt 0 ] || usage "$regions names no region"
case " ${names[*]} " in *" ${from:-${names[0]}} "*) ;; *) usage "there is no region $from" ;; esac

# Runs a command for the region of the moment, tells which one failed, and ends with its code.
must() {
    local what=$1 code=0
    shift
    "$@" || code=$?
    [ "$code" -eq 0 ] && return
    say "$REGION: $what (exit code $code). Stopped; done: ${done_regions:-none}."
    say "Mend it, then go on with: --from $REGION"
    exit "$code"
}

done_regions=""
last=$((${#names[@]} - 1))
for i in "${!names[@]}"; do
    export REGION=${names[$i]} GATEWAY=${gateways[$i]}
    export GRAYGATE_GATEWAY=$GATEWAY GRAYGATE_ADMIN__TOKEN_FILE=${tokens[$i]}
    unset GRAYGATE_ADMIN__TOKEN
    if [ -n "$from" ] && [ "$REGION" != "$from" ]; then
        say "$REGION: passed over"
        continue
    fi
    from=""
    must "its gateways are not ready" graygate ready
    if [ -n "$join" ]; then
        say "$REGION: waiting for the release that runs"
        must "$candidate was not promoted" graygate release watch "$route"
        join=""
    else
        say "$REGION: the release begins"
        must "$candidate was not promoted" graygate release start "$route" "$candidate" --wait "$@"
    fi
    done_regions="${done_regions:+$done_regions, }$REGION"
    say "$REGION: done"
    [ "$i" -eq "$last" ] && break
    say "$REGION: resting for $bake s"
    sleep "$bake"
    must "its gateways are not ready any more" graygate ready
    [ -z "$gate" ] || must "the gate does not agree" bash -c "$gate"
done
say "All regions are done: $done_regions."
