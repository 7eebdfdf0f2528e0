//go:build gpu && !ray

package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/testing-symbiote/symbiote/harness/backend"
	"github.com/testing-symbiote/symbiote/harness/backend/live"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

const (
	exact       = false
	backendName = "live"
)

// repeats is how often a live case is measured: the fewest runs that have a spread.
const repeats = 3

// serving is the live backend: a running server, or a command that starts one for each deployment.
func serving() (backend.Backend, error) {
	endpoint, command := os.Getenv("SYMBIOTE_ENDPOINT"), os.Getenv("SYMBIOTE_VLLM")
	if endpoint == "" && command == "" {
		return nil, errors.New("suite: -tags gpu drives a live vLLM: set SYMBIOTE_ENDPOINT to the address of a running server, or SYMBIOTE_VLLM to a command that starts one, such as vllm")
	}
	return &repeated{endpoint: endpoint, launch: strings.Fields(command)}, nil
}

// repeated measures each case several times and keeps the run in the middle.
type repeated struct {
	endpoint string
	launch   []string
	probe    sync.Once
	offers   live.Offer
	err      error
}

func (r *repeated) Run(ctx context.Context, d deploy.Deployment, w workload.Workload) (*record.Run, error) {
	r.probe.Do(func() { r.offers, r.err = live.Offered(ctx, r.endpoint) })
	if r.err != nil {
		return nil, r.err
	}
	resolved, _, err := d.Resolve()
	if err != nil {
		return nil, err
	}
	blocks, planned := 0, 0
	if plan, err := memory.For(resolved); err == nil {
		blocks = int(plan.NumBlocks)
		planned = int(plan.KVTokens)
	}
	if why := r.offers.Lacks(resolved, blocks); why != "" {
		return nil, fmt.Errorf("%w: %s", errors.ErrUnsupported, why)
	}
	b := live.Backend{Endpoint: r.endpoint, Warmups: 2, Beside: sim.Backend{}, Log: os.Stderr}
	if r.endpoint == "" {
		b.Launch = r.launch
	}
	all, err := b.Repeat(ctx, d, func(uint64) workload.Workload { return w }, 0, repeats)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if err := m.Cache.Broken(); err != nil {
			return nil, err
		}
	}
	run := middle(all)
	if l := all[0].StartLog; l != nil && l.KVTokens.Known && planned > 0 {
		run.Provenance.Notes = append(run.Provenance.Notes, fmt.Sprintf("KV cache: planned %d tokens, the start-up log prints %.0f, error %+.1f%%",
			planned, l.KVTokens.Value, 100*(float64(planned)-l.KVTokens.Value)/l.KVTokens.Value))
	}
	return run, nil
}

// middle is the run of median output throughput, with what the repeats and the simulator say in its notes.
func middle(all []*live.Measurement) *record.Run {
	if last := all[len(all)-1]; last.Run.Failure != nil {
		return last.Run
	}
	by := slices.Clone(all)
	throughput := func(m *live.Measurement) float64 { return stats.Summarize(m.Run).OutputThroughput }
	slices.SortFunc(by, func(a, b *live.Measurement) int { return int(1e6 * (throughput(a) - throughput(b))) })
	m := by[len(by)/2]
	for _, f := range []struct {
		name string
		of   func(stats.Summary) float64
	}{
		{"req/s", func(s stats.Summary) float64 { return s.RequestThroughput }},
		{"output tok/s", func(s stats.Summary) float64 { return s.OutputThroughput }},
		{"TTFT p50 ms", func(s stats.Summary) float64 { return s.TTFT.P50.Milliseconds() }},
		{"TTFT p99 ms", func(s stats.Summary) float64 { return s.TTFT.P99.Milliseconds() }},
		{"TPOT p50 ms", func(s stats.Summary) float64 { return s.TPOT.P50.Milliseconds() }},
		{"TPOT p99 ms", func(s stats.Summary) float64 { return s.TPOT.P99.Milliseconds() }},
	} {
		var figures []float64
		for _, one := range all {
			figures = append(figures, f.of(stats.Summarize(one.Run)))
		}
		line := fmt.Sprintf("%s: measured %v (95%% of %d runs)", f.name, live.Mean(figures), len(all))
		if s := m.Simulated; s != nil && s.Failure == nil {
			simulated, measured := f.of(stats.Summarize(s)), f.of(stats.Summarize(m.Run))
			line += fmt.Sprintf(", simulated %.4g", simulated)
			if measured > 0 {
				line += fmt.Sprintf(", error %+.1f%%", 100*(simulated-measured)/measured)
			}
		}
		m.Run.Provenance.Notes = append(m.Run.Provenance.Notes, line)
	}
	return m.Run
}

// remarks are printed under a case: where its figures come from, and the simulator's beside them.
func (r Result) remarks() []string {
	if r.Run == nil {
		return nil
	}
	return append(slices.Clone(r.Run.Provenance.Notes), r.Run.Warnings...)
}

func (c Case) writeEvents(context.Context, io.Writer, Result) error { return nil }
