package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/testing-symbiote/symbiote/harness/backtest"
)

func backtestMemory(files []string, f backtestFlags, stdout, stderr io.Writer) int {
	rep, err := backtest.Memory(files...)
	if err != nil {
		return fail(stderr, "backtest memory", err)
	}
	if f.json {
		printJSON(stdout, rep)
	} else {
		printMemory(stdout, rep)
	}
	if !rep.Inside(f.boundGiB) {
		return 1
	}
	return 0
}

func printMemory(stdout io.Writer, rep backtest.MemoryReport) {
	w := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "start-up\tclass\tKV printed\tplanned\terror\ttokens printed\tplanned\tprinted verdict\tplanned\tweights printed\tplanned")
	for _, o := range rep.PerCase {
		err := "-"
		if o.KVPrinted != nil {
			err = fmt.Sprintf("%+.3f", o.KVPredicted-*o.KVPrinted)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%.2fGiB\t%s\t%s\t%d\t%s\t%s\t%s\t%.2fGiB\n", o.ID, o.Class, optional("%.2fGiB", o.KVPrinted), o.KVPredicted, err,
			optional("%d", o.TokensPrinted), o.TokensPredicted, o.VerdictPrinted, o.VerdictPredicted, optional("%.2fGiB", o.WeightsPrinted), o.WeightsPredicted)
	}
	w.Flush()
	for _, s := range rep.Skipped {
		fmt.Fprintf(stdout, "skipped %s: %s\n", s.ID, s.Why)
	}
	fmt.Fprintf(stdout, "\n%d start-ups, %d planned\n", rep.Cases, rep.Predicted)
	line := func(name string, e backtest.AbsoluteError) {
		fmt.Fprintf(stdout, "KV error, %s (%d): mean %.3f GiB, p90 %.3f GiB, max %.3f GiB\n", name, e.N, e.Mean, e.P90, e.Max)
	}
	line("dense models on one or two ranks", rep.KVError)
	line("of those, with a cache left", rep.KVErrorCached)
	line("the same, figures fitted without the start-up's source", rep.LeftOut)
	line("the others", rep.KVErrorOthers)
	fmt.Fprintf(stdout, "verdicts: %d right, %d wrong, %d undecided (what is left or missing is less than the model's error)\n", rep.Right, rep.Wrong, rep.Undecided)
}

func optional[T any](format string, v *T) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, *v)
}
