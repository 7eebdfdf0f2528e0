package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/testing-symbiote/symbiote/harness/backend/live"
	"github.com/testing-symbiote/symbiote/harness/backend/ray"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// fanOut lets Ray's workers send a share of the load each, and reports on all of it as one run. Every worker journals
// what it sent and got, and the journals are merged request by request: no percentile is taken of percentiles.
func (f *loadFlags) fanOut(stdout, stderr io.Writer) (int, error) {
	if _, err := f.check(); err != nil {
		return 0, err
	}
	shares, err := f.shares()
	if err != nil {
		return 0, err
	}
	load, _, err := f.workload.load(false)
	if err != nil {
		return 0, err
	}
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	start := time.Now()
	sent, err := (ray.Cluster{Dashboard: f.ray}).FanOut(ctx, program, shares)
	if err != nil {
		return 0, err
	}
	run, err := mergeJournals(sent)
	if err != nil {
		return 0, err
	}
	t, err := f.judge([]*live.Measurement{{Run: run}}, load, time.Since(start))
	if err != nil {
		return 0, err
	}
	return t.tell(f, stdout, stderr)
}

// shares are the arguments of each worker: all that was given, with its part of the rate, of the requests and of those
// in flight, and a seed of its own.
func (f *loadFlags) shares() ([][]string, error) {
	n, w := f.rayWorkers, f.workload
	switch {
	case n < 1:
		return nil, fmt.Errorf("-ray-workers = %d, want > 0", n)
	case w.trace != "" || w.file != "":
		return nil, errors.New("-ray divides a -rate or a -closed-loop; a -trace or -workload has an order that workers would have to keep together")
	case w.closed > 0 && w.closed < n || w.requests < n:
		return nil, fmt.Errorf("-ray-workers %d, want at most the requests, and those of -closed-loop", n)
	case f.launch != "" || f.deployment != "" || f.backend.Journal.Path != "" || f.keyFile != "":
		return nil, errors.New("-ray sends to a running -endpoint: -launch, -deployment, -journal and -api-key-file stay on this machine")
	}
	own := []string{"ray", "ray-workers", "json", "per-request", "record", "vllm-bench-json", "slo-ttft-ms", "slo-tpot-ms", "repeats",
		"rate", "requests", "closed-loop", "seed"}
	shares := make([][]string, n)
	for i := range shares {
		args := []string{"load", "-repeats", "1"}
		f.set.Visit(func(g *flag.Flag) {
			if !slices.Contains(own, g.Name) {
				args = append(args, "-"+g.Name+"="+g.Value.String())
			}
		})
		part := func(of int) string { return strconv.Itoa(of*(i+1)/n - of*i/n) }
		args = append(args, "-requests", part(w.requests), "-seed", strconv.FormatUint(w.seed+uint64(i), 10))
		if w.rate > 0 {
			args = append(args, "-rate", strconv.FormatFloat(w.rate/float64(n), 'g', -1, 64))
		}
		if w.closed > 0 {
			args = append(args, "-closed-loop", part(w.closed))
		}
		shares[i] = args
	}
	return shares, nil
}

// mergeJournals makes one run of what the workers sent. Their clocks are set against each other by when each began.
func mergeJournals(sent []ray.Sent) (*record.Run, error) {
	folder, err := os.MkdirTemp("", "symbiote-load")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	first := slices.MinFunc(sent, func(a, b ray.Sent) int { return a.Begun.Compare(b.Begun) }).Begun
	all := &record.Run{Start: units.Never, Provenance: record.Provenance{Backend: "live", Notes: []string{fmt.Sprintf("sent by %d Ray workers, merged request by request", len(sent))}}}
	for i, s := range sent {
		if s.Code == 2 || len(s.Journal) == 0 {
			return nil, fmt.Errorf("worker %d of %d on %s: exit code %d: %s", i+1, len(sent), s.Node, s.Code, s.Stderr)
		}
		path := filepath.Join(folder, strconv.Itoa(i))
		if err := os.WriteFile(path, s.Journal, 0o600); err != nil {
			return nil, err
		}
		run, err := live.ReadJournal(path)
		if err != nil {
			return nil, fmt.Errorf("worker %d of %d on %s: %w", i+1, len(sent), s.Node, err)
		}
		later := units.FromDuration(s.Begun.Sub(first))
		appendRun(all, run, later, i)
	}
	all.Gaps.Settle()
	if all.Start == units.Never {
		all.Start = 0
	}
	return all, nil
}

// appendRun adds a worker's run that began so much later.
func appendRun(all, run *record.Run, later units.Span, worker int) {
	move := func(t *units.Time) {
		if *t != units.Never {
			*t = t.Add(later)
		}
	}
	for _, r := range run.Requests {
		for _, t := range []*units.Time{&r.Intended, &r.Sent, &r.Admitted, &r.First, &r.Last} {
			move(t)
		}
		r.ID = len(all.Requests)
		all.Requests = append(all.Requests, r)
	}
	for _, g := range run.Gaps.Items {
		all.Gaps.Add(g.Gap, g.N)
	}
	all.Start, all.End = min(all.Start, run.Start.Add(later)), max(all.End, run.End.Add(later))
	for _, w := range run.Warnings {
		all.Warnings = append(all.Warnings, fmt.Sprintf("worker %d: %s", worker+1, w))
	}
}
