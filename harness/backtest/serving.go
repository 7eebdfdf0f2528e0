package backtest

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"regexp"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/testing-symbiote/symbiote/fixtures/calibration"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/steptime"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// ServingOptions select cases and the KV size they are replayed with.
type ServingOptions struct {
	Role       string         // only cases of this role; empty = all
	Filter     *regexp.Regexp // only cases whose id matches; nil = all
	RealBlocks bool           // use the KV size that the server really had, not the planned one
	BoundPct   float64        // largest error of a case's E2E and TPOT means

	// Timer replaces the calibrated step times, for a profile that is being fitted; nil = the calibrated ones.
	Timer func(deploy.Deployment) (steptime.Timer, error)
}

// ServingReport says how far the simulator is from measured runs, metric by metric.
type ServingReport struct {
	Cases   int                      `json:"cases"`
	Skipped []SkippedCase            `json:"skipped"`
	Metrics map[string]MetricErrors  `json:"metrics"`
	Sets    map[string]ServingTotals `json:"sets"`
	PerCase []ServingCase            `json:"per_case"`
}

// ServingTotals are the errors of one set's cases, with what it was replayed on.
type ServingTotals struct {
	Cases   int                     `json:"cases"`
	Host    string                  `json:"host"`
	Failed  int                     `json:"failed"` // predicted not to start, or requests that did not complete
	Metrics map[string]MetricErrors `json:"metrics"`
}

// MetricErrors summarize the absolute errors of a metric over cases, in percent of the measured value.
type MetricErrors struct {
	N         int     `json:"n"`
	MeanAbs   float64 `json:"mean_abs_pct"`
	MedianAbs float64 `json:"median_abs_pct"`
	P90Abs    float64 `json:"p90_abs_pct"`
	Bias      float64 `json:"mean_signed_pct"`
}

// ServingCase is one replayed case.
type ServingCase struct {
	ID        string             `json:"id"`
	Set       string             `json:"set"`
	Role      string             `json:"role"`
	Host      string             `json:"host"`
	Blocks    int                `json:"num_gpu_blocks"`
	Failure   string             `json:"failure,omitempty"` // why nothing was predicted
	Failed    int                `json:"failed_requests"`
	Inside    bool               `json:"inside_bound"`
	Errors    map[string]float64 `json:"error_pct"`
	Measured  Measured           `json:"measured"`
	Predicted Measured           `json:"predicted"`
}

// OK says whether every case is inside the bound.
func (r ServingReport) OK() bool {
	return !slices.ContainsFunc(r.PerCase, func(c ServingCase) bool { return !c.Inside })
}

// Serving replays measured runs on the simulator.
func Serving(ctx context.Context, o ServingOptions, files ...string) (ServingReport, error) {
	set, err := ReadServing(o, files...)
	if err != nil {
		return ServingReport{Skipped: []SkippedCase{}, PerCase: []ServingCase{}}, err
	}
	return set.Run(ctx, o)
}

// ServingSet are the selected cases of replay files, read once and replayed any number of times.
type ServingSet struct{ cases []replayCase }

// ReadServing reads the cases that o selects.
func ReadServing(o ServingOptions, files ...string) (*ServingSet, error) {
	set := &ServingSet{}
	for _, f := range files {
		read, err := readReplay(f)
		if err != nil {
			return nil, err
		}
		for _, c := range read {
			if (o.Role == "" || c.Role == o.Role) && (o.Filter == nil || o.Filter.MatchString(c.ID)) {
				set.cases = append(set.cases, c)
			}
		}
	}
	if len(set.cases) == 0 {
		return nil, fmt.Errorf("no case is selected in %s", strings.Join(files, ", "))
	}
	for i := range set.cases {
		if err := set.cases[i].prepare(); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", set.cases[i].where, set.cases[i].ID, err)
		}
	}
	return set, nil
}

// Run replays all cases of the set.
func (s *ServingSet) Run(ctx context.Context, o ServingOptions) (ServingReport, error) {
	rep := ServingReport{Skipped: []SkippedCase{}, PerCase: []ServingCase{}}
	results, errs := make([]ServingCase, len(s.cases)), make([]error, len(s.cases))
	var wg sync.WaitGroup
	seats := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range s.cases {
		if s.cases[i].skip != "" {
			rep.Skipped = append(rep.Skipped, SkippedCase{s.cases[i].ID, s.cases[i].skip})
			continue
		}
		wg.Go(func() {
			seats <- struct{}{}
			defer func() { <-seats }()
			results[i], errs[i] = s.cases[i].replay(ctx, o)
		})
	}
	wg.Wait()
	for i, c := range s.cases {
		if errs[i] != nil {
			return rep, fmt.Errorf("%s: %s: %w", c.where, c.ID, errs[i])
		}
		if c.skip == "" {
			rep.PerCase = append(rep.PerCase, results[i])
		}
	}
	rep.Cases = len(rep.PerCase)
	rep.total()
	sort.SliceStable(rep.PerCase, func(i, j int) bool { return rep.PerCase[i].worst() > rep.PerCase[j].worst() })
	return rep, ctx.Err()
}

// prepare reads what the case asks for, or notes why it cannot be replayed.
func (c *replayCase) prepare() (err error) {
	if s := strings.Trim(string(c.Unsupported), "\""); s != "" && s != "null" && s != "[]" {
		c.skip = "needs what a deployment file cannot say: " + s
		return nil
	}
	if c.Trust == "C" {
		c.skip = "its source is not fit for statistics of accuracy (trust C)"
		return nil
	}
	if err := c.decode(); err != nil {
		c.skip = err.Error()
		return nil
	}
	if c.deployment, err = deploy.DecodeJSON(c.where, c.Deployment); err != nil {
		c.skip = err.Error()
		return nil
	}
	c.noted()
	if c.deployment.Host == "" {
		c.deployment.Host, err = c.host()
	}
	if err == nil {
		c.asked, err = c.requests()
	}
	return err
}

var backendNoted = regexp.MustCompile(`\battention-backend=(FLASH_ATTN|FLASHINFER|TRITON_ATTN)\b`)

// noted takes over what a case's notes say of flags that its deployment leaves out.
func (c *replayCase) noted() {
	e := &c.deployment.Engine
	if m := backendNoted.FindStringSubmatch(c.Notes); m != nil && e.AttentionBackend == "" {
		e.AttentionBackend = m[1]
	}
	e.EnforceEager = e.EnforceEager || strings.Contains(c.Notes, "optimization-level=0 ")
}

// host is the profile of the set's own host where there is one, else that of the machines the GPU was measured in.
func (c *replayCase) host() (string, error) {
	if slices.Contains(calibration.Hosts(), c.Set) {
		return c.Set, nil
	}
	p, err := steptime.GPUProfile(c.deployment.GPU)
	return p.DefaultHost, err
}

// replay runs one case.
func (c *replayCase) replay(ctx context.Context, o ServingOptions) (res ServingCase, err error) {
	b := sim.Backend{Timer: o.Timer}
	if o.RealBlocks {
		b.NumBlocks = units.Blocks(c.RealBlocks)
	}
	requests := c.asked
	w := script{name: c.ID, requests: requests}
	if c.load.Kind == "closed" {
		w.inflight = c.load.Inflight
	}
	if c.load.Warm && c.load.PrefixCache != "forced" && c.load.PrefixCache != "none" {
		w.warmup = warmup(requests)
	}
	run, err := b.Run(ctx, c.deployment, w)
	if err != nil {
		return res, err
	}
	res = ServingCase{ID: c.ID, Set: c.Set, Role: c.Role, Host: run.Provenance.Host, Blocks: int(run.Engine.NumBlocks), Measured: c.Measured}
	if run.Failure != nil {
		res.Failure = run.Failure.Error()
		return res, nil
	}
	res.Predicted, res.Failed = c.figures(run, len(w.warmup))
	res.judge(o.BoundPct)
	return res, nil
}

// warmup sends every distinct prompt once.
func warmup(requests []workload.Request) []workload.Request {
	var out []workload.Request
	seen := map[uint64]bool{}
	for _, r := range requests {
		if len(r.Shared) == 0 || seen[r.Shared[len(r.Shared)-1].Source] {
			continue
		}
		seen[r.Shared[len(r.Shared)-1].Source] = true
		r.Output = 1
		out = append(out, r)
	}
	return out
}

// figures summarizes the measured part of a run as the measurement did.
func (c *replayCase) figures(run *record.Run, warm int) (m Measured, failed int) {
	l := &c.load
	all := run.Requests[warm:]
	part := all[min(l.SkipFirst, len(all)):max(min(l.SkipFirst, len(all)), len(all)-l.SkipLast)]
	var ttft, tpot, e2e []float64
	var first, last, firstDone units.Time = units.Never, 0, units.Never
	var prompt, output, gaps int64
	var span units.Span
	for _, r := range part {
		if l.Stage != nil && r.Stage != *l.Stage {
			continue
		}
		if r.Last == units.Never || r.First == units.Never || r.Output == 0 {
			failed++
			continue
		}
		ttft = append(ttft, r.First.Sub(r.Intended).Milliseconds())
		e2e = append(e2e, r.Last.Sub(r.Intended).Milliseconds())
		if r.Output > 1 {
			tpot = append(tpot, r.Last.Sub(r.First).Milliseconds()/float64(r.Output-1))
			gaps += int64(r.Output - 1)
			span += r.Last.Sub(r.First)
		}
		first, last, firstDone = min(first, r.Intended), max(last, r.Last), min(firstDone, r.Last)
		prompt, output = prompt+int64(r.Prompt), output+int64(r.Output)
	}
	if len(ttft) == 0 {
		return m, failed
	}
	n, seconds := float64(len(ttft)), last.Sub(first).Seconds()
	if l.SkipFirst > 0 && len(ttft) > 1 { // a window inside a longer run: between the first completion and the last
		seconds = last.Sub(firstDone).Seconds() * n / (n - 1)
	}
	m.TTFT, m.E2E, m.TPOT = percentiles(ttft), percentiles(e2e), percentiles(tpot)
	if gaps > 0 {
		m.ITL = &Percentiles{Mean: span.Milliseconds() / float64(gaps)}
	}
	if seconds > 0 {
		m.RequestRate, m.OutputRate = n/seconds, float64(output)/seconds
		m.TotalRate = float64(prompt+output) / seconds
	}
	m.LongestStall = run.Gaps.Max.Milliseconds()
	preempted := float64(run.Engine.Preemptions)
	m.RecomputedTokens, m.Preemptions = float64(run.Engine.Recomputed), &preempted
	m.RunningMean, m.WaitingMean, m.KVUsageMean = run.Engine.RunningMean, run.Engine.WaitingMean, run.Engine.UsageMean
	m.Steps = float64(run.Engine.Steps)
	m.MeasuredAt = "simulated"
	return m, failed
}

// percentiles interpolates linearly, as the measured ones do. It reorders vs.
func percentiles(vs []float64) *Percentiles {
	if len(vs) == 0 {
		return nil
	}
	slices.SortFunc(vs, cmp.Compare)
	at := func(q float64) float64 {
		x := q * float64(len(vs)-1)
		i := int(math.Floor(x))
		if i+1 >= len(vs) {
			return vs[len(vs)-1]
		}
		return vs[i] + float64((x-float64(i))*(vs[i+1]-vs[i]))
	}
	sum := 0.0
	for _, v := range vs {
		sum += v
	}
	return &Percentiles{sum / float64(len(vs)), at(0.5), at(0.9), at(0.99)}
}
