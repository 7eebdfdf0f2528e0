package configmatrix

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/golden"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

var target = slo.Target{TTFT: time.Second, TPOT: 50 * time.Millisecond}

// A question is a kind of load whose largest value is looked for.
type question struct {
	name  string
	whole bool
	most  func(bound float64) float64 // of the load, where the hardware serves bound requests a second
	play  func(load float64) workload.Workload
	keeps func(*record.Run) bool
	rate  func(load float64, run *record.Run) float64 // the requests a second that this load is
}

// jobTime is a thousandth of a day: a thousand jobs of that length, one after the other, fit in 24 hours.
const jobTime = day / 1000

func questions() []question {
	met := func(run *record.Run) bool { return slo.Judge(run, target).Share >= 0.99 }
	return []question{
		{"requests/s", false, func(bound float64) float64 { return bound },
			func(n float64) workload.Workload {
				return workload.BatchChat(int(30*n) + 1).At(workload.Poisson{Rate: n})
			},
			met, func(n float64, _ *record.Run) float64 { return n }},
		{"in-flight", true, func(float64) float64 { return 1024 },
			func(n float64) workload.Workload {
				return workload.BatchChat(4 * int(n)).At(workload.Closed{InFlight: int(n)})
			},
			met, func(_ float64, run *record.Run) float64 { return stats.Summarize(run).RequestThroughput }},
		{"rows-in-24h/1000", true, func(bound float64) float64 { return bound * jobTime },
			func(n float64) workload.Workload { return job("", small, a100, 256, 4, int(n)).Play },
			func(run *record.Run) bool { return run.End.Sub(run.Start).Seconds() <= jobTime },
			func(n float64, _ *record.Run) float64 { return n / jobTime }},
	}
}

// The largest load is the same wherever the search begins, and what the hardware can do at most is more.
func TestCapacity(t *testing.T) {
	table := golden.Table{
		Notes: []string{
			fmt.Sprintf("What is the largest load that keeps %v for 99%%, or a thousandth of 24 hours, on one server? The search is begun from five places.", target),
			"Simulated. The bound is the datasheet's: no software serves more requests a second. A load of rows in flight is answered at the rate beside it."},
		Columns: []string{"case", "largest", "too much", "runs", "req/s", "bound"},
	}
	for _, m := range []struct{ name, id string }{{"0.5b", small}, {"7b", middle}} {
		d := suite.On(m.id, a100)
		d.Engine.MaxNumSeqs = 256
		for _, q := range questions() {
			table.Rows = append(table.Rows, append(golden.Row{"model=" + m.name + "/load=" + q.name}, answer(t, d, q)...))
		}
	}
	suite.Check(t, table)
}

func answer(t *testing.T, d deploy.Deployment, q question) golden.Row {
	resolved, _, err := d.Resolve()
	require.NoError(t, err)
	plan, err := memory.For(resolved)
	require.NoError(t, err)
	bound := suite.Ceiling(plan, 170, 100)

	tried := map[float64]*record.Run{} // a load is simulated once, however often it is tried
	keeps := func(load float64) (bool, error) {
		if tried[load] == nil {
			run, err := sim.Backend{}.Run(t.Context(), d, q.play(load))
			if err != nil {
				return false, err
			}
			tried[load] = run
		}
		return q.keeps(tried[load]), nil
	}
	var found slo.Capacity
	fewest, most := 1<<30, 0
	for i, start := range []float64{64, 1, 7, 900, 20_000} {
		c, err := slo.Search{Start: start, Whole: q.whole, Most: q.most(bound)}.Find(keeps)
		require.NoError(t, err)
		if i == 0 {
			found = c
		}
		require.Equal(t, found.Load, c.Load, "from %g", start)
		require.Equal(t, found.Above, c.Above, "from %g", start)
		fewest, most = min(fewest, c.Runs), max(most, c.Runs)
	}
	rate := q.rate(found.Load, tried[found.Load])
	require.Positive(t, rate)
	require.LessOrEqual(t, rate, bound, "no more than the hardware can")
	return golden.Row{golden.Number(found.Load, ""), golden.Number(found.Above, ""),
		fmt.Sprintf("%d to %d", fewest, most), golden.Number(rate, "/s"), golden.Number(bound, "/s")}
}
