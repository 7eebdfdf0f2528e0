package deploy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
)

func on(t *testing.T, gpu, version string, e deploy.Engine) deploy.Deployment {
	t.Helper()
	m, err := fixtures.Model("Qwen3-8B")
	require.NoError(t, err)
	g, err := fixtures.GPU(gpu)
	require.NoError(t, err)
	return deploy.Deployment{Model: m, GPU: g, VLLMVersion: version, Engine: e}
}

// The values come from vLLM's own resolution code, run for 0.26, 0.30 and 0.33.
func TestDefaultsAreVLLMs(t *testing.T) {
	engine := deploy.Engine{UsageContext: "engine"}
	for _, c := range []struct {
		name, gpu, version           string
		give                         deploy.Engine
		tokens, seqs, longest, sizes int
	}{
		{"serve on H200", "h200-sxm", "0.33.0", deploy.Engine{}, 8192, 1024, 512, 51},
		{"serve on H200, 0.26", "h200-sxm", "0.26.0", deploy.Engine{}, 8192, 1024, 512, 51},
		{"serve on B200", "b200", "0.33.0", deploy.Engine{}, 16384, 1024, 1024, 83},
		{"serve on B200, 0.26", "b200", "0.26.0", deploy.Engine{}, 8192, 1024, 512, 51},
		{"LLM() on H200", "h200-sxm", "0.33.0", deploy.Engine{UsageContext: "llm"}, 16384, 1024, 512, 51},
		{"serve on L4", "l4", "0.33.0", deploy.Engine{}, 2048, 256, 512, 51},
		{"serve on A100-80GB", "a100-80gb-sxm", "0.33.0", deploy.Engine{}, 2048, 256, 512, 51},
		{"Ray Data on H200", "h200-sxm", "0.33.0", engine, 2048, 128, 256, 35},
		{"Ray Data on L4", "l4", "0.33.0", engine, 2048, 128, 256, 35},
		{"100 seqs", "h200-sxm", "0.33.0", deploy.Engine{MaxNumSeqs: 100}, 8192, 100, 200, 29},
		{"100 seqs, 0.30", "h200-sxm", "0.30.0", deploy.Engine{MaxNumSeqs: 100}, 8192, 100, 200, 28},
		{"16 seqs", "h200-sxm", "0.33.0", deploy.Engine{MaxNumSeqs: 16}, 8192, 16, 32, 7},
		{"throughput", "h200-sxm", "0.33.0", deploy.Engine{PerformanceMode: "throughput"}, 16384, 2048, 512, 51},
		{"small budget", "h200-sxm", "0.33.0", deploy.Engine{MaxNumBatchedTokens: 100, MaxNumSeqs: 64}, 100, 64, 100, 16},
		{"tiny context", "h200-sxm", "0.33.0", deploy.Engine{MaxModelLen: 4}, 4096, 1024, 512, 51},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, _, err := on(t, c.gpu, c.version, c.give).Resolve()
			require.NoError(t, err)
			require.Equal(t, c.tokens, d.Engine.MaxNumBatchedTokens, "max_num_batched_tokens")
			require.Equal(t, c.seqs, d.Engine.MaxNumSeqs, "max_num_seqs")
			sizes := deploy.CaptureSizes(d)
			require.Len(t, sizes, c.sizes)
			require.Equal(t, c.longest, sizes[len(sizes)-1])
		})
	}
}

func TestFullDecodeBatchHasItsOwnGraph(t *testing.T) {
	for version, want := range map[string]int{"0.33.0": 100, "0.30.0": 96} {
		d, _, err := on(t, "h200-sxm", version, deploy.Engine{MaxNumSeqs: 100}).Resolve()
		require.NoError(t, err)
		require.Equal(t, want, deploy.DecodeGraphs(d), version)
	}
}

func TestStepsArePaddedToACapturedSize(t *testing.T) {
	d, _, err := on(t, "h200-sxm", "0.33.0", deploy.Engine{}).Resolve()
	require.NoError(t, err)
	sizes := deploy.CaptureSizes(d)
	for tokens, want := range map[int]int{1: 1, 2: 2, 3: 4, 5: 8, 9: 16, 100: 104, 249: 256, 257: 272, 500: 512, 512: 512} {
		got, ok := deploy.Padded(sizes, tokens)
		require.True(t, ok)
		require.Equal(t, want, got, "%d tokens", tokens)
	}
	_, ok := deploy.Padded(sizes, 513)
	require.False(t, ok)
}

func TestRefusalsAreInVLLMsWords(t *testing.T) {
	off := false
	for _, c := range []struct {
		name string
		give deploy.Engine
		want string
	}{
		{"budget below seqs", deploy.Engine{MaxNumSeqs: 300, MaxNumBatchedTokens: 256},
			"max_num_batched_tokens (256) must be greater than or equal to max_num_seqs (300)."},
		{"budget below model length", deploy.Engine{MaxNumBatchedTokens: 1024, MaxNumSeqs: 64, MaxModelLen: 2048, EnableChunkedPrefill: &off},
			"max_num_batched_tokens (1024) is smaller than max_model_len (2048). This effectively limits the maximum sequence length to max_num_batched_tokens and makes vLLM reject longer sequences."},
		{"active above seqs", deploy.Engine{MaxNumSeqs: 16, MaxNumActiveSeqs: 17}, "max_num_active_seqs (17) cannot be greater than max_num_seqs (16)."},
		{"heads", deploy.Engine{TensorParallelSize: 3}, "Total number of attention heads (32) must be divisible by tensor parallel size (3)."},
		{"context", deploy.Engine{MaxModelLen: 100000}, "User-specified max_model_len (100000) is greater than the derived max_model_len (max_position_embeddings=40960.0"},
		{"utilization", deploy.Engine{GPUMemoryUtilization: 2}, "less than or equal to 1"},
		{"dtype", deploy.Engine{DType: "float99"}, "argument --dtype: invalid choice: 'float99' (choose from 'auto', 'bfloat16', 'float', 'float16', 'float32', 'half')"},
		{"attention backend", deploy.Engine{AttentionBackend: "FLASHATTN"}, "argument --attention-backend: invalid choice: 'FLASHATTN' (choose from 'FLASH_ATTN', 'FLASHINFER', "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := on(t, "h200-sxm", "0.33.0", c.give).Resolve()
			require.Equal(t, failure.BadArguments, failure.Classify(err))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestResolveSetsEveryFieldAndSharesNothing(t *testing.T) {
	off := false
	given := on(t, "l4", "", deploy.Engine{EnablePrefixCaching: &off})
	d, warnings, err := given.Resolve()
	require.NoError(t, err)
	require.Empty(t, warnings)
	e := d.Engine
	require.Equal(t, deploy.Newest, d.VLLMVersion)
	require.Equal(t, "V2", d.Runner)
	require.InDelta(t, 0.92, e.GPUMemoryUtilization, 0)
	require.Equal(t, 40960, e.MaxModelLen)
	require.Equal(t, 256, e.MaxNumActiveSeqs)
	require.Equal(t, "bfloat16", e.DType)
	require.False(t, *e.EnablePrefixCaching)
	require.True(t, *e.EnableChunkedPrefill)
	require.True(t, *e.AsyncScheduling)
	require.True(t, *e.SchedulerReserveFullISL)
	*e.EnablePrefixCaching = true
	require.False(t, off)
	again, _, err := d.Resolve()
	require.NoError(t, err)
	require.Equal(t, d, again, "resolving twice changes nothing")
}

// Which runner a release takes, as its own list of architectures decides.
func TestRunnerByRelease(t *testing.T) {
	for _, c := range []struct {
		version, model, quantization, want string
	}{
		{"0.7.3", "Qwen3-8B", "", "V0"},
		{"0.21.0", "Qwen3-8B", "", "V1"},
		{"0.22.0", "Qwen3-8B", "", "V2"},
		{"0.22.0", "Qwen2.5-7B-Instruct", "", "V1"},
		{"0.23.0", "Llama-3.1-8B-Instruct", "", "V2"},
		{"0.23.0", "Qwen3-8B", "fp8", "V1"},
		{"0.24.0", "Qwen3-8B", "fp8", "V2"},
		{"0.24.0", "Qwen2.5-7B-Instruct", "", "V1"},
		{"0.25.0", "Qwen2.5-7B-Instruct", "awq", "V2"},
		{"0.26.0", "gemma-3-4b-it", "", "V2"},
		{"0.28.0", "Qwen3-30B-A3B", "", "V1"},
		{"0.28.0", "DeepSeek-V2-Lite-Chat", "", "V2"},
		{"0.29.0", "Qwen3-30B-A3B", "", "V2"},
	} {
		m, err := fixtures.Model(c.model)
		require.NoError(t, err)
		d := on(t, "h100-sxm", c.version, deploy.Engine{Quantization: c.quantization, MaxModelLen: 4096})
		d.Model = m
		r, _, err := d.Resolve()
		require.NoError(t, err)
		require.Equal(t, c.want, r.Runner, "%s on %s", c.model, c.version)
	}
}
