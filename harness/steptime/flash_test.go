package steptime_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/steptime"
	"github.com/testing-symbiote/symbiote/harness/units"
)

func card(t *testing.T, name string) catalog.GPU {
	t.Helper()
	g, err := fixtures.GPU(name)
	require.NoError(t, err)
	return g
}

func timerOf(t *testing.T, model string, g catalog.GPU, e deploy.Engine) steptime.Timer {
	t.Helper()
	m, err := fixtures.Model(model)
	require.NoError(t, err)
	d, _, err := deploy.Deployment{Model: m, GPU: g, Engine: e}.Resolve()
	require.NoError(t, err)
	timer, err := steptime.For(d)
	require.NoError(t, err)
	return timer
}

// beside is what the attention of n decodes takes in a step with a prompt, and alone what it takes by itself: the rows of
// the matrices are the same without them.
func beside(timer steptime.Timer, n, context int) (mixed, alone units.Span) {
	with, none := *decodes(n, context), *decodes(n, 0)
	alone = timer.GPU(&with) - timer.GPU(&none)
	with.Chunks, with.Tokens = []engine.Chunk{{Tokens: 256}}, with.Tokens+256
	none = with
	none.Decodes, none.DecodeContext = 0, 0
	none.Chunks = []engine.Chunk{{Tokens: 256}, {Tokens: units.Tokens(n)}}
	return timer.GPU(&with) - timer.GPU(&none), alone
}

// Attention of Llama-3.1-8B in one layer: decodes beside a chunk of 256 tokens, less that of the chunk alone, in
// microseconds, as LLMServingSim's profiler measured it in vLLM 0.19.
func TestDecodesBesideAPromptAsMeasured(t *testing.T) {
	for _, c := range []struct {
		gpu              string
		decodes, context int
		measured         float64
	}{
		{"rtx-4090", 64, 512, 379.4}, // the L2 holds the keys of a head
		{"rtx-4090", 64, 1024, 647.2},
		{"rtx-4090", 128, 2048, 4530.5}, // it does not
		{"rtx-4090", 128, 8192, 18036.5},
		{"rtx-pro-6000", 64, 512, 184.5},
		{"rtx-pro-6000", 64, 1024, 314.1},
		{"rtx-pro-6000", 128, 1024, 687.9},
		{"rtx-pro-6000", 128, 8192, 8582.8},
	} {
		mixed, _ := beside(timerOf(t, "meta-llama/Llama-3.1-8B", card(t, c.gpu), deploy.Engine{MaxModelLen: 16384}), c.decodes, c.context)
		got := mixed.Seconds() * 1e6 / 32
		require.Less(t, math.Abs(math.Log(got/c.measured)), 0.25, "%s: %d decodes of %d tokens: %.0f µs, measured %.0f", c.gpu, c.decodes, c.context, got, c.measured)
	}
}

// A GPU of one's own may say neither how many SMs it has nor how large its L2 is.
func TestDecodesBesideAPromptOnAnUnknownChip(t *testing.T) {
	g := card(t, "l40s")
	g.SMs, g.L2 = 0, 0
	mixed, alone := beside(timerOf(t, "Qwen/Qwen2.5-7B-Instruct", g, deploy.Engine{}), 100, 1000)
	require.Greater(t, mixed, 5*alone)
}

func TestOnlyFlashAttention2PaysForAPromptBeside(t *testing.T) {
	for _, c := range []struct {
		name, gpu string
		engine    deploy.Engine
		pays      bool
	}{
		{"Ampere", "a100-80gb-sxm", deploy.Engine{}, true},
		{"Ada", "l40s", deploy.Engine{}, true},
		{"consumer Blackwell", "rtx-pro-6000", deploy.Engine{}, true},
		{"by name", "a10g", deploy.Engine{AttentionBackend: "FLASH_ATTN", MaxModelLen: 4096}, true},
		{"Hopper", "h100-sxm", deploy.Engine{}, false},
		{"data center Blackwell", "b200", deploy.Engine{}, false},
		{"FlashInfer", "a100-80gb-sxm", deploy.Engine{AttentionBackend: "FLASHINFER"}, false},
		{"Triton", "a100-80gb-sxm", deploy.Engine{AttentionBackend: "TRITON_ATTN"}, false},
		{"fp8 cache", "l40s", deploy.Engine{KVCacheDType: "fp8"}, false},
	} {
		mixed, alone := beside(timerOf(t, "Qwen/Qwen2.5-7B-Instruct", card(t, c.gpu), c.engine), 200, 2000)
		if c.pays {
			require.Greater(t, mixed, alone*3/2, c.name)
			require.Less(t, mixed, alone*8, "%s: 7 heads share keys", c.name)
		} else {
			require.Less(t, mixed, alone*5/4, c.name)
		}
	}
}
