package configmatrix

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

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

// sweep varies the accelerator, the weights and the seats of a 7B model.
func sweep() deploy.Matrix {
	gpu := func(name string) deploy.Point {
		g, err := fixtures.GPU(name)
		if err != nil {
			panic(err)
		}
		return deploy.Point{Name: name, Set: func(d *deploy.Deployment) { d.GPU = g }}
	}
	quant := func(name, q string) deploy.Point {
		return deploy.Point{Name: name, Set: func(d *deploy.Deployment) { d.Engine.Quantization = q }}
	}
	seats := func(n int) deploy.Point {
		return deploy.Point{Name: fmt.Sprint(n), Set: func(d *deploy.Deployment) { d.Engine.MaxNumSeqs = n }}
	}
	d := suite.On("Qwen/Qwen2.5-7B-Instruct", "l40s")
	d.Engine.MaxModelLen = 4096
	return deploy.Matrix{Base: d, Axes: []deploy.Axis{
		{Name: "gpu", Points: []deploy.Point{gpu("rtx-4090"), gpu("l40s"), gpu("a100-80gb-sxm"), gpu("h100-sxm")}},
		{Name: "quant", Points: []deploy.Point{quant("none", ""), quant("int4", "gptq-int4")}},
		{Name: "seats", Points: []deploy.Point{seats(32), seats(256)}},
	}}
}

// The best configuration under an SLO is found, not guessed: the largest Poisson rate of batch-chat that keeps it, for
// every combination, and which of them nothing beats in throughput and latency.
func TestSweep(t *testing.T) {
	target := slo.Target{TTFT: time.Second, TPOT: 50 * time.Millisecond}
	var cells []cell
	for name, d := range sweep().All() {
		c := cell{name: name}
		play := func(rate float64) (ok bool, err error) {
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
		}
		var err error
		var refused *failure.Error
		c.found, err = slo.Search{Start: 16, Least: 0.25, Most: 4096, Steps: 16}.Find(play)
		if errors.As(err, &refused) {
			c.fails, err = refused.Class, nil
		}
		require.NoError(t, err, name)
		cells = append(cells, c)
	}
	front := slo.Front(cells, func(c cell) float64 { return c.found.Load }, func(c cell) float64 {
		if c.fails != "" || c.found.Load == 0 {
			return 1e300
		}
		return float64(c.at.E2EL.P50)
	})
	table := golden.Table{
		Notes:   []string{fmt.Sprintf("Which deployment of a 7B model takes the most batch-chat with %v for 99%%? Simulated; * = nothing beats it in both rate and latency.", target)},
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
