package configmatrix

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/golden"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// A cell is one deployment of the sweep: the most that keeps the SLO, and the latency there.
type cell struct {
	name  string
	found slo.Capacity
	at    stats.Summary
	fails failure.Class // instead, where it does not start
}

func point(name string, set func(*deploy.Deployment)) deploy.Point {
	return deploy.Point{Name: name, Set: set}
}

func onGPUs(names ...string) deploy.Axis {
	a := deploy.Axis{Name: "gpu"}
	for _, name := range names {
		g, err := fixtures.GPU(name)
		if err != nil {
			panic(err)
		}
		a.Points = append(a.Points, point(name, func(d *deploy.Deployment) { d.GPU = g }))
	}
	return a
}

// numbers is an axis of an argument that is a number.
func numbers(name string, of func(*deploy.Deployment) *int, values ...int) deploy.Axis {
	a := deploy.Axis{Name: name}
	for _, n := range values {
		a.Points = append(a.Points, point(fmt.Sprint(n), func(d *deploy.Deployment) { *of(d) = n }))
	}
	return a
}

func seats(d *deploy.Deployment) *int       { return &d.Engine.MaxNumSeqs }
func cards(d *deploy.Deployment) *int       { return &d.Engine.TensorParallelSize }
func batchSize(d *deploy.Deployment) *int   { return &d.Pipeline.BatchSize }
func concurrency(d *deploy.Deployment) *int { return &d.Pipeline.Concurrency }

// The best configuration under an SLO is found, not guessed: the largest Poisson rate of batch-chat that keeps it, for
// every combination, and which of them nothing beats in throughput and latency.
func TestSweep(t *testing.T) {
	quant := func(name, q string) deploy.Point {
		return point(name, func(d *deploy.Deployment) { d.Engine.Quantization = q })
	}
	sweep(t, "Which deployment of a 7B model takes the most batch-chat", deploy.Matrix{Base: base(), Axes: []deploy.Axis{
		onGPUs("rtx-4090", "l40s", "a100-80gb-sxm", "h100-sxm"),
		{Name: "quant", Points: []deploy.Point{quant("none", ""), quant("int4", "gptq-int4")}},
		numbers("seats", seats, 32, 256),
	}})
}

func TestSweepOfSeveralCards(t *testing.T) {
	model := func(name, id string) deploy.Point {
		m, err := fixtures.Model(id)
		require.NoError(t, err)
		return point(name, func(d *deploy.Deployment) { d.Model = m })
	}
	sweep(t, "What do two cards for one model buy over one", deploy.Matrix{Base: base(), Axes: []deploy.Axis{
		{Name: "model", Points: []deploy.Point{model("7b", middle), model("13b", large)}},
		onGPUs("rtx-4090", "l40s", "h100-sxm"),
		numbers("tp", cards, 1, 2),
	}})
}

func base() deploy.Deployment {
	d := suite.On(middle, "l40s")
	d.Engine.MaxModelLen = 4096
	return d
}

func sweep(t *testing.T, asks string, m deploy.Matrix) {
	t.Helper()
	var cells []cell
	for name, d := range m.All() {
		cells = append(cells, search(t, name, d))
	}
	front := slo.Front(cells, func(c cell) float64 { return c.found.Load }, func(c cell) float64 {
		if c.fails != "" || c.found.Load == 0 {
			return 1e300
		}
		return float64(c.at.E2EL.P50)
	})
	table := golden.Table{
		Notes:   []string{fmt.Sprintf("%s with %v for 99%%? Simulated; * = nothing beats it in both rate and latency.", asks, target)},
		Columns: []string{"case", "req/s", "TTFT99", "TPOT50", "E2EL50", "runs", "front"},
	}
	for _, c := range cells {
		mark := ""
		if slices.ContainsFunc(front, func(f cell) bool { return f.name == c.name }) {
			mark = "*"
		}
		row := golden.Row{c.name, golden.Number(c.found.Load, "/s"), golden.Seconds(c.at.TTFT.P99.Seconds()), golden.Seconds(c.at.TPOT.P50.Seconds()),
			golden.Seconds(c.at.E2EL.P50.Seconds()), fmt.Sprint(c.found.Runs), mark}
		if c.fails != "" {
			row = golden.Row{c.name, string(c.fails), "-", "-", "-", "-", "-"}
		}
		table.Rows = append(table.Rows, row)
	}
	require.NotEmpty(t, front)
	suite.Check(t, table)
}

// search finds the most that a deployment takes; one that does not start is a cell too.
func search(t *testing.T, name string, d deploy.Deployment) cell {
	t.Helper()
	c := cell{name: name}
	var err error
	c.found, err = slo.Search{Start: 16, Least: 0.25, Most: 4096, Steps: 16}.Find(func(rate float64) (ok bool, err error) {
		run, err := sim.Backend{}.Run(t.Context(), d, workload.BatchChat(int(30*rate)+1).At(workload.Poisson{Rate: rate}))
		switch {
		case err != nil:
			return false, err
		case run.Failure != nil:
			return false, run.Failure
		}
		if ok = slo.Judge(run, target).Share >= 0.99; ok {
			c.at = stats.Summarize(run) // the last rate that keeps it is the one that is found
		}
		return ok, nil
	})
	var refused *failure.Error
	if errors.As(err, &refused) {
		c.fails, err = refused.Class, nil
	}
	require.NoError(t, err, name)
	return c
}
