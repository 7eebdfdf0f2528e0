package memory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/memory"
)

func on(t *testing.T, model, gpu, version string, e deploy.Engine) deploy.Deployment {
	t.Helper()
	m, err := fixtures.Model(model)
	require.NoError(t, err)
	g, err := fixtures.GPU(gpu)
	require.NoError(t, err)
	return deploy.Deployment{Model: m, GPU: g, VLLMVersion: version, Engine: e}
}

// Block counts that vLLM itself printed.
func TestBlockCounts(t *testing.T) {
	lite := func(tp, tokens int) deploy.Engine {
		return deploy.Engine{TensorParallelSize: tp, MaxModelLen: 4096, MaxNumSeqs: 128, MaxNumBatchedTokens: tokens}
	}
	for _, c := range []struct {
		model, gpu, version string
		engine              deploy.Engine
		low, high           int
	}{
		{"Llama-2-7B", "h100-sxm", "0.15.1", lite(1, 2048), 7463, 7463},
		{"Mistral-Nemo-12B", "h100-sxm", "0.15.1", lite(1, 2048), 19251, 19251},
		{"Mistral-Nemo-12B", "h100-sxm", "0.15.1", lite(2, 1024), 48009, 48009},
		{"Yi-34B", "h100-sxm", "0.15.1", lite(2, 2048), 20793, 20793},
		{"Llama-3.1-70B", "h100-sxm", "0.15.1", lite(4, 2048), 30251, 30425},
		{"Llama-3.1-70B", "h100-sxm", "0.15.1", lite(4, 8192), 30251, 30425},
		{"Qwen2.5-7B", "h100-sxm", "0.15.1", lite(1, 2048), 65368, 65368},
		{"Llama-3.1-8B", "rtx-4090", "0.19.0", deploy.Engine{MaxModelLen: 32768}, 2588, 2588},
	} {
		c.engine.GPUMemoryUtilization = 0.9
		p, err := memory.For(on(t, c.model, c.gpu, c.version, c.engine))
		require.NoError(t, err)
		t.Logf("%-18s %-9s tp%d  printed %d  planned %d  %+.2f %%  %v", c.model, c.gpu, max(1, c.engine.TensorParallelSize), c.low, p.NumBlocks, 100*(float64(p.NumBlocks)/float64(c.low)-1), p)
		require.GreaterOrEqual(t, float64(p.NumBlocks), 0.98*float64(c.low))
		require.LessOrEqual(t, float64(p.NumBlocks), 1.02*float64(c.high))
	}
}

// Start-ups that others published and that no figure was fitted to: the second runner as 0.27 and later count it.
func TestPublishedStarts(t *testing.T) {
	for _, c := range []struct {
		source, model, gpu, version string
		engine                      deploy.Engine
		kv                          float64 // GiB, as the log prints it
	}{
		{"Qwen3-14B-AWQ on an L40S, a study blog of 2026-09-06", "Qwen3-14B", "l40s", "0.28.0", deploy.Engine{Quantization: "awq"}, 29.63},
		{"the same, tuned for few sequences", "Qwen3-14B", "l40s", "0.28.0",
			deploy.Engine{Quantization: "awq", GPUMemoryUtilization: 0.95, MaxModelLen: 1024, MaxNumSeqs: 8, MaxNumBatchedTokens: 8192}, 31.02},
		{"the same on two L4", "Qwen3-14B", "l4", "0.28.0", deploy.Engine{Quantization: "awq", TensorParallelSize: 2}, 14.38},
		{"the same in two stages", "Qwen3-14B", "l4", "0.28.0", deploy.Engine{Quantization: "awq", PipelineParallelSize: 2}, 14.04},
		{"samilazrak/vllm-optimization-lab, tuned", "Qwen3-14B", "l40s", "0.29.0",
			deploy.Engine{Quantization: "awq", GPUMemoryUtilization: 0.95, MaxNumSeqs: 512, MaxNumBatchedTokens: 8192}, 30.03},
	} {
		t.Run(c.source, func(t *testing.T) {
			p, err := memory.For(on(t, c.model, c.gpu, c.version, c.engine))
			require.NoError(t, err)
			require.InDelta(t, c.kv, p.KVCache.GiB(), 0.12, "%v", p)
		})
	}
}

// Every allocation of the profiling pass was recorded on an H200 (0.26, Qwen3-32B, 1,024 sequences, 8,192 tokens): its
// peak is 1.516 GiB without compilation, 1.605 where the compile cache is empty.
func TestActivationAsRecorded(t *testing.T) {
	for _, c := range []struct {
		eager, warm bool
		want        float64
	}{{true, false, 1.5156}, {false, true, 1.5156}, {false, false, 1.6053}} {
		d := on(t, "Qwen3-32B", "h200-sxm", "0.26.0", deploy.Engine{EnforceEager: c.eager})
		d.WarmCompile = c.warm
		p, err := memory.For(d)
		require.NoError(t, err)
		require.InDelta(t, c.want, p.Activation.GiB(), 0.001, "%+v", c)
	}
}

// A pair of equal starts on an RTX 3090 (mystous/vllm_hybrid), the second with the compile cache that the first left.
func TestSecondStart(t *testing.T) {
	d := on(t, "Qwen2.5-7B", "rtx-3090", "0.20.0", deploy.Engine{GPUMemoryUtilization: 0.9, MaxModelLen: 4096})
	first, err := memory.For(d)
	require.NoError(t, err)
	d.WarmCompile = true
	second, err := memory.For(d)
	require.NoError(t, err)
	require.InDelta(t, 6.28-5.82, (second.KVCache - first.KVCache).GiB(), 0.05)
}

// Logs of 0.26 on an H100 print the device's free memory before and after the pass too, from which 0.27 would count:
// 72.84 GiB less what was consumed and the peak above it (the 32 MiB that cuBLAS keeps are in both).
func TestCountedByFreeMemory(t *testing.T) {
	for _, c := range []struct {
		model        string
		engine       deploy.Engine
		after, peaks float64
	}{
		{"Qwen2.5-0.5B-Instruct", deploy.Engine{}, 76.77, 0.34},
		{"Qwen2.5-7B-Instruct", deploy.Engine{}, 63.45, 1.13},
		{"Qwen2.5-7B-Instruct", deploy.Engine{Quantization: "awq", MaxModelLen: 4096}, 72.33, 1.13},
		{"Qwen2.5-14B-Instruct", deploy.Engine{}, 50.11, 1.61},
	} {
		p, err := memory.For(on(t, c.model, "h100-sxm", "0.27.0", c.engine))
		require.NoError(t, err)
		require.InDelta(t, 72.84-(78.66-c.after)-(c.peaks-0.03), p.KVCache.GiB(), 0.06, c.model)
	}
}

// What public logs print as the pass's peak on an H100 (llm-d-incubation/llm-d-planner, 0.19): images come first.
func TestActivationOfModelsThatTakeImages(t *testing.T) {
	for model, want := range map[string]float64{"gemma-3-4b-it": 3.89, "gemma-3-12b-it": 3.94, "gemma-3-27b-it": 3.99} {
		p, err := memory.For(on(t, model, "h100-sxm", "0.19.0", deploy.Engine{GPUMemoryUtilization: 0.95, MaxModelLen: 8192}))
		require.NoError(t, err)
		require.InDelta(t, want, p.Activation.GiB(), 0.06, model)
	}
}

// What public logs print as the pass's peak where the sampler is its widest moment: an H100 with 0.11 and 0.15, which
// sort, and with 0.18 and 0.19, which do not.
func TestActivationOfTheSampler(t *testing.T) {
	for _, c := range []struct {
		model, version string
		ranks          int
		want           float64
	}{
		{"Qwen3-0.6B", "0.11.0", 1, 5.56},
		{"Llama-3.1-8B-Instruct", "0.11.0", 1, 4.76},
		{"Qwen3-14B", "0.15.0", 1, 5.64},
		{"Qwen3-14B", "0.18.0", 1, 2.23},
		{"Llama-3.1-8B-Instruct", "0.19.0", 1, 1.89},
		{"Qwen2.5-7B-Instruct", "0.19.0", 1, 2.21},
		{"Qwen3-8B", "0.19.0", 1, 2.21},
		{"gemma-7b", "0.19.0", 1, 3.63},
		{"Qwen2.5-72B-Instruct", "0.19.0", 2, 2.29},
	} {
		p, err := memory.For(on(t, c.model, "h100-sxm", c.version, deploy.Engine{GPUMemoryUtilization: 0.95, MaxModelLen: 8192, TensorParallelSize: c.ranks}))
		require.NoError(t, err)
		require.InDelta(t, c.want, p.Activation.GiB(), 0.01, "%+v", c)
	}
}

// One L4 with and without the pass that 0.33 adds, of which a pull request measured the two caches (1,733,440 and
// 1,710,928 tokens): the difference is the sampler's alone.
func TestSamplingWithEveryParameter(t *testing.T) {
	e := deploy.Engine{GPUMemoryUtilization: 0.98, MaxModelLen: 2048, MaxNumSeqs: 256}
	before, err := memory.For(on(t, "Qwen2.5-0.5B-Instruct", "l4", "0.32.0", e))
	require.NoError(t, err)
	after, err := memory.For(on(t, "Qwen2.5-0.5B-Instruct", "l4", "0.33.0", e))
	require.NoError(t, err)
	require.InDelta(t, 22512.0*12288/(1<<30), (after.Activation - before.Activation).GiB(), 0.002)
}

// What logs of 0.19 on an H100 print after loading: the workspace of a backend that is not used is in it, on every rank.
func TestWeightsOfLatentAttention(t *testing.T) {
	for ranks, want := range map[int]float64{1: 29.43, 2: 14.83, 4: 7.51} {
		p, err := memory.For(on(t, "DeepSeek-V2-Lite-Chat", "h100-sxm", "0.19.0", deploy.Engine{MaxModelLen: 8192, TensorParallelSize: ranks}))
		require.NoError(t, err)
		require.InDelta(t, want, p.Weights.GiB(), 0.01, ranks)
	}
}

// What public logs print after loading gpt-oss on cards where Marlin multiplies its experts: 13.72 GiB on an A100 and
// others, 65.97 for the larger one on an H100 without Triton's kernels.
func TestWeightsOfRoundedExperts(t *testing.T) {
	for model, want := range map[string]float64{"gpt-oss-20b": 13.72, "gpt-oss-120b": 65.97} {
		p, err := memory.For(on(t, model, "a100-80gb-sxm", "0.11.0", deploy.Engine{MaxModelLen: 8192}))
		require.NoError(t, err)
		require.InDelta(t, want, p.Weights.GiB(), 0.03, model)
	}
}
