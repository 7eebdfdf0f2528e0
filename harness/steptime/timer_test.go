package steptime_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures/calibration"
	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/steptime"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// qwen7 is Qwen2.5-7B on an H100, as the measured runs had it.
func qwen7() deploy.Deployment {
	return deploy.Deployment{
		Model: catalog.Model{ID: "Qwen/Qwen2.5-7B-Instruct", Layers: 28, HiddenSize: 3584, IntermediateSize: 18944, Heads: 28,
			KVHeads: 4, HeadDim: 128, VocabSize: 152064, MaxModelLen: 32768, QKVBias: true, DType: "bfloat16"},
		GPU: catalog.GPU{ID: "h100-sxm", Name: "NVIDIA H100 80GB HBM3", Bandwidth: 3.35e12, SMs: 132, PeakBF16: 989.4e12,
			PeakFP8: 1978.9e12, Interconnect: 450e9, NVLink: true},
		Host:   "h100",
		Engine: deploy.Engine{TensorParallelSize: 1, MaxNumSeqs: 1024, MaxNumBatchedTokens: 8192, DType: "bfloat16"},
	}
}

func decodes(n, context int) *engine.Work {
	return &engine.Work{Decodes: n, DecodeContext: units.Tokens(n * context), Tokens: units.Tokens(n), Sampled: n, Running: n}
}

func TestEveryProfileIsPhysical(t *testing.T) {
	for _, id := range calibration.GPUs() {
		p, err := steptime.GPUProfile(catalog.GPU{ID: id})
		require.NoError(t, err)
		require.Equal(t, id, p.ID)
	}
	for _, id := range calibration.Hosts() {
		p, err := steptime.HostProfile(id)
		require.NoError(t, err)
		require.Equal(t, id, p.ID)
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	timer, err := steptime.For(qwen7())
	require.NoError(t, err)
	var s engine.StepTimer = timer
	w, c := decodes(64, 400), engine.Cost{}
	require.Zero(t, testing.AllocsPerRun(100, func() { s.Step(w, &c) }))
}

func BenchmarkStep(b *testing.B) {
	timer, err := steptime.For(qwen7())
	require.NoError(b, err)
	var s engine.StepTimer = timer
	w, c := decodes(64, 400), engine.Cost{}
	w.Chunks = []engine.Chunk{{Tokens: 300}, {Tokens: 200, Context: 512}}
	w.Tokens += 500
	b.ReportAllocs()
	for b.Loop() {
		s.Step(w, &c)
	}
}
