//go:build gpu && !ray

package suite

import (
	"cmp"
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
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/vllm"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

const (
	exact       = false
	backendName = "live"
)

// mostRepeats is how often a live case is measured where its time allows: the fewest runs that have a spread.
const mostRepeats = 3

var caseTime = flag.Duration("case-time", 3*time.Minute, "how long a live server may take for one case, repeats included, its start not; rates and rows follow from it, and the row says so")

// serving is the live backend: a running server, or a command that starts one for each deployment, which serves until a
// case wants another or the table ends.
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
	keeper   live.Keeper        // of servers started here
	version  string             // of vLLM; empty until a server told
}

// offered says what is missing to play d, and how many KV tokens its plan has.
func (r *repeated) offered(ctx context.Context, d deploy.Deployment) (planned int, err error) {
	r.probe.Do(func() {
		r.offers, r.err = live.Offered(ctx, r.endpoint)
		r.version = r.offers.Server.Version
	})
	if r.err != nil {
		return 0, r.err
	}
	if d, err = r.versioned(d); err != nil {
		return 0, err
	}
	resolved, _, err := d.Resolve()
	if err != nil {
		return 0, err
	}
	if resolved.MemoryHeld > 0 && r.endpoint == "" {
		return 0, fmt.Errorf("%w: on its GPU others hold %v", errors.ErrUnsupported, resolved.MemoryHeld)
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

// versioned is d on the vLLM that is here, as far as that is known.
func (r *repeated) versioned(d deploy.Deployment) (deploy.Deployment, error) {
	here, err := deploy.ParseVersion(r.version)
	if err != nil {
		return d, nil
	}
	if d.VLLMVersion == "" {
		d.VLLMVersion = r.version
	}
	if v := d.Version(); v.Major != here.Major || v.Minor != here.Minor {
		return d, fmt.Errorf("%w: it is about vLLM %v, here is %v", errors.ErrUnsupported, v, here)
	}
	return d, nil
}

func (r *repeated) backend() live.Backend {
	return live.Backend{Endpoint: r.endpoint, Launch: r.launch, Server: r.keeper.Server(), Warmups: 2, Beside: sim.Backend{}, Log: os.Stderr}
}

// Close stops the server that was started here.
func (r *repeated) Close() error {
	r.keeper.Down(stopTime)
	return nil
}

// stopTime is how long a server may take to stop by itself.
const stopTime = 10 * time.Second

// Starts says how a server of d starts, or started for a case before, and what its log prints of the memory beside what was
// planned.
func (r *repeated) Starts(ctx context.Context, d deploy.Deployment) (*record.Run, error) {
	if r.endpoint != "" {
		return nil, fmt.Errorf("%w: it asks whether it starts, and %s has: SYMBIOTE_VLLM names a command that starts one", errors.ErrUnsupported, r.endpoint)
	}
	d, run, err := r.ready(ctx, d)
	if run != nil || err != nil {
		return run, err
	}
	run = &record.Run{Provenance: record.Provenance{Backend: backendName, VLLMVersion: r.version,
		Notes: []string{fmt.Sprintf("started as %s", strings.Join(vllm.Args(d), " "))}}}
	return run, r.planned(ctx, run, d)
}

// ready has a server that can play d, and returns d on its release. A Run is returned if one that is started here does not
// come up.
func (r *repeated) ready(ctx context.Context, d deploy.Deployment) (deploy.Deployment, *record.Run, error) {
	if _, err := r.offered(ctx, d); err != nil {
		return d, nil, err
	}
	var failed error
	if r.endpoint == "" {
		var server *live.Launched
		if server, failed = r.keeper.Up(ctx, r.backend(), d); server != nil {
			r.version = cmp.Or(server.Log.Version, r.version)
		}
	}
	released, err := r.versioned(d)
	if err != nil {
		return d, nil, err
	}
	var refused *failure.Error
	if errors.As(failed, &refused) {
		return d, &record.Run{Failure: refused, Provenance: record.Provenance{Backend: backendName, VLLMVersion: r.version,
			Notes: []string{fmt.Sprintf("started as %s; it said: %s", strings.Join(vllm.Args(d), " "), refused.Message)}}}, nil
	}
	return released, nil, failed
}

// planned notes how far the plan was from what the server's log prints.
func (r *repeated) planned(ctx context.Context, run *record.Run, d deploy.Deployment) error {
	server := r.keeper.Server()
	if server == nil || !server.Log.KVTokens.Known {
		return nil
	}
	planned, err := r.offered(ctx, d)
	if err != nil || planned == 0 {
		return err
	}
	printed := server.Log.KVTokens.Value
	run.Provenance.Notes = append(run.Provenance.Notes, fmt.Sprintf("KV cache: planned %d tokens, the start-up log prints %.0f, error %+.1f%%",
		planned, printed, 100*(float64(planned)-printed)/printed))
	return nil
}

// Afford chooses rates and rows that the server gets through in -case-time.
func (r *repeated) Afford(ctx context.Context, d deploy.Deployment, w workload.Workload, keeps func(*record.Run) error) (workload.Workload, string, error) {
	d, refused, err := r.ready(ctx, d)
	if refused != nil || err != nil {
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

// pace is how many times longer than the simulated one the server takes for a few short requests. One that was started here
// is asked twice: its first requests are slow.
func (r *repeated) pace(ctx context.Context, d deploy.Deployment) (float64, error) {
	key := d.GPU.ID + " " + d.Model.ID
	if p, ok := r.paces[key]; ok {
		return max(p, 1), nil
	}
	few := workload.Rows{Count: 16, Prompt: workload.Fixed(128), Output: workload.Fixed(32)}.At(workload.Closed{InFlight: 8})
	m, err := r.backend().Measure(ctx, d, few)
	if err == nil && r.endpoint == "" {
		m, err = r.backend().Measure(ctx, d, few)
	}
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
	d, refused, err := r.ready(ctx, d)
	if refused != nil || err != nil {
		return refused, err
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
	return run, r.planned(ctx, run, d)
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
