package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/testing-symbiote/symbiote/harness/backtest"
)

// backtestPipeline prints the runs of a folder, the worst first.
func backtestPipeline(dirs []string, f backtestFlags, stdout, stderr io.Writer) int {
	if len(dirs) != 1 {
		return fail(stderr, "backtest pipeline", fmt.Errorf("%d folders, want one", len(dirs)))
	}
	rep, err := backtest.Pipeline(dirs[0], f.clean)
	if err != nil {
		return fail(stderr, "backtest pipeline", err)
	}
	if f.json {
		printJSON(stdout, rep)
	} else {
		w := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "run\tclean\tmakespan\tmodel\terror\tmean in flight\tmodel\terror\tpeak\tmodel\tsent\tmodel\trows out\tmodel\trows that could be in flight")
		for _, r := range rep.PerRun {
			fmt.Fprintf(w, "%s\t%v\t%.1fs\t%.1fs\t%+.1f%%\t%.2f\t%.2f\t%+.1f%%\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", r.ID, r.Clean,
				r.MakespanS, r.MakespanSim, r.MakespanPct, r.MeanInFlight, r.MeanSim, r.MeanPct, r.PeakInFlight, r.PeakSim, r.Sent, r.SentSim, r.RowsOut, r.RowsOutSim, r.Idle)
		}
		w.Flush()
		fmt.Fprintf(stdout, "\n%d runs, %d skipped · makespan error: median %.1f%%, p90 %.1f%% · mean in flight: median %.1f%%, p90 %.1f%% · peak exact in %d of %d\n",
			rep.Runs, len(rep.Skipped), rep.Makespan.Median, rep.Makespan.P90, rep.Mean.Median, rep.Mean.P90, rep.Exact, rep.Runs)
	}
	if !rep.Within(f.boundPct) {
		return 1
	}
	return 0
}
