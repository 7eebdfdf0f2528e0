package backtest

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

// The clean run that the model misses by more than a quarter is missed by when its actors started: the three that were
// added were ready 7.0, 10.5 and 13.5 s after the first row, on cores that others had, and a server that sleeps does not
// notice. Told so, the model misses a third of that; the rest are rows that the starved actors sent late.
func TestTheMissOfACleanRunIsItsStartUp(t *testing.T) {
	runs, err := readPipelineRuns("testdata/ray/runs.csv")
	require.NoError(t, err)
	i := slices.IndexFunc(runs, func(r pipelineRun) bool { return r.id == "http_logn_b16_c4_cpu16_again" })
	arrivals, err := readTimeline("testdata/ray/" + runs[i].id + ".csv.gz")
	require.NoError(t, err)
	p := runs[i].pipeline()
	is, err := runs[i].replayAs(p, arrivals)
	require.NoError(t, err)
	require.Less(t, is.MakespanPct, -25.0)
	p.Costs.Added, p.Costs.AddedStagger = 6980*time.Millisecond, 3250*time.Millisecond
	told, err := runs[i].replayAs(p, arrivals)
	require.NoError(t, err)
	require.Greater(t, told.MakespanPct, is.MakespanPct/3-1)
	require.Greater(t, told.MakespanPct, -10.0)
	require.InDelta(t, 0, told.MeanPct, 10)
}

// Into each of twelve runs errors were injected: what came out and what was sent is as it was, to the row, except that
// a job that is ended has sent a few more or less in its last 0.4 s.
func TestPipelineWithErrors(t *testing.T) {
	rep, err := Pipeline("testdata/ray", false)
	require.NoError(t, err)
	n := 0
	for _, r := range rep.PerRun {
		if !strings.Contains(r.ID, "err_") {
			continue
		}
		n++
		require.Equal(t, r.RowsOut, r.RowsOutSim, "%s: rows out", r.ID)
		if r.RowsOut > 0 {
			require.Equal(t, r.Sent, r.SentSim, "%s: requests", r.ID)
			continue
		}
		require.InDelta(t, r.MakespanS, r.MakespanSim, 0.4, r.ID)
	}
	require.Equal(t, 12, n)
}

func TestPipelineReplaysStarvedRunsToo(t *testing.T) {
	const all = "../../../shared/groundtruth/ray"
	if _, err := os.Stat(all); err != nil {
		t.Skip("no other timelines: ../shared/groundtruth/ray is not beside the repository")
	}
	rep, err := Pipeline(all, false)
	require.NoError(t, err)
	require.Equal(t, 79, rep.Runs)
	require.Empty(t, rep.Skipped)
}

func TestFaultsAreRead(t *testing.T) {
	got, err := readFaults("row5:429x2;row20:valuexinf", "")
	require.NoError(t, err)
	require.Equal(t, faults{5: {how: workload.Retryable, times: 2}, 20: {how: workload.Raised, times: math.MaxInt, early: true}}, got)
	for _, bad := range []string{"row5:418x2", "five:429x1", "row5:429x0", "row5"} {
		_, err := readFaults(bad, "")
		require.ErrorContains(t, err, "want such as row5:429x2", bad)
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
	c, _ := (&rowServer{service: service}).serve(p)
	require.Equal(t, 5, c.peak())
	require.InDelta(t, 9+1+0.01, c.makespan().Seconds(), 1e-9)
	one, _ := (&rowServer{service: service, seats: 1}).serve(p) // a server with one seat: the answers follow each other
	require.InDelta(t, 4+9+5+0.01, one.makespan().Seconds(), 1e-9)
}
