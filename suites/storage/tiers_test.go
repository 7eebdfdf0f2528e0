package storage

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/golden"
	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// planned is a result without a run.
func planned(c suite.Case) suite.Result {
	p, err := memory.For(c.On)
	r := suite.Result{Case: c, Plan: p}
	errors.As(err, &r.Failure)
	return r
}

// TestTiers asks for the smallest GPU that carries a model in production, and how many of them.
func TestTiers(t *testing.T) {
	table := golden.Table{
		Notes:   []string{"The smallest number of GPUs on which the load is in production, by precision. Planned, 4,096 tokens a request, 32 sequences of 2,048."},
		Columns: append([]string{"model/gpu"}, precisions[:]...),
	}
	wide := append(models(), name{"70b", "Llama-3.1-70B"}, name{"mixtral", "Mixtral-8x7B"}, name{"mine", "testdata/mine.json"})
	for _, m := range wide {
		for _, g := range gpus() {
			row := golden.Row{m.short + "/" + g.short}
			for _, p := range precisions {
				row = append(row, tier(t, stored(m.id, g.id, p)))
			}
			table.Rows = append(table.Rows, row)
		}
	}
	suite.Check(t, table)
}

func tier(t *testing.T, c suite.Case) string {
	var last units.Bytes
	for tp := 1; tp <= 8; tp *= 2 {
		c.On.Engine.TensorParallelSize = tp
		if _, _, err := c.On.Resolve(); err != nil {
			return "-" // heads or groups that cannot be shared
		}
		r := planned(c)
		if last > 0 {
			require.LessOrEqual(t, r.Plan.Weights, last, "more GPUs never hold more of the weights each")
		}
		last = r.Plan.Weights
		if verdict(r) == production {
			return fmt.Sprintf("%d", tp)
		}
	}
	return "-"
}

// A refusal's smallest change really fits.
func TestSmallestChangeFits(t *testing.T) {
	for _, c := range cases() {
		if verdict(planned(c)) != no {
			continue
		}
		change, ok := memory.Smallest(c.On, holds)
		require.True(t, ok, c.Name)
		require.NotEmpty(t, change.Flag)
		p, err := memory.For(change.Plan.Deployment)
		require.NoError(t, err, c.Name)
		require.True(t, holds(p), c.Name)
	}
}
