package advise

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

var target = slo.Target{TTFT: time.Second, TPOT: 50 * time.Millisecond}

// simulated predicts deployments with the simulator.
func simulated(t *testing.T, w workload.Workload) Try {
	return func(d deploy.Deployment) (Evidence, error) {
		r, _, err := d.Resolve()
		if err != nil {
			return Evidence{}, err
		}
		run, err := sim.Backend{}.Run(t.Context(), r, w)
		if err != nil {
			return Evidence{}, err
		}
		return Evidence{Deployment: r, Failure: run.Failure, Summary: stats.Summarize(run), Verdict: slo.Judge(run, target)}, nil
	}
}

func on(t *testing.T, model, gpu string) deploy.Deployment {
	m, err := fixtures.Model(model)
	require.NoError(t, err)
	g, err := fixtures.GPU(gpu)
	require.NoError(t, err)
	return deploy.Deployment{Model: m, GPU: g}
}

func given(r Report) (names []string) {
	for _, a := range r.Given {
		names = append(names, a.Rule)
	}
	return names
}

// 16 seats are too few for 80 requests a second, and the cache is nearly empty: more seats help, and the advice says
// from what to what.
func TestMoreSeatsHelpAServerThatHasRoom(t *testing.T) {
	d := on(t, "Qwen/Qwen2.5-0.5B-Instruct", "a100-40gb-sxm")
	d.Engine.MaxNumSeqs = 16
	try := simulated(t, workload.BatchChat(2000).At(workload.Poisson{Rate: 80}))
	e, err := try(d)
	require.NoError(t, err)
	rep, err := On(e, Rules(), try)
	require.NoError(t, err)
	require.Contains(t, given(rep), "more seats")
	a := rep.Given[0]
	require.Equal(t, "raise --max-num-seqs from 16 to 64", a.What)
	require.Greater(t, a.After.Share, a.Before.Share)
	require.Greater(t, a.After.Goodput, a.Before.Goodput)
	require.NotContains(t, given(rep), "fewer seats", "nothing was preempted")
}

// A 14B model does not start on a 24 GB card; 4-bit weights or a second card make it.
func TestWhatDoesNotStartIsMadeToStart(t *testing.T) {
	try := simulated(t, workload.BatchChat(20).At(workload.Poisson{Rate: 0.5}))
	e, err := try(on(t, "Qwen/Qwen2.5-14B-Instruct", "rtx-4090"))
	require.NoError(t, err)
	require.NotNil(t, e.Failure)
	rep, err := On(e, Rules(), try)
	require.NoError(t, err)
	require.Contains(t, given(rep), "4-bit weights")
	for _, a := range rep.Given {
		require.False(t, a.Before.Starts)
		require.True(t, a.After.Starts, "%v", a)
	}
}

// An idle server that meets its SLO needs no advice.
func TestNothingIsAdvisedWhereNothingHelps(t *testing.T) {
	try := simulated(t, workload.BatchChat(100).At(workload.Poisson{Rate: 1}))
	e, err := try(on(t, "Qwen/Qwen2.5-0.5B-Instruct", "h100-sxm"))
	require.NoError(t, err)
	rep, err := On(e, Rules(), try)
	require.NoError(t, err)
	require.Empty(t, rep.Given)
}

func TestAdviceIsGivenOnlyIfItHelps(t *testing.T) {
	rule := Rule{"always", "to see", 0, func(Evidence) (string, bool) { return "so it is", true }, func(*deploy.Deployment) string { return "change it" }}
	at := func(share, goodput float64) Evidence {
		return Evidence{Verdict: slo.Verdict{Share: share, GoodputPerSec: goodput}}
	}
	for _, c := range []struct {
		share, goodput float64
		helps          bool
	}{
		{0.9, 10, false}, {0.9, 11, true}, {0.95, 10, true}, {0.95, 8, false}, {0.8, 12, false}, {0.905, 10.05, false},
	} {
		rep, err := On(at(0.9, 10), []Rule{rule}, func(deploy.Deployment) (Evidence, error) { return at(c.share, c.goodput), nil })
		require.NoError(t, err)
		require.Equal(t, c.helps, len(rep.Given) == 1, "%+v", c)
		require.Equal(t, 1, len(rep.Given)+len(rep.Useless))
	}
	_, err := On(at(0.9, 10), []Rule{rule}, func(deploy.Deployment) (Evidence, error) { return Evidence{}, errors.New("no answer") })
	require.ErrorContains(t, err, "advise: always: no answer")
}
