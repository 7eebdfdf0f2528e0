package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/testing-symbiote/symbiote/harness/backtest"
)

func backtestProtocol(files []string, f backtestFlags, stdout, stderr io.Writer) int {
	if len(files) != 1 {
		return fail(stderr, "backtest protocol", errors.New("want one folder of exchanges"))
	}
	rep, err := backtest.Protocol(files[0], f.server)
	if err != nil {
		return fail(stderr, "backtest protocol", err)
	}
	if f.json {
		printJSON(stdout, rep)
	} else {
		w := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintf(w, "exchanges\tsame\tdifferent\tskipped\n%d\t%d\t%d\t%d\n", rep.Exchanges, rep.Same, len(rep.Different), rep.Skipped)
		w.Flush()
		for _, d := range rep.Different {
			fmt.Fprintf(stdout, "%s: %s\n  want %s\n  got  %s\n", d.File, d.Where, d.Want, d.Got)
		}
	}
	if len(rep.Different) > 0 {
		return 1
	}
	return 0
}
