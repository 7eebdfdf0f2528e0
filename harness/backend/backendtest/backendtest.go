// Package backendtest is what any backend must do: the laws of a run, whoever served it.
//
//	backendtest.Test(t, b, d, backendtest.Small())
package backendtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/backend"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// Load is a workload and how many of its requests may be in flight at once; 0 = any number.
type Load struct {
	Name     string
	Play     workload.Workload
	InFlight int
}

// Small returns loads that any server can take, a few seconds each: at a rate, in a burst, in a closed loop, with a
// shared prefix.
func Small() []Load {
	rows := workload.Rows{Count: 24, Prompt: workload.Uniform{Min: 8, Max: 96}, Output: workload.Uniform{Min: 1, Max: 24}}
	shared := rows
	shared.SharedPrefix, shared.Groups = 64, 2
	shared.Prompt = workload.Uniform{Min: 80, Max: 160}
	return []Load{
		{"poisson", rows.At(workload.Poisson{Rate: 20}), 0},
		{"all-at-once", rows.At(workload.AllAtOnce{}), 0},
		{"closed-loop", rows.At(workload.Closed{InFlight: 5}), 5},
		{"shared-prefix", shared.At(workload.Closed{InFlight: 3}), 3},
	}
}

// Pipelines returns the same for a backend that has Ray Data in front of its server, or plays it: rows one after the other,
// four batches of a task together, a semaphore, and batches that wait for their last row.
func Pipelines() []Load {
	rows := workload.Rows{Count: 48, Prompt: workload.Uniform{Min: 8, Max: 96}, Output: workload.Uniform{Min: 1, Max: 24}}
	shared := rows
	shared.SharedPrefix, shared.Groups = 64, 2
	shared.Prompt = workload.Uniform{Min: 80, Max: 160}
	var loads []Load
	for _, l := range []struct {
		name string
		p    workload.Pipeline
	}{
		{"pipeline/http", workload.Pipeline{Kind: workload.HTTP, Rows: rows, BatchSize: 12, Blocks: 4}},
		{"pipeline/http-four-together", workload.Pipeline{Kind: workload.HTTP, Rows: rows, BatchSize: 3, Blocks: 4}},
		{"pipeline/semaphore", workload.Pipeline{Rows: rows, BatchSize: 16, MaxPending: 5}},
		{"pipeline/tails", workload.Pipeline{Rows: shared, BatchSize: 6, MaxConcurrentBatches: 2}},
	} {
		loads = append(loads, Load{l.name, l.p, l.p.MostRows()})
	}
	return loads
}

// Test plays the loads on d and checks the laws. d must serve them all completely.
func Test(t *testing.T, b backend.Backend, d deploy.Deployment, loads []Load) {
	t.Helper()
	for _, l := range loads {
		t.Run(l.Name, func(t *testing.T) {
			run, err := b.Run(t.Context(), d, l.Play)
			require.NoError(t, err)
			require.Nil(t, run.Failure)
			Check(t, run, l)
		})
	}
}

// Check holds a run against its load: everything asked was answered in full, once, in an order that time allows.
func Check(t *testing.T, run *record.Run, l Load) {
	t.Helper()
	asked := map[int]workload.Request{}
	for _, r := range workload.Requests(l.Play) {
		asked[r.ID] = r
	}
	require.Len(t, run.Requests, len(asked))
	var gaps int64
	var last units.Time
	for i := range run.Requests {
		r := &run.Requests[i]
		a, ok := asked[r.ID]
		require.True(t, ok, "request %d was not asked for, or is there twice", r.ID)
		delete(asked, r.ID)
		require.True(t, r.Completed(), "request %d: %s: %s", r.ID, r.Outcome, r.Detail)
		require.Equal(t, a.Prompt, r.Prompt, "prompt of request %d", r.ID)
		require.Equal(t, a.Output, r.Output, "output of request %d", r.ID)
		if l.InFlight == 0 {
			require.Equal(t, a.At, r.Intended, "request %d", r.ID)
		}
		require.LessOrEqual(t, r.Intended, r.Sent, "request %d", r.ID)
		require.Less(t, r.Sent, r.First, "request %d", r.ID)
		require.LessOrEqual(t, r.First, r.Last, "request %d", r.ID)
		gaps += int64(r.Output) - 1
		last = max(last, r.Last)
	}
	require.Equal(t, last, run.End)
	// Tokens that come together in a first chunk have no gap between them that anybody could see.
	require.LessOrEqual(t, run.Gaps.Count, gaps)
	if l.InFlight > 0 {
		require.LessOrEqual(t, peak(run), l.InFlight)
	}
	require.NotEmpty(t, run.Provenance.Backend)
}

// peak is the most requests between their send and their last token.
func peak(run *record.Run) int {
	most := 0
	for i := range run.Requests {
		at, n := run.Requests[i].Sent, 0
		for j := range run.Requests {
			if r := &run.Requests[j]; r.Sent <= at && at < r.Last {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
