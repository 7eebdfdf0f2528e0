package memory

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// h200 is a plan of the 28-layer Qwen3 on an H200 whose profile left exactly so much for the KV cache.
func h200(t *testing.T, version string, available units.Bytes, e deploy.Engine) (Plan, error) {
	t.Helper()
	m, err := fixtures.Model("Qwen3-1.7B")
	require.NoError(t, err)
	g, err := fixtures.GPU("h200-sxm")
	require.NoError(t, err)
	m.MaxModelLen = max(m.MaxModelLen, e.MaxModelLen)
	if e.MaxModelLen == -1 {
		m.MaxModelLen = 131072
	}
	d, _, err := deploy.Deployment{Model: m, GPU: g, VLLMVersion: version, Engine: e}.Resolve()
	require.NoError(t, err)
	p := Plan{Deployment: d, Budget: 128 * units.GiB, MaxModelLen: d.Engine.MaxModelLen, fit: Fitted(), Stages: []Stage{{KVCache: available}}}
	err = p.size()
	return p, err
}

// The figures come from vLLM 0.33's own planning code.
func TestVectors(t *testing.T) {
	const available = 131_801_089_895 // of a profile that consumed 3.4 GB and peaked 2.9 GB above
	require.Equal(t, "122.75", short(available))

	p, err := h200(t, "0.33.0", available, deploy.Engine{})
	require.NoError(t, err)
	require.Equal(t, units.Bytes(1_835_008), p.BlockBytes)
	require.Equal(t, units.Blocks(71_825), p.NumBlocks)
	require.Equal(t, units.Tokens(1_149_200), p.KVTokens)
	require.InDelta(t, 28.06, p.MaxConcurrency, 0.005)

	p, err = h200(t, "0.33.0", available, deploy.Engine{TensorParallelSize: 2})
	require.NoError(t, err)
	require.Equal(t, units.Blocks(143_651), p.NumBlocks)

	p, err = h200(t, "0.33.0", 8*units.GiB, deploy.Engine{MaxModelLen: -1})
	require.NoError(t, err)
	require.Equal(t, 74_880, p.MaxModelLen)
	require.Equal(t, units.Blocks(4681), p.NumBlocks)
	require.Equal(t, units.Tokens(74_896), p.KVTokens)
	require.InDelta(t, 1.00, p.MaxConcurrency, 0.005)

	p, err = h200(t, "0.33.0", available, deploy.Engine{NumGPUBlocksOverride: 5000})
	require.NoError(t, err)
	require.Equal(t, units.Blocks(5000), p.NumBlocks)
	require.Equal(t, units.Tokens(80_000), p.KVTokens)
	require.InDelta(t, 1.95, p.MaxConcurrency, 0.005)
}

func TestRefusalsAreInVLLMsWords(t *testing.T) {
	for _, c := range []struct {
		version   string
		available units.Bytes
		length    int
		class     failure.Class
		want      string
	}{
		{"0.33.0", 8 * units.GiB, 131072, failure.ContextTooLong, "To serve at least one request with the model's max seq len (131072), (14.0 GiB KV cache is needed, which is larger than the available KV cache memory (8.0 GiB). " +
			"Based on the available memory, the estimated maximum model length is 74880. Try increasing `gpu_memory_utilization` (which also controls CPU memory on the CPU backend) or decreasing `max_model_len` when initializing the engine. " +
			"See https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more details."},
		{"0.28.0", 8 * units.GiB, 131072, failure.ContextTooLong, "the estimated maximum model length is 74896. Try"},
		{"0.33.0", -1, 4096, failure.NoRoomForKV, "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine (this flag also controls CPU memory reservation on the CPU backend, despite its name). " +
			"See https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more details."},
		{"0.7.3", -1, 4096, failure.NoRoomForKV, "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine."},
		{"0.7.3", units.GiB, 29000, failure.ContextTooLong, "The model's max seq len (29000) is larger than the maximum number of tokens that can be stored in KV cache (9360)."},
		{"0.33.0", 2_000_000, 40960, failure.ContextTooLong, "is larger than the available KV cache memory (0.0 GiB). Try increasing"},
	} {
		p, err := h200(t, c.version, c.available, deploy.Engine{MaxModelLen: c.length})
		require.Equal(t, c.class, failure.Classify(err), c.want)
		require.ErrorContains(t, err, c.want)
		require.NotEmpty(t, p.Deployment.Model.ID)
	}
}

func TestRequestedMemory(t *testing.T) {
	m, err := fixtures.Model("Qwen3-1.7B")
	require.NoError(t, err)
	g, err := fixtures.GPU("h200-sxm")
	require.NoError(t, err)
	d := deploy.Deployment{Model: m, GPU: g}
	p, err := For(d)
	require.NoError(t, err)
	require.Equal(t, units.Bytes(138_101_089_895), p.Budget)

	d.Engine.GPUMemoryUtilization = 0.9
	p, err = For(d)
	require.NoError(t, err)
	require.Equal(t, units.Bytes(135_098_892_288), p.Budget)

	d.Engine.GPUMemoryUtilization = 0
	d.MemoryHeld = g.Memory - 120*units.GiB - gib(Fitted()[contextOutside])
	_, err = For(d)
	require.Equal(t, failure.MemoryHeld, failure.Classify(err))
	require.ErrorContains(t, err, "Free memory on device cuda:0 (120.0/139.8 GiB) on startup is less than desired GPU memory utilization (0.92, 128.62 GiB). "+
		"Decrease GPU memory utilization or reduce GPU memory used by other processes.")
}
