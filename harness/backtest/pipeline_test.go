package backtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// The limits are promises about runs that were not starved: the model's constants were set once for all of them.
func TestPipelineAgainstCleanRuns(t *testing.T) {
	rep, err := Pipeline("testdata/ray", true)
	require.NoError(t, err)
	require.Equal(t, 29, rep.Runs)
	require.LessOrEqual(t, rep.Makespan.Median, 4.0)
	require.LessOrEqual(t, rep.Mean.Median, 10.0)
	require.GreaterOrEqual(t, float64(rep.Exact), 0.8*float64(rep.Runs))
}

func TestPipelineReplaysStarvedRunsToo(t *testing.T) {
	const all = "../../../shared/groundtruth/ray"
	if _, err := os.Stat(all); err != nil {
		t.Skip("no other timelines: ../shared/groundtruth/ray is not beside the repository")
	}
	rep, err := Pipeline(all, false)
	require.NoError(t, err)
	require.Greater(t, rep.Runs, 29)
	for _, s := range rep.Skipped {
		require.Contains(t, s.Why, "injected", "nothing else is left out")
	}
}

func TestPipelineReadsStrictly(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	_, err := Pipeline(dir, false)
	require.ErrorContains(t, err, "runs.csv: no such file")
	write("runs.csv", "id,kind\n")
	_, err = Pipeline(dir, false)
	require.ErrorContains(t, err, "no runs")
	write("runs.csv", "id,kind\na,vllm\n")
	_, err = Pipeline(dir, false)
	require.ErrorContains(t, err, `column "`)
}

// Four rows of 1 s and one of 9 s in a batch: the seat of the batch is free only after its last row.
func TestServeRowsHoldsTheBatchForItsLastRow(t *testing.T) {
	p := workload.Pipeline{
		Rows:      workload.Rows{Count: 10, Prompt: workload.Fixed(1), Output: workload.Fixed(1)},
		BatchSize: 5, MaxConcurrentBatches: 1, MaxTasksInFlight: 2, Blocks: 2,
	}
	service := make([]units.Span, 10)
	for i := range service {
		service[i] = units.Second
	}
	service[2] = 9 * units.Second
	c, _ := serveRows(p, service, 0)
	require.Equal(t, 5, c.peak())
	require.InDelta(t, 9+1+0.01, c.makespan().Seconds(), 1e-9)
	one, _ := serveRows(p, service, 1) // a server with one seat: the answers follow each other
	require.InDelta(t, 4+9+5+0.01, one.makespan().Seconds(), 1e-9)
}
