package memory_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// anyDeployment draws one that vLLM may or may not start.
func anyDeployment(seed uint64) deploy.Deployment {
	r := rand.New(rand.NewPCG(seed, 1))
	l := fixtures.Library()
	pick := func(n ...int) int { return n[r.IntN(len(n))] }
	return deploy.Deployment{
		Model:       l.Models[r.IntN(len(l.Models))],
		GPU:         l.GPUs[r.IntN(len(l.GPUs))],
		VLLMVersion: []string{"0.33.0", "0.30.0", "0.26.0", "0.21.0", "0.17.1", "0.11.0", "0.8.5", "0.7.3"}[r.IntN(8)],
		Engine: deploy.Engine{
			TensorParallelSize:   pick(1, 1, 2, 4, 8),
			PipelineParallelSize: pick(1, 1, 1, 2),
			GPUMemoryUtilization: []float64{0, 0.5, 0.85, 0.95}[r.IntN(4)],
			MaxModelLen:          pick(0, 2048, 4096, 4096),
			MaxNumSeqs:           pick(0, 16, 256, 1024),
			MaxNumBatchedTokens:  pick(0, 2048, 8192, 16384),
			Quantization:         []string{"", "", "awq", "gptq-int8", "fp8"}[r.IntN(5)],
			KVCacheDType:         []string{"", "", "fp8"}[r.IntN(3)],
			EnforceEager:         r.IntN(4) == 0,
		},
		MemoryHeld: units.Gibibytes(float64(pick(0, 0, 0, 2))),
	}
}

func TestLaws(t *testing.T) {
	started := 0
	for seed := range uint64(500) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			d := anyDeployment(seed)
			p, err := memory.For(d)
			if failure.Classify(err) == failure.BadArguments {
				return
			}
			sum := units.Bytes(0)
			for _, term := range p.Terms {
				sum += term.Bytes
			}
			require.Equal(t, p.Budget, sum, "the terms sum to the budget")
			if err != nil {
				return
			}
			started++
			require.LessOrEqual(t, units.Bytes(int64(p.NumBlocks))*p.BlockBytes, largest(p.Stages), "the blocks fit into what is left")
			more := d
			more.GPU.Memory += 4 * units.GiB
			if q, err := memory.For(more); err == nil && sameDefaults(p, q) {
				require.GreaterOrEqual(t, q.NumBlocks, p.NumBlocks, "more memory never fewer blocks")
			}
			wider := d
			wider.Engine.TensorParallelSize = 2 * p.Deployment.Engine.TensorParallelSize
			if q, err := memory.For(wider); failure.Classify(err) != failure.BadArguments {
				require.LessOrEqual(t, q.Weights, p.Weights, "more ranks never hold more of the weights each")
			}
		})
	}
	require.Greater(t, started, 100, "the law is tried on deployments that start")
}

func largest(stages []memory.Stage) units.Bytes {
	var most units.Bytes
	for _, s := range stages {
		most = max(most, s.KVCache)
	}
	return most
}

// sameDefaults is false where the larger memory changed what vLLM chose.
func sameDefaults(p, q memory.Plan) bool {
	a, b := p.Deployment.Engine, q.Deployment.Engine
	return a.MaxNumSeqs == b.MaxNumSeqs && a.MaxNumBatchedTokens == b.MaxNumBatchedTokens
}

func TestSmallestChangeFits(t *testing.T) {
	found := 0
	for seed := range uint64(200) {
		d := anyDeployment(seed)
		if _, err := memory.For(d); err == nil || failure.Classify(err) == failure.BadArguments {
			continue
		}
		c, ok := memory.Smallest(d, nil)
		if !ok {
			continue
		}
		found++
		q, err := memory.For(c.Plan.Deployment)
		require.NoError(t, err, "seed %d: %v", seed, c)
		require.Equal(t, c.Plan.NumBlocks, q.NumBlocks)
	}
	require.Greater(t, found, 20)
}

func TestFiguresAreFewAndSourced(t *testing.T) {
	require.Less(t, len(memory.Figures()), 20)
	for _, f := range memory.Figures() {
		require.NotEmpty(t, f.Rows, f.Name)
	}
}
