package kvcache

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/golden"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// axes changes one thing at a time of a server that plans its own memory.
func axes() suite.Spec {
	const minute = units.Time(60 * units.Second)
	ask := func(at ...units.Time) workload.Workload { // the same 32 prompts each time
		var rows []workload.Request
		for stage, t := range at {
			for i := range 32 {
				rows = append(rows, workload.Request{At: t, Stage: stage, Prompt: 1024, Output: 64,
					Shared: []units.Segment{{Source: uint64(i), Len: 1024}}})
			}
		}
		return workload.List{Name: fmt.Sprintf("32 prompts asked %d times", len(at)), Requests: rows}.At(nil)
	}
	row := func(name string, play workload.Workload, set func(*deploy.Engine)) suite.Case {
		d := server()
		d.Engine.NumGPUBlocksOverride = 0
		set(&d.Engine)
		return suite.Case{Name: name, On: d, Play: play, Want: suite.Completes()}
	}
	off := false
	s := suite.Spec{
		Asks:    "What do the cache's type, block size and contents change? Prefixes as in kv_highfreq_20; turns: 60 conversations of five; cold and warm ask the same 32 prompts once and twice.",
		Columns: append(columns()[:11], suite.Span("last TTFT", "last-ttft-ns", lastTTFT)),
		Cases: []suite.Case{
			row("kv=auto", frequent(20, 60, 64), func(*deploy.Engine) {}),
			row("kv=fp8", frequent(20, 60, 64), func(e *deploy.Engine) { e.KVCacheDType = "fp8" }),
			row("block=32", frequent(20, 60, 64), func(e *deploy.Engine) { e.BlockSize = 32 }),
			row("block=64", frequent(20, 60, 64), func(e *deploy.Engine) { e.BlockSize = 64 }),
			row("prefix=off", frequent(20, 60, 64), func(e *deploy.Engine) { e.EnablePrefixCaching = &off }),
			row("turns=5/prefix=on", talks(60), func(*deploy.Engine) {}),
			row("turns=5/prefix=off", talks(60), func(e *deploy.Engine) { e.EnablePrefixCaching = &off }),
			row("cache=cold", ask(minute), func(*deploy.Engine) {}),
			row("cache=warm", ask(0, minute), func(*deploy.Engine) {}),
		},
	}
	hits := func(least, most float64) suite.Want {
		return suite.All(suite.Completes(), suite.Keeps("hit rate", func(r suite.Result) float64 { return r.Summary.PrefixHitRate }, least, most))
	}
	s.Cases[4].Want, s.Cases[5].Want, s.Cases[6].Want = hits(0, 0), hits(0.75, 1), hits(0, 0)
	s.Promises = []suite.Promise{
		suite.Falls("KV usage peak", func(r suite.Result) float64 { return r.Run.Engine.UsagePeak }, "prefix=off", "kv=auto", "kv=fp8"),
		suite.Falls("TTFT of the last round", func(r suite.Result) float64 { return float64(lastTTFT(r)) }, "cache=cold", "cache=warm"),
	}
	return s
}

// lastTTFT is the largest TTFT among the requests of the last stage.
func lastTTFT(r suite.Result) (worst units.Span) {
	last := r.Run.Requests[len(r.Run.Requests)-1].Stage
	for i := range r.Run.Requests {
		if q := &r.Run.Requests[i]; q.Stage == last {
			ttft, _ := q.TTFT()
			worst = max(worst, ttft)
		}
	}
	return worst
}

func TestAxes(t *testing.T) {
	suite.Run(t, axes())
	suite.Twins(t, axes(), func(c suite.Case) suite.Twin {
		twin := suite.Twin{Case: c}
		if on := c.On.Engine.EnablePrefixCaching == nil; strings.Contains(c.Want.Says, "hit rate") {
			other := !on
			twin.Is, twin.On.Engine.EnablePrefixCaching = fmt.Sprintf("prefix-caching=%v", other), &other
			return twin
		}
		twin.Is, twin.On.Engine.MaxModelLen = "max-model-len=256", 256 // shorter than any prompt
		return twin
	})
}

// The largest batch of equal sequences, sent at once, that keeps usage below 60 % and preempts nothing. It can be no
// more than 60 % of the tokens that there are.
func TestLargestSafeBatch(t *testing.T) {
	table := golden.Table{
		Notes:   []string{"The largest batch of sequences of a length, sent at once, with usage below 60 % and no preemption; at most the 256 seats. Simulated, cache of 118,304 tokens (fp8: 236,608)."},
		Columns: []string{"tokens each", "kv=auto", "kv=fp8", "runs"},
	}
	for _, length := range []units.Tokens{512, 1024, 2048, 4096, 8192, 16384, 32_000} {
		auto, fp8 := server(), server()
		fp8.Engine.KVCacheDType, fp8.Engine.NumGPUBlocksOverride = "fp8", 2*cacheTokens/16
		a, b := largestSafe(t, auto, length, 8), largestSafe(t, fp8, length, 8)
		require.Equal(t, a.Load, largestSafe(t, auto, length, 200).Load, "the start of the search does not matter")
		require.LessOrEqual(t, int(a.Load)*int(length-127), cacheTokens*6/10)
		require.GreaterOrEqual(t, b.Load, a.Load, "half the bytes hold at least as much")
		table.Rows = append(table.Rows, golden.Row{fmt.Sprint(length), fmt.Sprint(a.Load), fmt.Sprint(b.Load), fmt.Sprint(a.Runs + b.Runs)})
	}
	suite.Check(t, table)
}

func largestSafe(t *testing.T, d deploy.Deployment, length units.Tokens, start float64) slo.Capacity {
	t.Helper()
	c, err := slo.Search{Start: start, Whole: true, Most: 256, Steps: 256}.Find(func(n float64) (bool, error) {
		run, err := sim.Backend{}.Run(t.Context(), d, together(int(n), length))
		if err != nil {
			return false, err
		}
		if run.Failure != nil {
			return false, run.Failure
		}
		return run.Engine.UsagePeak < usageLimit && run.Engine.Preemptions == 0, nil
	})
	require.NoError(t, err)
	return c
}
