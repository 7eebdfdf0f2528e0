package ray

import (
	"compress/gzip"
	"encoding/csv"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/backend/backendtest"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

func small(t *testing.T) deploy.Deployment {
	t.Helper()
	model, err := fixtures.Model("Qwen/Qwen2.5-7B-Instruct")
	require.NoError(t, err)
	gpu, err := fixtures.GPU("a100-80gb-sxm")
	require.NoError(t, err)
	return deploy.Deployment{Model: model, GPU: gpu}
}

// rows take about 0.3 s each: what Ray takes to deliver a block is of the same size.
func rows(n int) workload.Rows {
	return workload.Rows{Count: n, Prompt: workload.Uniform{Min: 60, Max: 200}, Output: workload.Uniform{Min: 10, Max: 40}}
}

// oneServer sends the requests of all actors to the same engine, as an HTTP pipeline does.
type oneServer struct{ workload.Pipeline }

func (o oneServer) Play() workload.Player { return onePlayer{o.Pipeline.Play()} }

type onePlayer struct{ workload.Player }

func (o onePlayer) Send() workload.Request {
	q := o.Player.Send()
	q.Replica = 0
	return q
}

// simulated is what a run of p is held against.
func simulated(t *testing.T, d deploy.Deployment, p workload.Pipeline) *record.Run {
	t.Helper()
	var w workload.Workload = p
	if d.Pipeline.Replicas = max(1, p.MinActors, p.MaxActors); p.Kind == workload.HTTP {
		w, d.Pipeline.Replicas = oneServer{p}, 1
	}
	run, err := sim.Backend{}.Run(t.Context(), d, w)
	require.NoError(t, err)
	return run
}

// TestSimulatedAgainstShortRows holds the simulated pipeline against runs of a real Ray 2.60 on two cores that nobody
// else used, in front of the simulated engine served over HTTP: testdata/short.csv.gz has when each row was sent and
// answered. The times that Ray takes were calibrated on the runs with four CPUs; those with eight and sixteen were not
// looked at for it, except for when actors that are added are ready.
func TestSimulatedAgainstShortRows(t *testing.T) {
	measured := shortRuns(t)
	cases := map[string]workload.Pipeline{
		"rows=1":           {Rows: rows(80), BatchSize: 1, Blocks: 80},
		"rows=5":           {Rows: rows(250), BatchSize: 5, Blocks: 50},
		"rows=10":          {Rows: rows(400), BatchSize: 10, Blocks: 40},
		"rows=20":          {Rows: rows(800), BatchSize: 20, Blocks: 40},
		"rows=40":          {Rows: rows(1200), BatchSize: 40, Blocks: 30, MaxNumSeqs: 256},
		"actors=2":         {Rows: rows(400), BatchSize: 10, Blocks: 40, MinActors: 2, MaxActors: 2},
		"tasks=16":         {Rows: rows(160), BatchSize: 10, Blocks: 16},
		"tasks=32":         {Rows: rows(320), BatchSize: 10, Blocks: 32},
		"blocks=64":        {Rows: rows(320), BatchSize: 20, Blocks: 64, MaxConcurrentBatches: 4},
		"concurrency=2":    {Rows: rows(160), BatchSize: 10, Blocks: 16, MaxConcurrentBatches: 2},
		"http/actors=1..2": {Kind: workload.HTTP, Rows: rows(160), BatchSize: 8, Blocks: 20, MinActors: 1, MaxActors: 2},
		"http/actors=1..4": {Kind: workload.HTTP, Rows: rows(240), BatchSize: 8, Blocks: 30, MinActors: 1, MaxActors: 4},
		"http/actors=1..8": {Kind: workload.HTTP, Rows: rows(480), BatchSize: 8, Blocks: 60, MinActors: 1, MaxActors: 8},
		"http/actors=4":    {Kind: workload.HTTP, Rows: rows(240), BatchSize: 8, Blocks: 30, MinActors: 4, MaxActors: 4},
	}
	held := 0
	for _, cpus := range []int{4, 8, 16} {
		for _, name := range slices.Sorted(maps.Keys(cases)) {
			p := cases[name]
			name = "cpus=" + strconv.Itoa(cpus) + "/" + name
			run, ok := measured[name]
			if !ok {
				continue
			}
			held++
			t.Run(name, func(t *testing.T) {
				p.CPUs = cpus
				c := compare(run, simulated(t, small(t), p))
				t.Log(c)
				require.InDelta(t, 0, c.makespanPct(), 10, "makespan")
				require.InDelta(t, 0, c.meanPct(), 15, "mean rows in flight")
				if limit := p.MostRows(); c.peakSim == limit { // otherwise it is how blocks happen to come that sets it
					require.Equal(t, c.peak, c.peakSim, "peak")
				}
			})
		}
	}
	require.Equal(t, len(measured), held)
}

// TestSimulatedPipelinesKeepTheLaws that a real cluster is held to as well.
func TestSimulatedPipelinesKeepTheLaws(t *testing.T) {
	backendtest.Test(t, sim.Backend{}, small(t), backendtest.Pipelines())
}

// TestARowThatTheEngineRefusesEndsTheJob, as on a real cluster, unless Ray is told to go on.
func TestARowThatTheEngineRefusesEndsTheJob(t *testing.T) {
	list := workload.List{}
	for i := range 64 {
		q := workload.Request{ID: i, Prompt: 100, Output: 20}
		if i == 5 {
			q.Prompt = 200_000
		}
		list.Requests = append(list.Requests, q)
	}
	for _, c := range []struct {
		kind  workload.PipelineKind
		on    workload.OnError
		fails bool
	}{{workload.VLLM, workload.OnError{}, true}, {workload.VLLM, workload.OnError{Continue: true}, false},
		{workload.VLLM, workload.OnError{MaxErroredBlocks: 1}, false}, {workload.HTTP, workload.OnError{}, false}} {
		run, err := sim.Backend{}.Run(t.Context(), small(t), workload.Pipeline{Kind: c.kind, Rows: list, BatchSize: 16, OnError: c.on})
		require.NoError(t, err)
		if c.fails {
			require.NotNil(t, run.Failure)
			require.Contains(t, run.Failure.Message, "64 of 64 rows did not come out; should_continue_on_error")
			continue
		}
		require.Nil(t, run.Failure)
		require.Len(t, run.Requests, 64)
		require.Equal(t, failure.Rejected, run.Requests[5].Outcome)
	}
}

func shortRuns(t *testing.T) map[string]*record.Run {
	t.Helper()
	f, err := os.Open("testdata/short.csv.gz")
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	lines, err := csv.NewReader(z).ReadAll()
	require.NoError(t, err)
	runs := map[string]*record.Run{}
	for _, l := range lines[1:] {
		sent, err := strconv.ParseFloat(l[1], 64)
		require.NoError(t, err)
		last, err := strconv.ParseFloat(l[2], 64)
		require.NoError(t, err)
		run := runs[l[0]]
		if run == nil {
			run = &record.Run{Start: units.Never}
			runs[l[0]] = run
		}
		q := record.Record{ID: len(run.Requests), Sent: units.Time(units.Seconds(sent)), Last: units.Time(units.Seconds(last))}
		run.Requests = append(run.Requests, q)
		run.Start, run.End = min(run.Start, q.Sent), max(run.End, q.Last)
	}
	return runs
}
