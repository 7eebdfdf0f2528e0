package memory_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// anyDeployment draws one that vLLM may or may not start.
func anyDeployment(t *rapid.T) deploy.Deployment {
	l := fixtures.Library()
	draw := func(name string, n ...int) int { return rapid.SampledFrom(n).Draw(t, name) }
	return deploy.Deployment{
		Model:       rapid.Custom(func(t *rapid.T) catalog.Model { return l.Models[rapid.IntRange(0, len(l.Models)-1).Draw(t, "i")] }).Draw(t, "model"),
		GPU:         rapid.Custom(func(t *rapid.T) catalog.GPU { return l.GPUs[rapid.IntRange(0, len(l.GPUs)-1).Draw(t, "i")] }).Draw(t, "gpu"),
		VLLMVersion: rapid.SampledFrom([]string{"0.33.0", "0.30.0", "0.28.0", "0.26.0", "0.23.0", "0.21.0", "0.17.1", "0.11.0", "0.8.5", "0.7.3", "0.2.4"}).Draw(t, "version"),
		Engine: deploy.Engine{
			TensorParallelSize:   draw("tp", 1, 1, 2, 4, 8),
			PipelineParallelSize: draw("pp", 1, 1, 1, 2),
			GPUMemoryUtilization: rapid.SampledFrom([]float64{0, 0.5, 0.85, 0.95}).Draw(t, "utilization"),
			MaxModelLen:          draw("max-model-len", 0, 2048, 4096, 4096),
			MaxNumSeqs:           draw("max-num-seqs", 0, 16, 256, 1024),
			MaxNumBatchedTokens:  draw("max-num-batched-tokens", 0, 2048, 8192, 16384),
			Quantization:         rapid.SampledFrom([]string{"", "", "awq", "gptq-int8", "fp8"}).Draw(t, "quantization"),
			KVCacheDType:         rapid.SampledFrom([]string{"", "", "fp8"}).Draw(t, "kv-cache-dtype"),
			EnforceEager:         rapid.Bool().Draw(t, "enforce-eager"),
		},
		MemoryHeld: units.Gibibytes(float64(draw("held", 0, 0, 0, 2))),
	}
}

// started is a drawn deployment with its plan; draws that vLLM would refuse are drawn again.
func started(t *rapid.T) (deploy.Deployment, memory.Plan) {
	d := anyDeployment(t)
	p, err := memory.For(d)
	if err != nil {
		t.Skip("refused")
	}
	return d, p
}

func TestTermsSumToTheBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, err := memory.For(anyDeployment(t))
		if failure.Classify(err) == failure.BadArguments {
			t.Skip("no plan")
		}
		sum := units.Bytes(0)
		for _, term := range p.Terms {
			require.NotEmpty(t, term.Source, term.Name)
			sum += term.Bytes
		}
		require.Equal(t, p.Budget, sum)
	})
}

func TestBlocksFitIntoWhatIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, p := started(t)
		require.LessOrEqual(t, units.Bytes(int64(p.NumBlocks))*p.BlockBytes, largest(p.Stages))
	})
}

func largest(stages []memory.Stage) units.Bytes {
	var most units.Bytes
	for _, s := range stages {
		most = max(most, s.KVCache)
	}
	return most
}

func TestMoreMemoryNeverFewerBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, p := started(t)
		d.GPU.Memory += units.Bytes(rapid.Int64Range(0, int64(64*units.GiB)).Draw(t, "more"))
		q, err := memory.For(d)
		if err != nil && failure.Classify(err) != failure.OutOfMemory {
			require.NoError(t, err, "what started with less starts with more")
		}
		if sameDefaults(p, q) {
			require.GreaterOrEqual(t, q.NumBlocks, p.NumBlocks)
		}
	})
}

// sameDefaults is false where the larger memory changed what vLLM chose.
func sameDefaults(p, q memory.Plan) bool {
	a, b := p.Deployment.Engine, q.Deployment.Engine
	return a.MaxNumSeqs == b.MaxNumSeqs && a.MaxNumBatchedTokens == b.MaxNumBatchedTokens
}

func TestMoreRanksNeverMoreWeightEach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, p := started(t)
		d.Engine.TensorParallelSize = 2 * p.Deployment.Engine.TensorParallelSize
		if q, err := memory.For(d); failure.Classify(err) != failure.BadArguments {
			require.LessOrEqual(t, q.Weights, p.Weights)
		}
	})
}

// What vLLM would name as the longest context that fits does fit, and one block more does not.
func TestLongestContextIsTheLongest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyDeployment(t)
		d.Engine.MaxModelLen, d.Engine.Quantization, d.GPU.Memory = 0, "", 1024*units.GiB
		d.Engine.KVCacheMemoryBytes = units.Bytes(rapid.Int64Range(int64(units.MiB), int64(4*units.GiB)).Draw(t, "kv-cache-memory-bytes"))
		p, err := memory.For(d)
		if failure.Classify(err) != failure.ContextTooLong || p.Deployment.Runner == "V0" || p.LongestFitting == 0 {
			t.Skip("another reason") // before V1 the passes grow with max_model_len
		}
		d.Engine.MaxNumSeqs, d.Engine.MaxNumBatchedTokens = p.Deployment.Engine.MaxNumSeqs, p.Deployment.Engine.MaxNumBatchedTokens
		d.Engine.MaxModelLen = p.LongestFitting
		_, err = memory.For(d)
		require.NotEqual(t, failure.ContextTooLong, failure.Classify(err), "%v", err)
		d.Engine.MaxModelLen = p.LongestFitting + p.Deployment.Engine.BlockSize
		_, err = memory.For(d)
		require.Equal(t, failure.ContextTooLong, failure.Classify(err), "%v", err)
	})
}

func TestSmallestChangeFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyDeployment(t)
		_, err := memory.For(d)
		if err == nil || failure.Classify(err) == failure.BadArguments {
			t.Skip("nothing to change")
		}
		c, ok := memory.Smallest(d, nil)
		if !ok {
			t.Skip("no single change suffices")
		}
		q, err := memory.For(c.Plan.Deployment)
		require.NoError(t, err, "%v", c)
		require.Equal(t, c.Plan.NumBlocks, q.NumBlocks)
	})
}

func TestFiguresAreFewAndSourced(t *testing.T) {
	require.Less(t, len(memory.Figures()), 20)
	for _, f := range memory.Figures() {
		require.NotEmpty(t, f.Rows, f.Name)
	}
}
