package live_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/backend/backendtest"
	"github.com/testing-symbiote/symbiote/harness/backend/live"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/serve"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

func deployed(t *testing.T) deploy.Deployment {
	m, err := fixtures.Model("Qwen/Qwen2.5-7B-Instruct")
	require.NoError(t, err)
	g, err := fixtures.GPU("h100-sxm")
	require.NoError(t, err)
	return deploy.Deployment{Model: m, GPU: g, Server: deploy.Server{EnablePromptTokensDetails: true}}
}

// standIn is a live backend in front of the simulated engine, over pipes.
func standIn(t *testing.T, d deploy.Deployment) live.Backend {
	s, err := serve.New(serve.Config{Deployments: []deploy.Deployment{d}})
	require.NoError(t, err)
	tr := &http.Transport{
		MaxIdleConnsPerHost: 64, IdleConnTimeout: 4 * time.Second,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			s.Start(server)
			return client, nil
		},
	}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		s.Close()
	})
	return live.Backend{Endpoint: "http://stand-in", Transport: tr, Beside: sim.Backend{}}
}

// The whole live path against the stand-in: every law of a backend, and the simulator beside it. The stand-in times
// its steps by the wall, so this test does too, and judges no latency.
func TestTheWholePathAgainstTheStandIn(t *testing.T) {
	d := deployed(t)
	for _, l := range backendtest.Small() {
		t.Run(l.Name, func(t *testing.T) {
			t.Parallel()
			m, err := standIn(t, d).Measure(t.Context(), d, l.Play)
			require.NoError(t, err)
			require.Nil(t, m.Run.Failure)
			backendtest.Check(t, m.Run, l)
			require.NoError(t, m.Cache.Broken())
			require.True(t, m.Cache.Counted)
			if l.Name != "shared-prefix" { // there hits depend on who comes first
				require.Equal(t, m.Simulated.Engine.Hits, m.Cache.Hits, "prefix hits of the stand-in and of the simulator")
			}
			require.NotEmpty(t, m.Simulated.Requests)
		})
	}
}

// What the server refuses is one outcome among the others, and the simulator refuses the same.
func TestWhatTheStandInRefusesIsCounted(t *testing.T) {
	d := deployed(t)
	d.Engine.MaxModelLen = 512
	w := workload.Rows{Count: 20, Prompt: workload.Uniform{Min: 400, Max: 700}, Output: workload.Fixed(2)}.At(workload.AllAtOnce{})
	m, err := standIn(t, d).Measure(t.Context(), d, w)
	require.NoError(t, err)
	s, simulated := stats.Summarize(m.Run), stats.Summarize(m.Simulated)
	require.Positive(t, s.Failed)
	require.Equal(t, simulated.Failures, s.Failures)
	require.Equal(t, 20, s.Completed+s.Failed)
}
