package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// workloadFlags are the flags that say what is asked and when; `simulate` and `load` have the same.
type workloadFlags struct {
	set    *flag.FlagSet
	trace  string
	block  int
	scale  float64
	jitter time.Duration
	file   string
	closed int
	rate   float64

	stays bool // a trace is played from its file: it may be longer than memory, but is played once at a time

	requests, prefix, groups int
	prompt, output           string
	seed                     uint64
}

// addWorkloadFlags defines the flags; after parsing, load says what they mean.
func addWorkloadFlags(set *flag.FlagSet) *workloadFlags {
	f := &workloadFlags{set: set}
	set.StringVar(&f.trace, "trace", "", "replay this `FILE.csv[.gz]`: arrival_s,prompt_tokens,output_tokens[,prompt_id][,hash_ids][,cached_tokens][,stage]")
	set.IntVar(&f.block, "hash-block-tokens", 0, "tokens of one block of the trace's hash_ids")
	set.Float64Var(&f.scale, "rate-scale", 1, "replay the trace so many times as fast")
	set.DurationVar(&f.jitter, "jitter", 0, "move each arrival of the trace by a random time up to this; undoes a coarse clock")
	set.StringVar(&f.file, "workload", "", "read the workload from this `FILE.yaml`")
	set.IntVar(&f.closed, "closed-loop", 0, "keep `N` requests in flight: the next is sent when one ends")
	set.Float64Var(&f.rate, "rate", 0, "send `R` requests a second, Poisson")
	set.IntVar(&f.requests, "requests", 1000, "how many requests; of a trace, only the first so many")
	set.StringVar(&f.prompt, "prompt-tokens", "512", "prompt length: N, lognormal:mean,sd,min,max or uniform:min,max")
	set.StringVar(&f.output, "output-tokens", "128", "output length, likewise")
	set.IntVar(&f.prefix, "shared-prefix-tokens", 0, "leading prompt tokens that the requests of a group share")
	set.IntVar(&f.groups, "prefix-groups", 0, "number of such groups (default 1)")
	set.Uint64Var(&f.seed, "seed", 0, "seed of everything random")
	return f
}

func (f *workloadFlags) given(name string) (is bool) {
	f.set.Visit(func(g *flag.Flag) { is = is || g.Name == name })
	return is
}

// load returns the workload and what was ignored in its file. With batches (rows reach the engine through Ray Data)
// nothing needs to say when a row is sent, and nothing may.
func (f *workloadFlags) load(batches bool) (workload.Load, []string, error) {
	if err := f.contradictions(batches); err != nil {
		return workload.Load{}, nil, err
	}
	if f.file != "" {
		data, err := os.ReadFile(f.file)
		if err != nil {
			return workload.Load{}, nil, err
		}
		l, err := workload.Decode(f.file, data)
		if err == nil && f.given("seed") {
			l = l.Seeded(f.seed)
		}
		return l, nil, err
	}
	rows, warnings, err := f.rows()
	if err != nil {
		return workload.Load{}, nil, err
	}
	l := workload.Load{Rows: rows, Seed: f.seed}
	switch {
	case f.given("closed-loop"):
		l.Arrivals = workload.Closed{InFlight: f.closed}
	case f.given("rate"):
		l.Arrivals = workload.Poisson{Rate: f.rate}
	case f.trace != "":
		l.Arrivals = workload.Replay{RateScale: f.scale, Jitter: f.jitter}
	}
	return l, warnings, l.Validate()
}

func (f *workloadFlags) rows() (workload.Source, []string, error) {
	if f.trace != "" {
		return f.recorded()
	}
	r := workload.Rows{Count: f.requests, SharedPrefix: units.Tokens(f.prefix), Groups: f.groups}
	var err error
	if r.Prompt, err = workload.ParseLengths(f.prompt); err != nil {
		return nil, nil, fmt.Errorf("-prompt-tokens: %w", err)
	}
	if r.Output, err = workload.ParseLengths(f.output); err != nil {
		return nil, nil, fmt.Errorf("-output-tokens: %w", err)
	}
	if r.Count < 1 {
		return nil, nil, fmt.Errorf("-requests = %d, want > 0", f.requests)
	}
	return r, nil, nil
}

// recorded opens the trace, or reads it into memory where all of it is needed at once.
func (f *workloadFlags) recorded() (workload.Source, []string, error) {
	n := math.MaxInt
	if f.given("requests") {
		n = f.requests
	}
	if n < 1 {
		return nil, nil, fmt.Errorf("-requests = %d, want > 0", n)
	}
	o := workload.TraceOptions{HashBlockTokens: f.block}
	if f.stays && f.jitter == 0 {
		t, err := workload.OpenTrace(f.trace, o)
		if err != nil {
			return nil, nil, err
		}
		return t.Head(n), t.Warnings, nil
	}
	t, err := workload.ReadTrace(f.trace, o)
	if err != nil {
		return nil, nil, err
	}
	return t.Head(n), t.Warnings, nil
}

// contradictions are flags that say two things at once, or nothing.
func (f *workloadFlags) contradictions(batches bool) error {
	var ways []string
	for _, name := range []string{"workload", "closed-loop", "rate"} {
		if f.given(name) {
			ways = append(ways, "-"+name)
		}
	}
	if len(ways) == 0 && f.given("trace") {
		ways = append(ways, "-trace")
	}
	switch {
	case len(ways) > 1:
		return fmt.Errorf("%s are given together, want one", strings.Join(ways, " and "))
	case len(ways) == 0 && !batches:
		return errors.New("no workload: give -trace FILE, -workload FILE, -closed-loop N or -rate R")
	case batches && (f.given("closed-loop") || f.given("rate")):
		return fmt.Errorf("%s is given, but with -pipeline Ray Data's batches decide when a row is sent", ways[0])
	}
	source := []string{"requests", "prompt-tokens", "output-tokens", "shared-prefix-tokens", "prefix-groups"}
	conflicts := map[string][]string{
		"workload": append([]string{"trace", "hash-block-tokens", "rate-scale", "jitter"}, source...),
		"trace":    source[1:],
	}
	for _, with := range []string{"workload", "trace"} {
		for _, name := range conflicts[with] {
			if f.given(with) && f.given(name) {
				return fmt.Errorf("-%s is given, but the -%s file says that", name, with)
			}
		}
	}
	for _, name := range []string{"hash-block-tokens", "rate-scale", "jitter"} {
		if f.given(name) && !f.given("trace") {
			return fmt.Errorf("-%s is given without -trace", name)
		}
	}
	if f.given("rate-scale") && !(f.scale > 0) {
		return fmt.Errorf("-rate-scale = %g, want > 0", f.scale)
	}
	return nil
}
