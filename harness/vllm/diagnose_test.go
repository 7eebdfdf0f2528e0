package vllm

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/failure"
)

// diagnoses holds every captured log to its class, to words of its cause, to vLLM's own figures and to what to change.
var diagnoses = []struct {
	log     string
	class   failure.Class
	cause   string
	figures []Figure
	change  string
}{
	{"fail-bad-flag-value", failure.BadArguments, "invalid int value: 'many'", []Figure{{"flag", "--max-num-seqs"}, {"value", "many"}}, "--max-num-seqs"},
	{"fail-batched-tokens-below-model-len", failure.BadArguments, "max_num_batched_tokens (1024) is smaller than max_model_len (2048)", []Figure{{"max_num_batched_tokens", "1024"}, {"max_model_len", "2048"}}, "--max-num-batched-tokens to 2048"},
	{"fail-block-size-7", failure.BadArguments, "No common block size for 7", []Figure{{"block_size", "7"}}, "--block-size"},
	{"fail-config-bad-heads", failure.BadModel, "num_heads (3) is not divisible by num_kv_heads (2)", []Figure{{"heads", "3"}, {"kv_heads", "2"}}, "config.json"},
	{"fail-config-missing", failure.BadModel, "Invalid repository ID or local directory", []Figure{{"model", "<models>/empty"}}, "config.json"},
	{"fail-config-not-json", failure.BadModel, "is not a valid JSON file", []Figure{{"file", "<models>/bad-json/config.json"}}, "repair <models>/bad-json/config.json"},
	{"fail-config-unknown-architecture", failure.BadModel, "does not recognize this architecture", []Figure{{"model_type", "nosuch"}}, "newer Transformers"},
	{"fail-gpu-memory-utilization-2", failure.BadArguments, "less than or equal to 1", []Figure{{"field", "gpu_memory_utilization"}, {"value", "2.0"}}, "gpu_memory_utilization = 2.0"},
	{"fail-invalid-dtype", failure.BadArguments, "invalid choice: 'float99'", []Figure{{"flag", "--dtype"}, {"value", "float99"}}, "'bfloat16'"},
	{"fail-kv-blocks-below-model-len", failure.ContextTooLong, "estimated maximum model length is 96", []Figure{{"max_model_len", "2048"}, {"estimated_max_model_len", "96"}}, "--max-model-len to 96"},
	{"fail-kv-space-100-of-24-gib", failure.NoRoomForKV, "less than requested memory for kv (100.0 GiB)", []Figure{{"free_gib", "20.91"}, {"total_gib", "23.54"}, {"requested_gib", "100.0"}}, "20.91 GiB"},
	{"fail-kv-space-not-a-number", failure.BadArguments, "invalid literal for int() with base 10: 'lots'", []Figure{{"value", "lots"}}, "VLLM_CPU_KVCACHE_SPACE"},
	{"fail-max-model-len-above-config", failure.BadArguments, "User-specified max_model_len (100000)", []Figure{{"max_model_len", "100000"}, {"derived", "2048"}}, "--max-model-len to 2048"},
	{"fail-max-model-len-above-kv", failure.ContextTooLong, "1.5 GiB KV cache is needed", []Figure{{"max_model_len", "131072"}, {"needed_gib", "1.5"}, {"available_gib", "1.0"}, {"estimated_max_model_len", "87168"}}, "--max-model-len to 87168"},
	{"fail-max-model-len-zero", failure.BadArguments, "must be a positive integer", []Figure{{"max_model_len", "0"}}, "--max-model-len"},
	{"fail-max-num-seqs-0", failure.BadArguments, "max_num_seqs Input should be greater than or equal to 1", []Figure{{"field", "max_num_seqs"}, {"value", "0"}}, "max_num_seqs = 0"},
	{"fail-missing-model-folder", failure.BadModel, "Repo id must be in the form", []Figure{{"model", "<models>/no-such-model"}}, "does not exist"},
	{"fail-missing-model-hub-offline", failure.BadModel, "outgoing traffic has been disabled", nil, "HF_HUB_OFFLINE"},
	{"fail-no-dummy-no-weights", failure.BadModel, "Cannot find any model weights", []Figure{{"model", "<model>"}}, "safetensors"},
	{"fail-port-in-use", failure.PortInUse, "Address already in use", nil, "--port"},
	{"fail-seqs-above-batched-tokens", failure.BadArguments, "max_num_batched_tokens (64) must be greater than or equal to max_num_seqs (128)", []Figure{{"max_num_seqs", "128"}}, "--max-num-seqs to 64"},
	{"fail-tensor-parallel-3", failure.BadArguments, "must be divisible by tensor parallel size (3)", []Figure{{"heads", "4"}, {"tensor_parallel_size", "3"}}, "divides 4"},
	{"fail-unknown-flag", failure.BadArguments, "unrecognized arguments: --no-such-flag 3", []Figure{{"arguments", "--no-such-flag 3"}}, "--no-such-flag"},
	{"good-0.5b-defaults", failure.None, "came up", nil, ""},
	{"good-0.5b-no-tokenizer-files", failure.None, "told to stop", nil, ""},
	{"good-tiny-defaults", failure.None, "told to stop", nil, ""},
	{"good-tiny-eager-short", failure.None, "told to stop", nil, ""},
	{"good-tiny-eager", failure.None, "told to stop", nil, ""},
	{"run-0.5b-preempt-then-core-sigkill", failure.EngineDied, "killed from outside (SIGKILL)", nil, "out-of-memory killer"},
	{"run-engine-death-out-of-vocab", failure.EngineDied, "index out of bounds: 0 <= tmp3 < 2048L", []Figure{{"bounds", "0 <= tmp3 < 2048L"}}, "outside the vocabulary"},
	{"run-sigterm-drain", failure.Aborted, "waited for open connections", nil, "--shutdown-timeout"},
	{"run-sigterm-in-flight-error", failure.Aborted, "the engine was killed under them", nil, "--shutdown-timeout"},
	{"run-sigterm-in-flight-hang", failure.Aborted, "waited for open connections", nil, "close its own connections"},
	{"run-tiny-all-exchanges", failure.None, "told to stop", nil, ""},
	{"run-tiny-preempt", failure.None, "told to stop", nil, ""},
}

func TestDiagnoseEveryCapturedLog(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range diagnoses {
		seen[c.log+".log.gz"] = true
		t.Run(c.log, func(t *testing.T) {
			d := Diagnose(startlog(t, c.log))
			require.Equal(t, c.class, d.Class, "%v", d)
			require.Contains(t, d.Cause, c.cause)
			require.NotContains(t, d.Change, "{")
			require.Contains(t, d.Change, c.change)
			for _, f := range c.figures {
				require.Equal(t, f.Value, d.Figure(f.Name), f.Name)
			}
			require.Equal(t, c.class == failure.None, d.Err() == nil)
		})
	}
	files, err := filepath.Glob("testdata/startlogs/*.log.gz")
	require.NoError(t, err)
	for _, f := range files {
		require.True(t, seen[filepath.Base(f)], "%s has no row in diagnoses", f)
	}
	require.Len(t, files, len(diagnoses))
}

// A GPU build was not at hand for these: the texts are those of vLLM's source and of logs that its users published.
func TestDiagnoseWordsOfGPUBuilds(t *testing.T) {
	for _, c := range []struct {
		said  string
		class failure.Class
		want  string
	}{
		{"ValueError: Free memory on device cuda:0 (20.1/79.18 GiB) on startup is less than desired GPU memory utilization (0.92, 72.85 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes.", failure.MemoryHeld, "below 20.1 GiB"},
		{"ValueError: The model's max seq len (29000) is larger than the maximum number of tokens that can be stored in KV cache (23648). Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine.", failure.ContextTooLong, "--max-model-len to 23648"},
		{"ValueError: To serve at least one request with the models's max seq len (262144), (24.0 GiB KV cache is needed, which is larger than the available KV cache memory (3.18 GiB). Based on the available memory, the estimated maximum model length is 34736. Try", failure.ContextTooLong, "--max-model-len to 34736"},
		{"ValueError: To serve at least one request with the model's max seq len (8192), (1.0 GiB KV cache is needed, which is larger than the available KV cache memory (0.0 GiB). Try increasing", failure.ContextTooLong, "below 8192"},
		{"ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine.", failure.NoRoomForKV, "--gpu-memory-utilization"},
		{"ValueError: Cannot auto-fit max_model_len: not enough GPU memory available to serve even a single token. Try increasing `gpu_memory_utilization`.", failure.NoRoomForKV, "--gpu-memory-utilization"},
		{"RuntimeError: CUDA out of memory occurred when warming up sampler with 1024 dummy requests. Please try lowering `max_num_seqs` or `gpu_memory_utilization` when initializing the engine.", failure.OutOfMemory, "below 1024"},
		{"  File \"gpu_worker.py\", line 1, in load_model\n    self.model_runner.load_model()\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 896.00 MiB. GPU 0 has a total capacity of 79.18 GiB of which 12.44 MiB is free.", failure.WeightsDoNotFit, "--tensor-parallel-size"},
		{"  File \"gpu_worker.py\", line 1, in compile_or_warm_up_model\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.18 GiB of which 1.44 GiB is free.", failure.OutOfMemory, "--max-num-seqs"},
		{"AssertionError: Error in memory profiling. Initial free memory 40.1 GiB, current free memory 60.2 GiB. This happens when other processes", failure.MemoryHeld, "another process"},
		{"RuntimeError: No CUDA GPUs are available", failure.NeverReady, "machine with a GPU"},
		{"ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has compute capability 7.5.", failure.BadArguments, "--dtype float16"},
		{"(EngineCore pid=7) ERROR 11-24 14:02:12 [multiproc_executor.py:315] Worker proc VllmWorker-0 died unexpectedly (exit code: -9), shutting down executor.", failure.OutOfMemory, "out-of-memory killer"},
	} {
		d := Diagnose(c.said)
		require.Equal(t, c.class, d.Class, c.said)
		require.Contains(t, d.Change, c.want)
	}
}

func TestDiagnoseDeathsOfARunningEngine(t *testing.T) {
	up := "INFO:     Application startup complete.\n"
	for _, c := range []struct {
		said  string
		class failure.Class
		want  string
	}{
		{"(EngineCore pid=7) ERROR 11-24 14:02:12 [core.py:1512] EngineCore encountered a fatal error.\n(EngineCore pid=7) ERROR 11-24 14:02:12 [core.py:1512] torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.18 GiB of which 1.20 GiB is free.", failure.OutOfMemory, "2.50 GiB"},
		{"(EngineCore pid=7) ERROR 11-24 14:02:12 [multiproc_executor.py:315] Worker proc VllmWorker-1 died unexpectedly (exit code: -9), shutting down executor.", failure.EngineDied, "VllmWorker-1"},
		{"(EngineCore pid=7) ERROR 11-24 14:02:12 [core.py:1512] EngineCore encountered a fatal error.\n(EngineCore pid=7) ERROR 11-24 14:02:12 [core.py:1512] RuntimeError: CUDA error: an illegal memory access was encountered", failure.EngineDied, "illegal memory access"},
		{"(EngineCore pid=7) ERROR 11-24 14:02:12 [core.py:1512] EngineCore encountered a fatal error.\n(EngineCore pid=7) ERROR 11-24 14:02:12 [core.py:1512] KeyError: 'cmpl-1'", failure.EngineDied, "KeyError: 'cmpl-1'"},
	} {
		d := Diagnose(up + c.said)
		require.Equal(t, c.class, d.Class, c.said)
		require.Contains(t, d.String(), c.want)
	}
}

func TestUnknownLogsSayUnknownWithTheirLastLines(t *testing.T) {
	var log strings.Builder
	log.WriteString("(Worker pid=1) ERROR 11-24 14:02:12 [x.py:1] quaternion.FluxError: the frobnicator is at odds\n")
	for range 40 {
		log.WriteString("(APIServer pid=1) INFO 11-24 14:02:12 [x.py:1] humming\n")
	}
	log.WriteString("the very last words\n\n")
	d := Diagnose(log.String())
	require.Equal(t, failure.Unknown, d.Class)
	require.Contains(t, d.Cause, "FluxError: the frobnicator is at odds")
	require.Len(t, d.Last, lastLines)
	require.Equal(t, "the very last words", d.Last[lastLines-1])
	require.Contains(t, d.Err().Message, "the very last words")

	empty := Diagnose("")
	require.Equal(t, failure.Unknown, empty.Class)
	require.Contains(t, empty.Change, "empty")
}

func FuzzDiagnose(f *testing.F) {
	for _, c := range diagnoses[:4] {
		f.Add(c.cause)
	}
	f.Add("(APIServer pid=1) ERROR 11-24 14:02:12 [x.py:1] \nINFO:     Application startup complete.\n")
	f.Fuzz(func(t *testing.T, log string) {
		d := Diagnose(log)
		require.LessOrEqual(t, len(d.Last), lastLines)
		_ = d.String()
	})
}
