//go:build ray

package ray

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/serve"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// These tests need a cluster that is theirs: they kill its workers, and the last one the cluster itself. Run them by
// `make live-ray`, or by live.sh.

func live(t *testing.T) Backend {
	t.Helper()
	address := os.Getenv("SYMBIOTE_RAY")
	if address == "" {
		t.Skip("SYMBIOTE_RAY is not set; `make live-ray` runs these tests beside a cluster of their own")
	}
	limits := Limits{Job: 4 * time.Minute, Poll: 200 * time.Millisecond}
	return Backend{Cluster: Cluster{Dashboard: address, Limits: limits}}
}

// serving starts the simulated engine as a server and returns its base URL.
func serving(t *testing.T, d deploy.Deployment, faults *serve.Faults) string {
	t.Helper()
	s, err := serve.New(serve.Config{Deployments: []deploy.Deployment{d}, Faults: faults, Precise: true})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go s.Serve(l)
	t.Cleanup(s.Close)
	return "http://" + l.Addr().String() + "/v1"
}

// long rows keep a batch's time well above what Ray takes to deliver one.
func long(n int) workload.Rows {
	return workload.Rows{Count: n, Prompt: workload.Uniform{Min: 60, Max: 200}, Output: workload.Uniform{Min: 150, Max: 250}}
}

func TestLiveFaults(t *testing.T) {
	b, d := live(t), small(t)
	hit := func(kind serve.FaultKind, status int, every int) *serve.Faults {
		return &serve.Faults{Faults: []serve.Fault{{Kind: kind, Status: status, Every: every, Message: "injected"}}}
	}
	once := func(kind serve.FaultKind, status int) *serve.Faults {
		return &serve.Faults{Faults: []serve.Fault{{Kind: kind, Status: status, Requests: []int{6}, Message: "injected"}}}
	}
	for _, c := range []struct {
		name   string
		kind   workload.PipelineKind
		faults *serve.Faults
		on     workload.OnError
		want   Tally // OutOfOrder aside
		class  failure.Class
	}{
		{"http 429, retried", workload.HTTP, hit(serve.Status, 429, 7), workload.OnError{MaxRetries: 3, BaseRetryWait: 50 * time.Millisecond}, Tally{Asked: 64, OK: 64, Resent: 10}, failure.None},
		{"http reset, retried", workload.HTTP, hit(serve.Reset, 0, 20), workload.OnError{MaxRetries: 3, BaseRetryWait: 50 * time.Millisecond}, Tally{Asked: 64, OK: 64, Resent: 3}, failure.None},
		{"http 429, not retried", workload.HTTP, once(serve.Status, 429), workload.OnError{}, Tally{Asked: 64, Lost: 64}, failure.Overloaded},
		{"http 429, a task may fail", workload.HTTP, once(serve.Status, 429), workload.OnError{MaxErroredBlocks: 1}, Tally{Asked: 64, OK: 48, Lost: 16, LostSent: 16}, failure.None},
		{"http 500 with JSON is an answer", workload.HTTP, once(serve.Status, 500), workload.OnError{}, Tally{Asked: 64, OK: 63, Failed: 1}, failure.None},
		{"http reset, not retried", workload.HTTP, once(serve.Reset, 0), workload.OnError{}, Tally{Asked: 64, Lost: 64}, failure.ConnectionLost},
		{"vllm engine dies, and is there again", workload.VLLM, once(serve.Reset, 0), workload.OnError{}, Tally{Asked: 64, OK: 64, Resent: 16}, failure.None},
		{"vllm 400, the job fails", workload.VLLM, once(serve.Status, 400), workload.OnError{}, Tally{Asked: 64, Lost: 64}, failure.Unknown},
		{"vllm 400, goes on", workload.VLLM, once(serve.Status, 400), workload.OnError{Continue: true}, Tally{Asked: 64, OK: 63, Failed: 1}, failure.None},
		{"vllm 400, a task may fail", workload.VLLM, once(serve.Status, 400), workload.OnError{MaxErroredBlocks: 1}, Tally{Asked: 64, OK: 48, Lost: 16, LostSent: 16}, failure.None},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := serving(t, d, c.faults)
			b := b
			b.Endpoint, b.StandIns = url, []string{url}
			r, err := b.Report(t.Context(), d, workload.Pipeline{Kind: c.kind, Rows: rows(64), BatchSize: 16, Blocks: 4, OnError: c.on})
			require.NoError(t, err)
			t.Logf("%v · exit code %d", r.Tally, r.End.ExitCode)
			require.Equal(t, r.Tally.Asked, r.Tally.OK+r.Tally.Failed+r.Tally.Lost)
			if c.class == failure.None {
				require.Nil(t, r.Run.Failure)
				require.Equal(t, 0, r.End.ExitCode)
				got := r.Tally
				got.OutOfOrder, got.LostSent, c.want.LostSent = 0, 0, 0
				if c.want.Resent > 0 {
					require.Positive(t, got.Resent)
					got.Resent, c.want.Resent = 0, 0
				}
				require.Equal(t, c.want, got)
				return
			}
			require.Equal(t, c.class, r.Run.Failure.Class, r.Run.Failure.Message)
			require.Equal(t, 3, r.End.ExitCode)
			require.Positive(t, r.Tally.Lost)
			require.Positive(t, r.Tally.LostSent)
		})
	}
}

// TestLiveKills: whoever dies, no row is without an outcome, and what was sent twice is counted.
func TestLiveKills(t *testing.T) {
	b, d := live(t), small(t)
	p := workload.Pipeline{Kind: workload.HTTP, Rows: rows(240), BatchSize: 10, Blocks: 8}
	for _, c := range []struct {
		name, victim string
		kind         workload.PipelineKind
		check        func(t *testing.T, r Report)
	}{
		{"actor", "ray::MapWorker", workload.HTTP, func(t *testing.T, r Report) {
			require.Nil(t, r.Run.Failure)
			require.Equal(t, 240, r.Tally.OK, "the task is computed again")
			require.Positive(t, r.Tally.Resent)
			require.Equal(t, 0, r.End.ExitCode)
		}},
		{"engine", "ray::MapWorker", workload.VLLM, func(t *testing.T, r Report) {
			require.Nil(t, r.Run.Failure)
			require.Equal(t, 240, r.Tally.OK, "the actor's running tasks are computed again")
			require.Positive(t, r.Tally.Resent)
		}},
		{"driver", "python pipe.py", workload.HTTP, func(t *testing.T, r Report) {
			require.NotNil(t, r.Run.Failure)
			require.Equal(t, "FAILED", r.End.Status)
			require.NotZero(t, r.End.ExitCode)
			require.Positive(t, r.Tally.Lost)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := serving(t, d, nil)
			b.Endpoint, b.StandIns = url, []string{url}
			p := p
			p.Kind = c.kind
			go killOnce(t.Context(), c.victim, func() bool { return busy(url) })
			r, err := b.Report(t.Context(), d, p)
			require.NoError(t, err)
			t.Logf("%v · %s, exit code %d", r.Tally, r.End.Status, r.End.ExitCode)
			require.Equal(t, 240, r.Tally.OK+r.Tally.Failed+r.Tally.Lost)
			c.check(t, r)
			requireNothingRuns(t, b)
		})
	}
}
