package serve_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/serve"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// A Poisson load through HTTP, in virtual time, has the latencies that the simulator gives for it, request by request:
// what a client of the stand-in measures differs from them by its own machine's delays alone.
func TestLatencyAgreesWithTheSimulator(t *testing.T) {
	model, err := fixtures.Model("Qwen/Qwen2.5-7B-Instruct")
	require.NoError(t, err)
	gpu, err := fixtures.GPU("h100-sxm")
	require.NoError(t, err)
	d := deploy.Deployment{Model: model, GPU: gpu}
	load := workload.Load{
		Rows:     workload.Rows{Count: 200, Prompt: workload.Fixed(500), Output: workload.Fixed(48)},
		Arrivals: workload.Poisson{Rate: 20},
	}
	want, err := sim.Backend{}.Run(context.Background(), d, load)
	require.NoError(t, err)

	type seen struct{ sent, first, last time.Duration }
	got := make([]seen, len(want.Requests))
	synctest.Test(t, func(t *testing.T) {
		s, err := serve.New(serve.Config{Deployments: []deploy.Deployment{d}})
		require.NoError(t, err)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range want.Requests {
			wg.Add(1)
			go func() {
				defer wg.Done()
				time.Sleep(want.Requests[i].Sent.Sub(0).Duration() - time.Since(began))
				c := call(t, s)
				g := &got[i]
				g.sent = time.Since(began)
				// Each prompt has a salt of its own, for the simulator's prompts share nothing.
				c.send("POST", completions, body(500, 48, `,"stream":true,"cache_salt":"`+time.Duration(i).String()+`"`))
				c.head()
				for e := c.event(); e != "[DONE]"; e = c.event() {
					if g.last = time.Since(began); g.first == 0 {
						g.first = g.last
					}
				}
			}()
		}
		wg.Wait()
		s.Close()
	})
	for i, w := range want.Requests {
		ttft, ok := w.TTFT()
		require.True(t, ok)
		require.InDelta(t, ttft.Seconds(), (got[i].first - got[i].sent).Seconds(), 2e-6, "TTFT of request %d", i)
		e2e, ok := w.E2EL()
		require.True(t, ok)
		require.InDelta(t, e2e.Seconds(), (got[i].last - got[i].sent).Seconds(), 2e-6, "E2EL of request %d", i)
	}
}
