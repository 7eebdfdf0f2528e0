package backtest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/golden"
	"github.com/testing-symbiote/symbiote/harness/backtest"
)

// TestRunsOnAnH100 is how wrong the simulator is, run by run.
func TestRunsOnAnH100(t *testing.T) {
	errorsOf(t, "h100", []string{"e2e_mean", "tpot_mean", "ttft_mean", "output_throughput", "longest_stall"},
		"Signed error of the simulator on runs of a real vLLM 0.26.0 on an H100, planned KV blocks, host profile h100.",
		"The same load on two machines differed by 0.6 % (7B) and 2.2 % (0.5B) in throughput, 3 % in TPOT; on the H200's by more.")
}

// TestRunsOnAnH200 is the same on eleven servers, one after another on one machine; five of them were fitted on.
func TestRunsOnAnH200(t *testing.T) {
	errorsOf(t, "h200", []string{"e2e_mean", "tpot_mean", "ttft_mean", "output_throughput", "longest_stall"},
		"Signed error of the simulator on runs of a real vLLM 0.26.0 on an H200, planned KV blocks, host profile h200.",
		"Nothing was fitted on a server of the validation runs. Of q7a, q7b, q7c, q7e_pinned and q7f, which had the same arguments, each",
		"foretells the others' chats within 7.6 % (throughput, TPOT), 8.7 % (E2E) and 15 % (TTFT): the CPU runs at one of two speeds.")
}

// TestRunsOverHTTP is the same behind vllm serve.
func TestRunsOverHTTP(t *testing.T) {
	errorsOf(t, "h100-http", []string{"e2e_mean", "tpot_mean", "ttft_mean", "ttft_p90", "output_throughput"},
		"Signed error of the simulator on runs of a real vllm serve 0.26.0 on an H100, streamed over HTTP, host profile h100-http.",
		"chat_64 is one load three times on one server, with other lengths: 7B gave 5914, 6442 and 5715 tok/s.")
}

// TestRunsOverHTTPOnAnH200 is the same on an H200, whose CPU writes to clients at half the cost.
func TestRunsOverHTTPOnAnH200(t *testing.T) {
	errorsOf(t, "h200-http", []string{"e2e_mean", "tpot_mean", "ttft_mean", "ttft_p90", "output_throughput"},
		"Signed error of the simulator on runs of a real vllm serve 0.26.0 on an H200, streamed over HTTP, host profile h200-http.",
		"chat_64 and chat_256 are one load twice on one server, with other lengths: 0.5B gave 81.3 and 105.1 requests a second, 7B with 256 in flight 88.0 and 106.6.")
}

// errorsOf draws the errors of a set, run by run.
func errorsOf(t *testing.T, set string, metrics []string, notes ...string) {
	rep, err := backtest.Serving(context.Background(), backtest.ServingOptions{BoundPct: 25}, "testdata/replay/"+set+".jsonl")
	require.NoError(t, err)
	table := golden.Table{Notes: notes, Columns: append([]string{"case", "role"}, metrics...)}
	slices.SortFunc(rep.PerCase, func(a, b backtest.ServingCase) int { return strings.Compare(a.ID, b.ID) })
	for _, c := range rep.PerCase {
		require.Empty(t, c.Failure, c.ID)
		require.Zero(t, c.Failed, c.ID)
		table.Rows = append(table.Rows, row(strings.TrimPrefix(c.ID, set+"/"), c.Role, metrics, c.Errors))
	}
	for _, role := range []string{"calibration", "validation"} {
		sums, ns := map[string]float64{}, map[string]float64{}
		for _, c := range rep.PerCase {
			for _, m := range metrics {
				if e, ok := c.Errors[m]; ok && c.Role == role {
					sums[m] += max(e, -e)
					ns[m]++
				}
			}
		}
		cells := golden.Row{"mean absolute", role}
		for _, m := range metrics {
			cells = append(cells, fmt.Sprintf("%.1f%%", sums[m]/ns[m]))
		}
		table.Rows = append(table.Rows, cells)
	}
	golden.Check(t, table)
}

func row(name, role string, metrics []string, errors map[string]float64) golden.Row {
	cells := golden.Row{name, role}
	for _, m := range metrics {
		if e, ok := errors[m]; ok {
			cells = append(cells, fmt.Sprintf("%+.1f%%", e))
		} else {
			cells = append(cells, "–")
		}
	}
	return cells
}

// Requests in the server cannot be more than arrive while one is away (Little), and no run may decode faster than
// one token a step.
func TestReplaysObeyLittlesLaw(t *testing.T) {
	rep, err := backtest.Serving(context.Background(), backtest.ServingOptions{RealBlocks: true}, "testdata/replay/h100.jsonl")
	require.NoError(t, err)
	for _, c := range rep.PerCase {
		p := c.Predicted
		if strings.Contains(c.ID, "/stage=") {
			continue // the gauges are of the whole run, the latencies of a part
		}
		inside, passing := p.RunningMean+p.WaitingMean, p.RequestRate*p.E2E.Mean/1e3
		require.LessOrEqual(t, inside, 1.02*passing, "%s: %g in the server, %g pass it", c.ID, inside, passing)
		require.GreaterOrEqual(t, inside, 0.5*passing-1, "%s: %g in the server, %g pass it", c.ID, inside, passing)
		require.LessOrEqual(t, p.TTFT.Mean, p.E2E.Mean, c.ID)
		require.GreaterOrEqual(t, p.LongestStall, 0.99*mean(p.TPOT), "%s: the longest gap is not shorter than the mean one", c.ID)
	}
}

func mean(p *backtest.Percentiles) float64 {
	if p == nil {
		return 0
	}
	return p.Mean
}
