package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"regexp"
	"text/tabwriter"

	"github.com/testing-symbiote/symbiote/harness/backtest"
)

// backtestFlags are the flags of all kinds; each kind reads those it knows.
type backtestFlags struct {
	json     bool
	boundGiB float64
	boundPct float64
	role     string
	filter   *regexp.Regexp
	blocks   string
	clean    bool
	server   string
}

const backtestUsage = `usage: symbiote backtest [flags] KIND FILE…

Holds a model against what was really measured. Exit 0: every case inside its bound, 1: not, 2: could not be read.

  scheduler FILE…   recorded decisions of vLLM's scheduler classes, step by step
  memory FILE…      start-ups of vLLM as their logs print them, CSV
  serving FILE…     measured runs, replayed, JSON lines
  pipeline DIR      arrival timelines of Ray Data
  protocol DIR      recorded HTTP exchanges with vLLM

`

func backtestCommand(args []string, stdout, stderr io.Writer) int {
	var f backtestFlags
	fs := flag.NewFlagSet("backtest", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, backtestUsage)
		fs.PrintDefaults()
	}
	fs.BoolVar(&f.json, "json", false, "print one JSON document")
	fs.Float64Var(&f.boundGiB, "bound-gib", 0.5, "memory: largest KV error of a case, GiB")
	fs.Float64Var(&f.boundPct, "bound-pct", 25, "serving, pipeline: largest error of a case, percent")
	fs.StringVar(&f.role, "role", "", "serving: only cases of this role (calibration, validation)")
	fs.StringVar(&f.blocks, "blocks", "planned", "serving: number of KV blocks, planned or real")
	fs.BoolVar(&f.clean, "clean", false, "pipeline: only runs whose server was not starved")
	fs.StringVar(&f.server, "server", "", "protocol: URL of a running server; empty = a stand-in of its own")
	fs.Func("filter", "serving: only cases whose id matches this `regexp`", func(s string) (err error) {
		f.filter, err = regexp.Compile(s)
		return err
	})
	rest, err := parseInterspersed(fs, args)
	switch {
	case err == flag.ErrHelp:
		return 0
	case err != nil:
		return 2
	case f.blocks != "planned" && f.blocks != "real":
		return fail(stderr, "backtest", fmt.Errorf("-blocks = %q, want planned or real", f.blocks))
	case len(rest) < 2:
		fs.Usage()
		return 2
	}
	return backtestKind(rest[0], rest[1:], f, stdout, stderr)
}

func backtestKind(kind string, files []string, f backtestFlags, stdout, stderr io.Writer) int {
	switch kind {
	case "scheduler":
		return backtestScheduler(files, f, stdout, stderr)
	case "serving":
		return backtestServing(files, f, stdout, stderr)
	case "protocol":
		return backtestProtocol(files, f, stdout, stderr)
	case "pipeline":
		return backtestPipeline(files, f, stdout, stderr)
	case "memory":
		return backtestMemory(files, f, stdout, stderr)
	}
	return fail(stderr, "backtest", fmt.Errorf("kind %q, want scheduler, memory, serving, pipeline or protocol", kind))
}

func backtestScheduler(files []string, f backtestFlags, stdout, stderr io.Writer) int {
	rep, err := backtest.Scheduler(files...)
	if err != nil {
		return fail(stderr, "backtest scheduler", err)
	}
	if f.json {
		printJSON(stdout, rep)
	} else {
		w := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintf(w, "vectors\tsteps\tdiffering\n%d\t%d\t%d\n", rep.Vectors, rep.Steps, rep.Differing)
		w.Flush()
		for _, d := range rep.First {
			fmt.Fprintf(stdout, "%s step %d\n  want %s\n  got  %s\n", d.Name, d.Step, d.Want, d.Got)
		}
	}
	if rep.Differing > 0 {
		return 1
	}
	return 0
}

// parseInterspersed parses flags wherever they stand and returns the other arguments.
func parseInterspersed(fs *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		args = fs.Args()
		if len(args) == 0 {
			return rest, nil
		}
		rest, args = append(rest, args[0]), args[1:]
	}
}

// fail prints an error and returns the exit code for what could not be answered.
func fail(stderr io.Writer, sub string, err error) int {
	fmt.Fprintf(stderr, "symbiote %s: %v\n", sub, err)
	return 2
}

func printJSON(w io.Writer, v any) {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err) // a report that does not encode is a bug
	}
}
