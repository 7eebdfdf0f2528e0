#!/bin/sh
# Runs a command beside a real Ray cluster that nobody else can reach, and leaves nothing behind.
#
#   harness/backend/ray/live.sh go test -tags ray ./suites/...
#
# Ray is installed into a temporary virtual environment (RAY_VENV names one to keep and use again). It rewrites
# --node-ip-address=127.0.0.1 to the machine's own address and then listens there without authentication, so cluster
# and command run in a network namespace that has lo alone, and in a PID namespace that ends all of them with its
# first process. No root is needed where user namespaces are allowed.
set -eu

RAY=${RAY_VERSION:-2.60.0}
here=$(cd "$(dirname "$0")" && pwd)

inside() {
	ip link set lo up
	export RAY_worker_niceness=0 RAY_USAGE_STATS_ENABLED=0 PATH="$RAY_VENV/bin:$PATH"
	begin=$(date +%s%N)
	ray start --head --node-ip-address=127.0.0.1 --dashboard-host=127.0.0.1 --dashboard-port=8265 \
		--num-cpus="${RAY_CPUS:-4}" --num-gpus="${RAY_GPUS:-2}" --object-store-memory=300000000 --disable-usage-stats \
		--temp-dir="$SCRATCH/ray" >"$SCRATCH/start.log" 2>&1 || { cat "$SCRATCH/start.log"; exit 1; }
	tries=0
	until python - <<-'PY' 2>/dev/null
		import urllib.request
		urllib.request.urlopen("http://127.0.0.1:8265/api/jobs/", timeout=2)
	PY
	do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || { echo "live-ray: the dashboard does not answer 100 tries after ray start"; exit 1; }
	done
	echo "live-ray: Ray $RAY started in $(since "$begin"), $(nproc) cores, ${RAY_CPUS:-4} logical CPUs, ${RAY_GPUS:-2} logical GPUs"
	outside=$(ss -Hltn | awk '{print $4}' | grep -vE '^(127\.|\[::1\]|\[::ffff:127\.)' || true)
	[ -z "$outside" ] || { echo "live-ray: listens outside loopback: $outside"; exit 1; }
	echo "live-ray: $(ss -Hltn | wc -l) listeners, all on loopback"
	begin=$(date +%s%N)
	code=0
	SYMBIOTE_RAY=http://127.0.0.1:8265 SYMBIOTE_RAY_VENV=$RAY_VENV "$@" || code=$?
	echo "live-ray: ran in $(since "$begin"), exit code $code"
	ray stop --grace-period 10 >"$SCRATCH/stop.log" 2>&1 || true
	left=$(ps -eo args | grep -E 'raylet|gcs_server|^ray::|pipe\.py' | grep -v grep || true)
	[ -z "$left" ] || { echo "live-ray: left running: $left"; code=1; }
	[ -z "$(ss -Hltn)" ] || { echo "live-ray: still listening: $(ss -Hltn)"; code=1; }
	[ -n "$left$(ss -Hltn)" ] || echo "live-ray: nothing left running, nothing listening"
	return $code
}

since() { awk -v a="$1" -v b="$(date +%s%N)" 'BEGIN { printf "%.1f s", (b - a) / 1e9 }'; }

if [ "${1:-}" = --inside ]; then
	shift
	inside "$@"
	exit $?
fi

[ $# -gt 0 ] || { echo "usage: live.sh COMMAND…"; exit 2; }
for tool in unshare ip ss python3; do
	command -v $tool >/dev/null || { echo "live-ray: $tool is not installed (util-linux, iproute2, python3)"; exit 2; }
done
unshare -Urnpf --mount-proc true 2>/dev/null || {
	echo "live-ray: user namespaces are not allowed here; Ray would listen on all interfaces, so it is not started"
	exit 2
}
SCRATCH=$(mktemp -d) # a short path: Ray puts sockets below it
trap 'rm -rf "$SCRATCH"' EXIT INT TERM
export SCRATCH
: "${RAY_VENV:=$SCRATCH/venv}"
export RAY_VENV
if [ ! -x "$RAY_VENV/bin/ray" ]; then
	begin=$(date +%s%N)
	python3 -m venv "$RAY_VENV"
	"$RAY_VENV/bin/pip" install -q --disable-pip-version-check "ray[default,data]==$RAY"
	echo "live-ray: Ray $RAY installed in $(since "$begin"), $(du -sh "$RAY_VENV" | cut -f1)"
fi
unshare -Urnpf --mount-proc --kill-child sh "$here/live.sh" --inside "$@"
