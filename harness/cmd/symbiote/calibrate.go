package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/testing-symbiote/symbiote/fixtures/calibration"
	"github.com/testing-symbiote/symbiote/harness/backtest"
	"github.com/testing-symbiote/symbiote/harness/calibrate"
	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/steptime"
)

const calibrateUsage = `usage: symbiote calibrate -log FILE -deployment FILE.yaml -out FILE
       symbiote calibrate -runs DIR -out FILE
       symbiote calibrate -out DIR [-recipe FILE] [-data DIR] [-only REGEXP]

Fits step-time profiles. With -log or -runs, a GPU and a host to the engine steps of your own server, with the error on
the stretches or runs that were held out: -log reads what vLLM prints under --enable-logging-iteration-details and may
be given more than once. Without, it repeats the fits that the shipped profiles come from.

`

func calibrateCommand(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("calibrate", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, calibrateUsage)
		fs.PrintDefaults()
	}
	runs := fs.String("runs", "", "`DIR` with runs.csv and steps/TAG.csv.gz: fit to these runs alone; -out is then a FILE")
	var logs []string
	fs.Func("log", "vLLM's log of a server that ran -deployment, `FILE`: fit to its engine steps; -out is then a FILE", func(name string) error {
		logs = append(logs, name)
		return nil
	})
	deployment := fs.String("deployment", "", "deployment of the server that wrote -log, `FILE`")
	host := fs.String("host", "default", "host profile that a fit to -log or -runs begins with")
	recipe := fs.String("recipe", "", "fits to run, `FILE`; empty = those that the shipped profiles come from")
	data := fs.String("data", "../shared/groundtruth", "folder that the recipe's names are relative to")
	out := fs.String("out", "", "folder to write gpus/ID.json and hosts/ID.json to")
	only := fs.String("only", "", "run only fits whose GPU or host matches this `regexp`")
	asJSON := fs.Bool("json", false, "print one JSON document")
	switch err := fs.Parse(args); {
	case err == flag.ErrHelp:
		return 0
	case err != nil || *out == "" || fs.NArg() > 0:
		return fail(stderr, "calibrate", errors.New("-out is needed, and no other argument than flags"))
	}
	if *runs != "" || len(logs) > 0 {
		measured, err := ownRuns(*runs, logs, *deployment)
		if err == nil {
			err = calibrateRuns(measured, *host, *out, *asJSON, stdout)
		}
		if err != nil {
			return fail(stderr, "calibrate", err)
		}
		return 0
	}
	outcomes, err := runRecipe(*recipe, *data, *out, *only, stderr)
	if err != nil {
		return fail(stderr, "calibrate", err)
	}
	if *asJSON {
		printJSON(stdout, outcomes)
		return 0
	}
	for _, o := range outcomes {
		fmt.Fprintf(stdout, "%s %s\tmean |log error| %.4f → %.4f\n", o.GPU, o.Host, o.Before, o.After)
		for _, k := range o.Kernels {
			fmt.Fprintf(stdout, "  %s: %d kernels, mean |error| %.1f %%, p90 %.1f %%\n", k.What, k.Kernels, k.MeanAbs, k.WorstP90)
		}
	}
	return 0
}

func runRecipe(name, data, out, only string, stderr io.Writer) ([]calibrate.Outcome, error) {
	text := calibration.Recipe()
	if name != "" {
		var err error
		if text, err = os.ReadFile(name); err != nil {
			return nil, err
		}
	}
	recipe, err := calibrate.DecodeRecipe(name, text)
	if err != nil {
		return nil, err
	}
	pick, err := regexp.Compile(only)
	if err != nil {
		return nil, err
	}
	book, err := shippedProfiles()
	if err != nil {
		return nil, err
	}
	replay := replayer(book)
	var outcomes []calibrate.Outcome
	for _, f := range recipe {
		if !pick.MatchString(f.GPU) && !pick.MatchString(f.Host) {
			continue
		}
		o, err := book.Run(f, data, replay)
		if err != nil {
			return nil, err
		}
		if f.Derive {
			continue
		}
		fmt.Fprintf(stderr, "fitted %s %s: %.4f → %.4f\n", f.GPU, f.Host, o.Before, o.After)
		outcomes = append(outcomes, o)
	}
	return outcomes, writeProfiles(book, out)
}

// shippedProfiles are where a recipe begins.
func shippedProfiles() (*calibrate.Book, error) {
	b := &calibrate.Book{GPUs: map[string]steptime.GPU{}, Hosts: map[string]steptime.Host{}}
	for _, id := range calibration.GPUs() {
		p, err := steptime.GPUProfile(catalog.GPU{ID: id})
		if err != nil {
			return nil, err
		}
		b.GPUs[id] = p
	}
	for _, id := range calibration.Hosts() {
		p, err := steptime.HostProfile(id)
		if err != nil {
			return nil, err
		}
		b.Hosts[id] = p
	}
	return b, nil
}

func writeProfiles(b *calibrate.Book, dir string) error {
	write := func(kind, id string, v any) error {
		text, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			return err
		}
		path := filepath.Join(dir, kind, id+".json")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, append(text, '\n'), 0o644)
	}
	for id, p := range b.GPUs {
		if err := write("gpus", id, p); err != nil {
			return err
		}
	}
	for id, p := range b.Hosts {
		if err := write("hosts", id, p); err != nil {
			return err
		}
	}
	return nil
}

// weights say how much each metric of a replayed run counts in a fit.
var weights = [...]struct {
	metric string
	weight float64
}{{"e2e_mean", 1}, {"tpot_mean", 1}, {"output_throughput", 1}, {"ttft_mean", 0.5}, {"ttft_p90", 0.2}, {"ttft_p99", 0.1}}

// replayer judges profiles by replaying the calibration cases; the files are read once.
func replayer(book *calibrate.Book) calibrate.Replay {
	sets := map[string]*backtest.ServingSet{}
	return func(p calibrate.Profiles, f calibrate.Fit) ([]calibrate.Ratio, error) {
		o := backtest.ServingOptions{Role: "calibration", RealBlocks: true, Filter: regexp.MustCompile(f.Filter)}
		o.Timer = func(d deploy.Deployment) (steptime.Timer, error) {
			gpu, host := book.GPUs[d.GPU.ID], book.Hosts[d.Host]
			if f.GPU == d.GPU.ID {
				gpu = p.GPU
			}
			if f.Host != "" {
				host = p.Host
			}
			return steptime.New(d, gpu, host)
		}
		key := fmt.Sprint(f.Runs, f.Filter)
		if sets[key] == nil {
			set, err := backtest.ReadServing(o, f.Runs...)
			if err != nil {
				return nil, err
			}
			sets[key] = set
		}
		rep, err := sets[key].Run(context.Background(), o)
		var ratios []calibrate.Ratio
		for _, c := range rep.PerCase {
			for _, w := range weights {
				if e, ok := c.Errors[w.metric]; ok {
					ratios = append(ratios, calibrate.Ratio{Value: 1 + e/100, Weight: w.weight})
				}
			}
		}
		return ratios, err
	}
}
