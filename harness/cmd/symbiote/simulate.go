package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// sloShare is the share of requests that must meet an SLO for it to be kept.
const sloShare = 0.99

type simulateFlags struct {
	deployment, model, gpu string
	reference, pipeline    bool
	json, advise           bool
	perRequest, record     string
	sloTTFT, sloTPOT       float64
	workload               *workloadFlags
}

func simulateCommand(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return simulate(ctx, args, stdout, stderr)
}

func simulate(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var f simulateFlags
	fs := flag.NewFlagSet("simulate", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintf(stderr, "usage: symbiote simulate (-deployment FILE | -model M -gpu G) WORKLOAD [flags]\n\n"+
			"Runs a workload on the simulated engine. Exit 1: the deployment does not start, or under %.0f %% of the requests\n"+
			"met the SLO that was given; 2: nothing could be simulated.\n\n", 100*sloShare)
		fs.PrintDefaults()
	}
	fs.StringVar(&f.deployment, "deployment", "", "read the deployment from this `FILE.yaml`")
	fs.StringVar(&f.model, "model", "", "an entry of fixtures/models; everything else is vLLM's default")
	fs.StringVar(&f.gpu, "gpu", "", "an entry of fixtures/gpus, with -model")
	fs.BoolVar(&f.reference, "reference", false, "look at every request in every step instead of advancing decodes in aggregate: same result, slower")
	fs.BoolVar(&f.pipeline, "pipeline", false, "rows reach the engine through Ray Data's batches, as the deployment's pipeline says")
	fs.BoolVar(&f.advise, "advise", false, "say which changed settings help, each of them tried; with -pipeline Ray Data's settings, and why rows were not in flight")
	fs.StringVar(&f.perRequest, "per-request", "", "write one line a request to this CSV `FILE`")
	fs.StringVar(&f.record, "record", "", "write the whole run, exactly, as JSON lines to this `FILE`")
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
	code, err := f.run(ctx, stdout, stderr)
	if err != nil {
		return fail(stderr, "simulate", err)
	}
	return code
}

func (f *simulateFlags) run(ctx context.Context, stdout, stderr io.Writer) (int, error) {
	if f.sloTTFT < 0 || f.sloTPOT < 0 {
		return 0, fmt.Errorf("-slo-ttft-ms %v -slo-tpot-ms %v, want 0 or more", f.sloTTFT, f.sloTPOT)
	}
	if f.advise && f.json {
		return 0, errors.New("-advise is printed for people: give no -json")
	}
	d, err := f.deployed()
	if err != nil {
		return 0, err
	}
	f.workload.stays = !f.pipeline
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
	out, err := f.collector()
	if err != nil {
		return 0, err
	}
	defer out.discard()
	start := time.Now()
	line := progressLine(stderr, load.Rows.Len())
	run, err := sim.Backend{Reference: f.reference, Each: out.add, Progress: line}.Run(ctx, d, w)
	if line != nil {
		fmt.Fprint(stderr, "\r\x1b[K") // the line goes
	}
	partial := errors.Is(err, context.Canceled)
	if err != nil && !partial {
		return 0, err
	}
	if file, ok := load.Rows.(*workload.TraceFile); ok && file.Err() != nil {
		return 0, file.Err()
	}
	if run.Failure != nil {
		code := f.refused(run, stdout, stderr)
		if f.advise {
			err = adviseOnEngine(ctx, d, w, out.target, stdout)
		}
		return code, err
	}
	run.Warnings = append(run.Warnings, ignored...)
	switch out.rejected {
	case 0:
	case 1:
		run.Warnings = append(run.Warnings, "1 request was rejected: "+out.why)
	default:
		run.Warnings = append(run.Warnings, fmt.Sprintf("%d requests were rejected, the first: %s", out.rejected, out.why))
	}
	if partial {
		run.Warnings = append(run.Warnings, fmt.Sprintf("interrupted: the figures are of the first %d requests to end", out.ended))
	}
	code, err := f.tell(run, w, out, time.Since(start), stdout, stderr)
	switch {
	case err != nil || !f.advise || partial:
	case f.pipeline:
		err = adviseOnPipeline(ctx, d, w, stdout)
	default:
		err = adviseOnEngine(ctx, d, w, out.target, stdout)
	}
	return code, err
}

// tell prints what was simulated and says the exit code.
func (f *simulateFlags) tell(run *record.Run, w workload.Workload, out *requests, wall time.Duration, stdout, stderr io.Writer) (int, error) {
	if out.ended > 0 && out.failed == out.ended {
		return 0, fmt.Errorf("none of %d requests completed: %s", out.ended, out.why)
	}
	if err := out.close(run); err != nil {
		return 0, err
	}
	doc := out.stream.Summary(run).Document()
	doc.WallS, doc.Seed = wall.Seconds(), f.workload.seed
	if doc.DurationS > 0 {
		doc.GoodputRPS = float64(out.met) / doc.DurationS
	}
	share := float64(out.met) / float64(max(out.ended, 1))
	if f.json {
		printJSON(stdout, doc)
	} else {
		printRun(stdout, run, doc, w)
		if !out.target.Empty() {
			fmt.Fprintf(stdout, "%.2f%% of %d requests met %v; goodput %.4g req/s\n", 100*share, out.ended, out.target, doc.GoodputRPS)
		}
		for _, warning := range doc.Warnings {
			fmt.Fprintf(stderr, "symbiote simulate: warning: %s\n", warning)
		}
	}
	if !out.target.Empty() && share < sloShare {
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
		return nil, errors.New("-pipeline: the deployment has no pipeline; give it batch_size and concurrency")
	}
	return p, p.Validate()
}
