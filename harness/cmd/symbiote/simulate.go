package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// sloShare is the share of requests that must meet an SLO for it to be kept.
const sloShare = 0.99

type simulateFlags struct {
	deployment, model, gpu string
	reference, pipeline    bool
	json                   bool
	perRequest             string
	sloTTFT, sloTPOT       float64
	workload               *workloadFlags
}

func simulateCommand(args []string, stdout, stderr io.Writer) int {
	var f simulateFlags
	fs := flag.NewFlagSet("simulate", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintf(stderr, "usage: symbiote simulate (-deployment FILE | -model M -gpu G) WORKLOAD [flags]\n\n"+
			"Runs a workload on the simulated engine. Exit 1: the deployment does not start, or under %.0f %% of the requests\n"+
			"met the SLO that was given; 2: nothing could be simulated.\n\n", 100*sloShare)
		fs.PrintDefaults()
	}
	fs.StringVar(&f.deployment, "deployment", "", "deployment `FILE.yaml`")
	fs.StringVar(&f.model, "model", "", "an entry of fixtures/models; everything else is vLLM's default")
	fs.StringVar(&f.gpu, "gpu", "", "an entry of fixtures/gpus, with -model")
	fs.BoolVar(&f.reference, "reference", false, "look at every request in every step instead of advancing decodes in aggregate: same result, slower")
	fs.BoolVar(&f.pipeline, "pipeline", false, "rows reach the engine through Ray Data's batches, as the deployment's pipeline says")
	fs.StringVar(&f.perRequest, "per-request", "", "write one line a request to this CSV `FILE`")
	fs.Float64Var(&f.sloTTFT, "slo-ttft-ms", 0, "promise this TTFT to each request")
	fs.Float64Var(&f.sloTPOT, "slo-tpot-ms", 0, "promise this TPOT to each request")
	fs.BoolVar(&f.json, "json", false, "print one JSON document")
	f.workload = addWorkloadFlags(fs)
	switch err := fs.Parse(args); {
	case err == flag.ErrHelp:
		return 0
	case err != nil:
		return 2
	case fs.NArg() > 0:
		return fail(stderr, "simulate", fmt.Errorf("%q is no flag; see -h", fs.Arg(0)))
	}
	code, err := f.run(stdout, stderr)
	if err != nil {
		return fail(stderr, "simulate", err)
	}
	return code
}

func (f *simulateFlags) run(stdout, stderr io.Writer) (int, error) {
	if f.sloTTFT < 0 || f.sloTPOT < 0 {
		return 0, fmt.Errorf("-slo-ttft-ms %v -slo-tpot-ms %v, want 0 or more", f.sloTTFT, f.sloTPOT)
	}
	d, err := f.deployed()
	if err != nil {
		return 0, err
	}
	load, ignored, err := f.workload.load(f.pipeline)
	if err != nil {
		return 0, err
	}
	var w workload.Workload = load
	if f.pipeline {
		if w, err = dataPipeline(d, load); err != nil {
			return 0, err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	start := time.Now()
	run, err := sim.Backend{Reference: f.reference, Progress: progressLine(stderr, load.Rows.Len())}.Run(ctx, d, w)
	partial := errors.Is(err, context.Canceled)
	if err != nil && !partial {
		return 0, err
	}
	if run.Failure != nil {
		return f.refused(run, stdout, stderr), nil
	}
	run.Warnings = append(run.Warnings, ignored...)
	if partial {
		run.Warnings = append(run.Warnings, fmt.Sprintf("interrupted: the figures are of the first %d requests", len(run.Requests)))
	}
	return f.tell(run, w, time.Since(start), stdout, stderr)
}

// tell prints what was simulated and says the exit code.
func (f *simulateFlags) tell(run *record.Run, w workload.Workload, wall time.Duration, stdout, stderr io.Writer) (int, error) {
	if f.perRequest != "" {
		if err := writeRequests(f.perRequest, run); err != nil {
			return 0, err
		}
	}
	target := slo.Target{TTFT: time.Duration(f.sloTTFT * float64(time.Millisecond)), TPOT: time.Duration(f.sloTPOT * float64(time.Millisecond))}
	verdict := slo.Judge(run, target)
	s := stats.Summarize(run)
	doc := s.Document()
	doc.GoodputRPS, doc.WallS, doc.Seed = verdict.GoodputPerSec, wall.Seconds(), f.workload.seed
	if f.json {
		printJSON(stdout, doc)
	} else {
		printRun(stdout, run, doc, w)
		if !target.Empty() {
			fmt.Fprintf(stdout, "SLO\t%v\n", verdict)
		}
	}
	if !f.json {
		for _, warning := range doc.Warnings {
			fmt.Fprintf(stderr, "symbiote simulate: warning: %s\n", warning)
		}
	}
	switch {
	case doc.Requests > 0 && doc.Failed == doc.Requests:
		return 0, fmt.Errorf("no request completed: %s", run.Requests[0].Detail)
	case !target.Empty() && verdict.Share < sloShare:
		return 1, nil
	}
	return 0, nil
}

// refused prints why the deployment does not start.
func (f *simulateFlags) refused(run *record.Run, stdout, stderr io.Writer) int {
	if f.json {
		printJSON(stdout, map[string]string{"failure": string(run.Failure.Class), "reason": run.Failure.Message})
	} else {
		fmt.Fprintf(stderr, "symbiote simulate: does not start (%s): %s\n", run.Failure.Class, run.Failure.Message)
	}
	return 1
}

func (f *simulateFlags) deployed() (deploy.Deployment, error) {
	switch {
	case f.deployment != "" && (f.model != "" || f.gpu != ""):
		return deploy.Deployment{}, errors.New("-deployment and -model or -gpu are given together, want one")
	case f.deployment != "":
		data, err := os.ReadFile(f.deployment)
		if err != nil {
			return deploy.Deployment{}, err
		}
		return deploy.Decode(f.deployment, data)
	case f.model == "" || f.gpu == "":
		return deploy.Deployment{}, errors.New("no deployment: give -deployment FILE, or -model and -gpu")
	}
	m, err := fixtures.Model(f.model)
	if err != nil {
		return deploy.Deployment{}, err
	}
	g, err := fixtures.GPU(f.gpu)
	return deploy.Deployment{Model: m, GPU: g}, err
}

// dataPipeline puts Ray Data's batches in front of the rows, as the deployment says.
func dataPipeline(d deploy.Deployment, load workload.Load) (workload.Workload, error) {
	r, _, err := d.Resolve()
	if err != nil {
		return nil, err
	}
	q := r.Pipeline
	p := workload.Pipeline{Rows: load.Rows, Seed: load.Seed, BatchSize: q.BatchSize, MaxConcurrentBatches: q.Concurrency,
		Blocks: q.Blocks, MaxNumSeqs: r.Engine.MaxNumSeqs, MinActors: max(q.Replicas, 1), MaxActors: max(q.Replicas, 1)}
	if p.BatchSize == 0 {
		return nil, errors.New("-pipeline: the deployment has no pipeline; give batch_size and concurrency under pipeline:")
	}
	return p, p.Validate()
}

// progressLine shows on a terminal how far a long run has come; elsewhere it says nothing.
func progressLine(stderr io.Writer, total int) func(units.Time, int, int) {
	file, ok := stderr.(*os.File)
	if !ok || total == 0 {
		return nil
	}
	if st, err := file.Stat(); err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	start, last := time.Now(), time.Now()
	return func(at units.Time, _, done int) {
		if time.Since(last) < 200*time.Millisecond {
			return
		}
		last = time.Now()
		eta := "?"
		if done > 0 {
			eta = (time.Duration(float64(time.Since(start)) * float64(total-done) / float64(done))).Round(time.Second).String()
		}
		fmt.Fprintf(file, "\r%3d%%  simulated %s, %d of %d done, %s left   ", 100*done/total, (time.Duration(at.Seconds()) * time.Second).String(), done, total, eta)
	}
}

// printRun prints a run for people: what, where from, and the figures.
func printRun(w io.Writer, run *record.Run, d stats.Document, load workload.Workload) {
	p := run.Provenance
	fmt.Fprintf(w, "simulated vLLM %s, host profile %s; %s\n%s\n\n", p.VLLMVersion, p.Host, p.ModelError, load)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\tmean\tp50\tp90\tp95\tp99\tmax\t\n")
	for _, row := range []struct {
		name string
		d    stats.Dist
	}{{"TTFT ms", d.TTFT}, {"TPOT ms", d.TPOT}, {"ITL ms", d.ITL}, {"E2EL ms", d.E2EL}, {"queue ms", d.Queue}} {
		fmt.Fprintf(t, "%s\t", row.name)
		for _, figure := range []string{"mean", "p50", "p90", "p95", "p99", "max"} {
			fmt.Fprintf(t, "%.4g\t", row.d.Milliseconds(figure))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	fmt.Fprintf(w, "\nrequests %d, completed %d, failed %d in %.4g s: %.4g req/s, %.5g output tok/s, %.5g tok/s\n",
		d.Requests, d.Completed, d.Failed, d.DurationS, d.RequestThroughputRPS, d.OutputThroughput, d.TotalThroughput)
	fmt.Fprintf(w, "running %.4g mean, %d peak; waiting %d peak; KV usage %.1f%% peak of %d blocks; %d preemptions; prefix hits %.1f%%; %d steps\n",
		d.RunningMean, d.RunningPeak, d.WaitingPeak, 100*d.KVUsagePeak, d.NumGPUBlocks, d.Preemptions, 100*d.PrefixHitRate, d.Steps)
}

// writeRequests writes one line a request, whole or not at all.
func writeRequests(name string, run *record.Run) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".per-request-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	b := bufio.NewWriter(f)
	w := csv.NewWriter(b)
	rows := [][]string{{"id", "arrival_s", "ttft_ms", "tpot_ms", "e2el_ms", "prompt_tokens", "output_tokens", "cached_tokens", "preemptions", "outcome"}}
	for i := range run.Requests {
		rows = append(rows, requestLine(&run.Requests[i]))
	}
	if err := w.WriteAll(rows); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func requestLine(r *record.Record) []string {
	ms := func(s units.Span, ok bool) string {
		if !ok {
			return ""
		}
		return strconv.FormatFloat(s.Milliseconds(), 'f', 6, 64)
	}
	outcome := string(r.Outcome)
	if r.Completed() {
		outcome = "completed"
	}
	return []string{strconv.Itoa(r.ID), strconv.FormatFloat(r.Intended.Seconds(), 'f', 6, 64), ms(r.TTFT()), ms(r.TPOT()), ms(r.E2EL()),
		strconv.Itoa(int(r.Prompt)), strconv.Itoa(int(r.Output)), strconv.Itoa(int(r.Cached)), strconv.Itoa(r.Preemptions), outcome}
}
