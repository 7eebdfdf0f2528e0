package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/backend/live"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

type loadFlags struct {
	backend                 live.Backend
	keyFile, cache, prompts string
	deployment, launch      string
	repeats                 int
	json, reportOnly        bool
	perRequest, benchJSON   string
	record                  string
	sloTTFT, sloTPOT        float64
	ray                     string // dashboard of the cluster whose workers send
	rayWorkers              int
	workload                *workloadFlags
	set                     *flag.FlagSet
}

func loadCommand(args []string, stdout, stderr io.Writer) int {
	f := newLoadFlags(stderr)
	switch err := f.set.Parse(args); {
	case err == flag.ErrHelp:
		return 0
	case err != nil:
		return 2
	case f.set.NArg() > 0:
		return fail(stderr, "load", fmt.Errorf("%q is no flag; see -h", f.set.Arg(0)))
	}
	code, err := f.run(stdout, stderr)
	if err != nil {
		return fail(stderr, "load", err)
	}
	return code
}

func newLoadFlags(stderr io.Writer) *loadFlags {
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	f := &loadFlags{set: fs}
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintf(stderr, "usage: symbiote load (-endpoint URL | -launch COMMAND -deployment FILE) WORKLOAD [flags]\n\n"+
			"Plays a workload against a real server that speaks OpenAI's protocol. Exit 1: the server failed, or under %.0f %%\n"+
			"of the requests met the SLO that was given; 2: nothing could be measured.\n\n", 100*sloShare)
		fs.PrintDefaults()
	}
	b := &f.backend
	fs.StringVar(&b.Endpoint, "endpoint", "", "address of a running server, such as http://127.0.0.1:8000")
	fs.StringVar(&f.launch, "launch", "", "start one for -deployment with this `COMMAND`, such as vllm, and stop it afterwards")
	fs.StringVar(&f.deployment, "deployment", "", "what the server runs, `FILE.yaml`: the simulator plays the same, and its figures stand beside the measured ones")
	fs.StringVar(&b.Model, "model", "", "the model's `NAME` at the endpoint; default: the only one it has")
	fs.StringVar(&b.APIKey, "api-key", "", "API key; it is never printed. -api-key-file keeps it out of the process list, too")
	fs.StringVar(&f.keyFile, "api-key-file", "", "read the API key from this `FILE`")
	fs.StringVar(&f.prompts, "prompts", "ids", "how prompts are sent: ids (token ids), text or chat")
	fs.StringVar(&f.cache, "cache", "cold", "state of the server's prefix cache: cold, warm or hit=x%; it is checked against the server's counters")
	fs.IntVar(&b.Limits.InFlight, "max-in-flight", 4096, "never more than `N` requests at once")
	fs.DurationVar(&b.Limits.Timeout, "timeout", 30*time.Minute, "give a request up after this")
	fs.DurationVar(&b.Limits.Stall, "stall", time.Minute, "give requests up when the server has been silent for this")
	fs.DurationVar(&b.Limits.Ready, "ready", 30*time.Minute, "wait this long for a launched server")
	fs.DurationVar(&b.Limits.Sample, "sample", 2*time.Second, "look at /metrics this often during the run; below 0 never")
	fs.IntVar(&b.Warmups, "warmups", 0, "send `N` requests before the run, not counted")
	fs.IntVar(&f.repeats, "repeats", 0, "measure `N` times, with confidence intervals; default 3 for people, 1 with -json, -per-request, -record, -vllm-bench-json or -journal, which describe one run")
	fs.StringVar(&b.Journal.Path, "journal", "", "write the run down while it happens, in this `FILE`")
	fs.BoolVar(&b.Journal.Resume, "resume", false, "go on with the run in -journal")
	fs.BoolVar(&f.reportOnly, "report", false, "only report the run in -journal; nothing is sent")
	fs.StringVar(&f.perRequest, "per-request", "", "write one line a request to this CSV `FILE`")
	fs.StringVar(&f.record, "record", "", "write the whole run, exactly, as JSON lines to this `FILE`")
	fs.StringVar(&f.benchJSON, "vllm-bench-json", "", "write the result as vllm bench serve would, to this `FILE`")
	fs.Float64Var(&f.sloTTFT, "slo-ttft-ms", 0, "promise this TTFT to each request")
	fs.Float64Var(&f.sloTPOT, "slo-tpot-ms", 0, "promise this TPOT to each request")
	fs.StringVar(&f.ray, "ray", "", "let the workers of the Ray cluster with this dashboard send, such as http://127.0.0.1:8265")
	fs.IntVar(&f.rayWorkers, "ray-workers", 2, "how many of them; each sends its share, and their requests are merged one by one")
	fs.BoolVar(&f.json, "json", false, "print one JSON document")
	f.workload = addWorkloadFlags(fs)
	return f
}

func (f *loadFlags) run(stdout, stderr io.Writer) (int, error) {
	if f.reportOnly {
		return f.report(stdout, stderr)
	}
	if f.ray != "" {
		return f.fanOut(stdout, stderr)
	}
	d, err := f.check()
	if err != nil {
		return 0, err
	}
	load, ignored, err := f.workload.load(false)
	if err != nil {
		return 0, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	start := time.Now()
	all, err := f.backend.Repeat(ctx, d, func(seed uint64) workload.Workload { return load.Seeded(seed) }, load.Seed, f.repeats)
	if err != nil {
		return 0, err
	}
	for i, m := range all {
		if err := m.Cache.Broken(); err != nil {
			return 0, fmt.Errorf("run %d of %d is no measurement: %w", i+1, len(all), err)
		}
		m.Run.Warnings = append(m.Run.Warnings, ignored...)
	}
	t, err := f.judge(all, load, time.Since(start))
	if err != nil {
		return 0, err
	}
	return t.tell(f, stdout, stderr)
}

// check settles what the flags say together.
func (f *loadFlags) check() (deploy.Deployment, error) {
	b := &f.backend
	var d deploy.Deployment
	switch {
	case (b.Endpoint == "") == (f.launch == ""):
		return d, errors.New("give either -endpoint URL or -launch COMMAND")
	case f.launch != "" && f.deployment == "":
		return d, errors.New("-launch needs -deployment FILE: what to start")
	case b.APIKey != "" && f.keyFile != "":
		return d, errors.New("-api-key and -api-key-file are given together, want one")
	case b.Journal.Resume && b.Journal.Path == "":
		return d, errors.New("-resume needs -journal FILE")
	case b.Limits.InFlight < 1:
		return d, fmt.Errorf("-max-in-flight = %d, want > 0", b.Limits.InFlight)
	case f.sloTTFT < 0 || f.sloTPOT < 0:
		return d, fmt.Errorf("-slo-ttft-ms %v -slo-tpot-ms %v, want 0 or more", f.sloTTFT, f.sloTPOT)
	case f.repeats < 0 || b.Warmups < 0:
		return d, fmt.Errorf("-repeats %d -warmups %d, want 0 or more", f.repeats, b.Warmups)
	}
	if f.repeats == 0 {
		f.repeats = 3
		if f.json || f.perRequest != "" || f.record != "" || f.benchJSON != "" || b.Journal.Path != "" {
			f.repeats = 1
		}
	}
	if b.Journal.Resume && f.repeats > 1 {
		return d, errors.New("-resume goes on with one run: -repeats 1")
	}
	if b.Prompts = live.Prompts(f.prompts); !slices.Contains([]live.Prompts{live.TokenIDs, live.Text, live.Chat}, b.Prompts) {
		return d, fmt.Errorf("-prompts %q, want ids, text or chat", f.prompts)
	}
	var err error
	if b.Cache, err = live.ParseCache(f.cache); err != nil {
		return d, fmt.Errorf("-%w", err)
	}
	if f.keyFile != "" {
		key, err := os.ReadFile(f.keyFile)
		if err != nil {
			return d, fmt.Errorf("-api-key-file: %w", err)
		}
		b.APIKey = strings.TrimSpace(string(key))
	}
	b.Launch = strings.Fields(f.launch)
	if f.deployment == "" {
		return d, nil
	}
	data, err := os.ReadFile(f.deployment)
	if err != nil {
		return d, err
	}
	b.Beside = sim.Backend{}
	d, err = deploy.Decode(f.deployment, data)
	return d, err
}

// report prints a journal, whole or not.
func (f *loadFlags) report(stdout, stderr io.Writer) (int, error) {
	if f.backend.Journal.Path == "" {
		return 0, errors.New("-report needs -journal FILE")
	}
	run, err := live.ReadJournal(f.backend.Journal.Path)
	if err != nil {
		return 0, err
	}
	t, err := f.judge([]*live.Measurement{{Run: run}}, workload.Load{}, 0)
	if err != nil {
		return 0, err
	}
	return t.tell(f, stdout, stderr)
}
