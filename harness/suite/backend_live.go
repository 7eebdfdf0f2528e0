//go:build gpu && !ray

package suite

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

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

// mostRepeats is how often a live case is measured where its time allows: the fewest runs that have a spread.
const mostRepeats = 3

var caseTime = flag.Duration("case-time", 3*time.Minute, "how long a live server may take for one case, repeats included; rates and rows follow from it, and the row says so")

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
	paces    map[string]float64 // by GPU and model; one case is measured at a time
	repeats  int                // of the next Run
}

// offered says what is missing to play d, and how many KV tokens its plan has.
func (r *repeated) offered(ctx context.Context, d deploy.Deployment) (planned int, err error) {
	r.probe.Do(func() { r.offers, r.err = live.Offered(ctx, r.endpoint) })
	if r.err != nil {
		return 0, r.err
	}
	resolved, _, err := d.Resolve()
	if err != nil {
		return 0, err
	}
	blocks := 0
	if plan, err := memory.For(resolved); err == nil {
		blocks, planned = int(plan.NumBlocks), int(plan.KVTokens)
	}
	if why := r.offers.Lacks(resolved, blocks); why != "" {
		return 0, fmt.Errorf("%w: %s", errors.ErrUnsupported, why)
	}
	return planned, nil
}

func (r *repeated) backend() live.Backend {
	b := live.Backend{Endpoint: r.endpoint, Warmups: 2, Beside: sim.Backend{}, Log: os.Stderr}
	if r.endpoint == "" {
		b.Launch = r.launch
	}
	return b
}

// Afford chooses rates and rows that the server gets through in -case-time.
func (r *repeated) Afford(ctx context.Context, d deploy.Deployment, w workload.Workload, keeps func(*record.Run) error) (workload.Workload, string, error) {
	if _, err := r.offered(ctx, d); err != nil {
		return w, "", err
	}
	simulated, err := sim.Backend{}.Run(ctx, d, w)
	if err != nil {
		return w, "", err
	}
	if r.repeats = mostRepeats; simulated.Failure != nil {
		return w, "", nil
	}
	pace, err := r.pace(ctx, d)
	if err != nil {
		return w, "", err
	}
	played, repeats, note := afford(w, simulated.End.Sub(simulated.Start), pace, *caseTime, mostRepeats)
	if r.repeats = repeats; note == "" {
		return w, "", nil
	}
	part, err := sim.Backend{}.Run(ctx, d, workload.Slowed(played, 1/max(1, pace)))
	if err != nil {
		return w, "", err
	}
	if keeps(simulated) == nil && keeps(part) != nil {
		return w, "", fmt.Errorf("%w: -case-time=%v affords %v, which cannot keep what %v promises; give it more", errors.ErrUnsupported, *caseTime, played, w)
	}
	return played, note, nil
}

// pace is how many times longer than the simulated one the server takes for a few short requests. A server that is
// launched for the case is taken to be as fast: its start costs more than such a question tells.
func (r *repeated) pace(ctx context.Context, d deploy.Deployment) (float64, error) {
	key := d.GPU.ID + " " + d.Model.ID
	if p, ok := r.paces[key]; ok || r.endpoint == "" {
		return max(p, 1), nil
	}
	few := workload.Rows{Count: 16, Prompt: workload.Fixed(128), Output: workload.Fixed(32)}.At(workload.Closed{InFlight: 8})
	m, err := r.backend().Measure(ctx, d, few)
	if err != nil || m.Run.Failure != nil || m.Simulated == nil || m.Simulated.Failure != nil {
		return 1, err
	}
	if r.paces == nil {
		r.paces = map[string]float64{}
	}
	r.paces[key] = stats.Summarize(m.Run).Duration.Seconds() / stats.Summarize(m.Simulated).Duration.Seconds()
	return r.paces[key], nil
}

func (r *repeated) Run(ctx context.Context, d deploy.Deployment, w workload.Workload) (*record.Run, error) {
	planned, err := r.offered(ctx, d)
	if err != nil {
		return nil, err
	}
	all, err := r.backend().Repeat(ctx, d, func(uint64) workload.Workload { return w }, 0, max(1, r.repeats))
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if err := m.Cache.Broken(); err != nil {
			return nil, err
		}
	}
	run := middle(all)
	// An endpoint does not tell its seats; it shows them.
	if resolved, _, err := d.Resolve(); err == nil && r.endpoint != "" && run.Engine.RunningPeak > resolved.Engine.MaxNumSeqs {
		return nil, fmt.Errorf("%w: the endpoint ran %d requests at once, the case has --max-num-seqs %d", errors.ErrUnsupported, run.Engine.RunningPeak, resolved.Engine.MaxNumSeqs)
	}
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
