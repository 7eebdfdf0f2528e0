package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/testing-symbiote/symbiote/harness/backtest"
)

func backtestServing(files []string, f backtestFlags, stdout, stderr io.Writer) int {
	rep, err := backtest.Serving(context.Background(), backtest.ServingOptions{
		Role: f.role, Filter: f.filter, RealBlocks: f.blocks == "real", BoundPct: f.boundPct}, files...)
	if err != nil {
		return fail(stderr, "backtest serving", err)
	}
	if f.json {
		printJSON(stdout, rep)
	} else {
		printServing(stdout, rep)
	}
	if !rep.OK() {
		return 1
	}
	return 0
}

// printServing prints the cases, worst first, then the sets, then what was left out.
func printServing(stdout io.Writer, rep backtest.ServingReport) {
	names := backtest.ServingMetrics()
	w := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "case\thost\tblocks\t%s\t\n", strings.Join(names, "\t"))
	for _, c := range rep.PerCase {
		fmt.Fprintf(w, "%s\t%s\t%d\t", c.ID, c.Host, c.Blocks)
		if c.Failure != "" {
			fmt.Fprintf(w, "not predicted: %s\t\n", c.Failure)
			continue
		}
		for _, n := range names {
			if e, ok := c.Errors[n]; ok {
				fmt.Fprintf(w, "%+.1f%%\t", e)
			} else {
				fmt.Fprint(w, "–\t")
			}
		}
		if c.Failed > 0 {
			fmt.Fprintf(w, "%d requests failed\t", c.Failed)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	fmt.Fprintln(stdout, "\nmean absolute error of the simulator, by set (n cases)")
	w = tabwriter.NewWriter(stdout, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "set\thost\tcases\tfailed\t%s\t\n", strings.Join(names, "\t"))
	row := func(set, host string, cases, failed int, metrics map[string]backtest.MetricErrors) {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t", set, host, cases, failed)
		for _, n := range names {
			if m, ok := metrics[n]; ok {
				fmt.Fprintf(w, "%.1f%% (%d)\t", m.MeanAbs, m.N)
			} else {
				fmt.Fprint(w, "–\t")
			}
		}
		fmt.Fprintln(w)
	}
	for _, set := range slices.Sorted(maps.Keys(rep.Sets)) {
		t := rep.Sets[set]
		row(set, t.Host, t.Cases, t.Failed, t.Metrics)
	}
	if len(rep.Sets) > 1 {
		row("all", "", rep.Cases, 0, rep.Metrics)
	}
	w.Flush()
	for _, s := range rep.Skipped {
		fmt.Fprintf(stdout, "skipped %s: %s\n", s.ID, s.Why)
	}
}
