package chunkedprefill

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// A real H100 was sent long prompts among 32 decodes: the longest stall was 163 ms with a budget of 8,192 tokens, 67 and
// 76 ms with 2,048. The simulator puts them in the same order.
func TestStallsInTheOrderOfTheRealOne(t *testing.T) {
	stall := func(file string, reuse workload.Reuse, budget, seats int) units.Span {
		trace, err := workload.ReadTrace("../../harness/backtest/testdata/replay/traces/"+file, workload.TraceOptions{Reuse: reuse})
		require.NoError(t, err)
		d := suite.On("Qwen/Qwen2.5-7B-Instruct", "h100-sxm")
		d.VLLMVersion, d.Host = "0.26.0", "h100"
		d.Engine.MaxNumBatchedTokens, d.Engine.MaxNumSeqs = budget, seats
		run, err := sim.Backend{}.Run(t.Context(), d, trace.At(nil))
		require.NoError(t, err)
		return stats.Summarize(run).LongestGap
	}
	wide := stall("h100-q7-mixed_8192.csv.gz", workload.ReuseForced, 8192, 1024)
	for _, narrow := range []units.Span{
		stall("h100-q7_t2048-mixed_8192.csv.gz", workload.ReuseNone, 2048, 256),
		stall("h100-q7_t2048-mixed_2048.csv.gz", workload.ReuseForced, 2048, 256),
	} {
		t.Logf("budget 8,192: %v, budget 2,048: %v", wide, narrow)
		require.Greater(t, wide, narrow+narrow/2)
	}
}
