package sim_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

func deployment(t testing.TB, model, gpu string) deploy.Deployment {
	t.Helper()
	m, err := fixtures.Model(model)
	require.NoError(t, err)
	g, err := fixtures.GPU(gpu)
	require.NoError(t, err)
	return deploy.Deployment{Model: m, GPU: g}
}

func TestEveryRowHasOneOutcome(t *testing.T) {
	d := deployment(t, "Qwen/Qwen2.5-7B-Instruct", "h100-sxm")
	run, err := sim.Backend{}.Run(context.Background(), d, workload.BatchChat(300).At(workload.Poisson{Rate: 40}))
	require.NoError(t, err)
	require.Nil(t, run.Failure)
	require.Len(t, run.Requests, 300)
	tokens := int64(0)
	for _, r := range run.Requests {
		require.Equal(t, failure.None, r.Outcome)
		require.LessOrEqual(t, r.Intended, r.Admitted)
		require.LessOrEqual(t, r.Admitted, r.First)
		require.LessOrEqual(t, r.First, r.Last)
		tokens += int64(r.Output) - 1
	}
	require.Equal(t, tokens, run.Gaps.Count, "every token but the first of an answer has a gap before it")
}

func TestADeploymentThatDoesNotFitIsAResult(t *testing.T) {
	d := deployment(t, "Qwen/Qwen2.5-72B-Instruct", "rtx-3090")
	run, err := sim.Backend{}.Run(context.Background(), d, workload.BatchChat(3).At(workload.AllAtOnce{}))
	require.NoError(t, err)
	require.NotNil(t, run.Failure)
	require.Equal(t, failure.WeightsDoNotFit, run.Failure.Class)
}

func BenchmarkChat60(b *testing.B) {
	d := deployment(b, "Qwen/Qwen2.5-7B-Instruct", "h100-sxm")
	w := workload.Load{Rows: workload.Rows{Count: 100_000, Prompt: workload.Fixed(512), Output: workload.Fixed(128)}, Arrivals: workload.Poisson{Rate: 60}}
	b.ReportAllocs()
	for b.Loop() {
		run, err := sim.Backend{}.Run(context.Background(), d, w)
		if err != nil || len(run.Requests) != 100_000 {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "req/s")
}
