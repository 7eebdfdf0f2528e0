#!/bin/sh
# Runs the live tests part by part, each beside a real Ray of its own that nobody else can reach (live.sh).
#
#   harness/backend/ray/parts.sh                    # all of them
#   harness/backend/ray/parts.sh times-http         # one: suites, times-http, times-vllm, faults, world, laws
#
# RAY_VENV names a virtual environment to keep and use again, RAY_BIN a folder to keep the test binaries in. With
# SYMBIOTE_RAY, the address of a dashboard, the suites run on that cluster, and nothing else does.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT INT TERM
: "${GO:=go}" "${RAY_VENV:=$SCRATCH/venv}" "${RAY_BIN:=$SCRATCH/bin}" "${LIVETIME:=2h}"
export RAY_VENV
suites="configmatrix burstiness oom kvcache storage chunkedprefill"

[ $# -gt 0 ] || set -- suites times-http times-vllm faults world laws
[ -z "${SYMBIOTE_RAY:-}" ] || set -- suites

mkdir -p "$RAY_BIN"
cd "$root"
for s in $suites; do $GO test -tags ray -c -o "$RAY_BIN/$s.test" "./suites/$s"; done
$GO test -tags ray -c -o "$RAY_BIN/ray.test" ./harness/backend/ray
$GO build -o "$RAY_BIN/symbiote" ./harness/cmd/symbiote
export SYMBIOTE_BIN="$RAY_BIN/symbiote"

tests() { # the tests of a part, as a command that is run beside a cluster
	case $1 in
	suites) for s in $suites; do echo "(cd $root/suites/$s && $RAY_BIN/$s.test -test.v -test.timeout $LIVETIME) || code=1;"; done ;;
	times-http) echo "$RAY_BIN/ray.test -test.v -test.run TestLiveTimesHTTP || code=1;" ;;
	times-vllm) echo "$RAY_BIN/ray.test -test.v -test.run TestLiveTimesVLLM || code=1;" ;;
	faults) echo "$RAY_BIN/ray.test -test.v -test.run TestLiveFaults || code=1;" ;;
	world) echo "$RAY_BIN/ray.test -test.v -test.run 'TestLive(Kills|Listens|Bad|Z)' || code=1;" ;;
	laws) echo "$RAY_BIN/ray.test -test.v -test.run 'TestLive(Laws|Load)' || code=1;" ;;
	*) for s in $suites; do
		[ "$1" != "$s" ] || echo "(cd $root/suites/$s && $RAY_BIN/$s.test -test.v -test.timeout $LIVETIME) || code=1;"
	done ;;
	esac
}

count() { grep -cE "^ *--- $1: " "$SCRATCH/out" || true; }

cd "$here"
failed=
for part in "$@"; do
	run=$(tests "$part")
	[ -n "$run" ] || { echo "live-ray: no part is named $part"; exit 2; }
	begin=$(date +%s)
	beside="$here/live.sh"
	[ -z "${SYMBIOTE_RAY:-}" ] || beside=
	{ $beside sh -c "code=0; $run exit \$code" || echo "live-ray: exit code $?"; } 2>&1 | tee "$SCRATCH/out"
	echo "live-ray: $part: $(count PASS) passed, $(count SKIP) left out by name, $(count FAIL) failed in $(($(date +%s) - begin)) s"
	! grep -q '^live-ray: exit code' "$SCRATCH/out" || failed="$failed $part"
done
[ -z "$failed" ] || { echo "live-ray: failed:$failed"; exit 1; }
