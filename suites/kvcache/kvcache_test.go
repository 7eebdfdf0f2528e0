// Package kvcache asks how much a KV cache bears: six loads that it must hold with room to spare, five that must break
// a limit, so that the suite can fail, and which limit broke first.
package kvcache

import (
	"errors"
	"fmt"
	"testing"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// The limits of a healthy cache.
const (
	usageLimit = 0.60
	hitLimit   = 0.90
)

// server is a real start's configuration: it had 118,304 tokens of KV. 256 seats are vLLM's default for this card; with
// 1,024 this cache and the sampler's warm-up do not fit together.
func server() deploy.Deployment {
	d := suite.On("Qwen/Qwen2.5-7B-Instruct", "rtx-3090")
	d.VLLMVersion = "0.17.1"
	d.Engine.GPUMemoryUtilization = 0.90
	d.Engine.NumGPUBlocksOverride = cacheTokens / 16
	return d
}

const cacheTokens = 118_304

// together is n sequences of so many tokens in all, sent at once; the last 128 tokens are the answer.
func together(n int, tokens units.Tokens) workload.Workload {
	return workload.Rows{Count: n, Prompt: workload.Fixed(tokens - 128), Output: workload.Fixed(128)}.At(workload.AllAtOnce{})
}

// frequent shares 512 tokens and adds 32 of its own: with 64, the hit rate could not exceed 512/576 = 89 %.
func frequent(rate float64, seconds int, output workload.Fixed) workload.Load {
	return workload.Rows{Count: int(rate) * seconds, Prompt: workload.Fixed(512 + 32), Output: output, SharedPrefix: 512}.
		At(workload.Poisson{Rate: rate})
}

func concurrent(inFlight int) workload.Workload {
	return workload.Rows{Count: 3 * inFlight, Prompt: workload.Fixed(768), Output: workload.Fixed(128)}.At(workload.Closed{InFlight: inFlight})
}

// thrash visits prefixes of four times the cache in turn: the one that comes next is always the one that went longest ago.
func thrash() workload.Workload {
	const prefix = 4096
	groups := 4 * cacheTokens / prefix
	return workload.Rows{Count: 3 * groups, Prompt: workload.Fixed(prefix + 32), Output: workload.Fixed(16),
		SharedPrefix: prefix, Groups: groups, RoundRobin: true}.At(workload.Closed{InFlight: 8})
}

// broke names the limit that broke first; "" if none did. Preemption means a full cache, so usage always goes before it.
func broke(r suite.Result) string {
	switch {
	case r.Run == nil:
		return ""
	case r.Run.Engine.UsagePeak >= usageLimit:
		return "usage"
	case r.Run.Engine.Preemptions > 0:
		return "preemption"
	case shares(r) && r.Summary.PrefixHitRate < hitLimit:
		return "hit rate"
	}
	return ""
}

func shares(r suite.Result) bool {
	l, ok := r.Case.Play.(workload.Load)
	if !ok {
		return false
	}
	rows, ok := l.Rows.(workload.Rows)
	return ok && rows.SharedPrefix > 0
}

func passes() suite.Want {
	return suite.All(suite.Completes(), suite.Want{Says: "keeps usage below 60 %, preempts nothing and hits shared prefixes in 90 %", Check: func(r suite.Result) error {
		if b := broke(r); b != "" {
			return fmt.Errorf("%s broke: usage %.1f%%, %d preemptions, hit rate %.1f%%", b,
				100*r.Run.Engine.UsagePeak, r.Run.Engine.Preemptions, 100*r.Summary.PrefixHitRate)
		}
		return nil
	}})
}

func breaks(limit string) suite.Want {
	return suite.All(suite.Completes(), suite.Want{Says: "breaks first: " + limit, Check: func(r suite.Result) error {
		switch b := broke(r); b {
		case limit:
			return nil
		case "":
			return errors.New("nothing broke")
		default:
			return fmt.Errorf("%s broke first", b)
		}
	}})
}

func spec() suite.Spec {
	return suite.Spec{
		Asks:    "How much does a KV cache of 118,304 tokens bear? Usage below 60 %, no preemption, shared prefixes hit in 90 %.",
		Columns: columns(),
		Cases: []suite.Case{
			{Name: "kv_baseline_low", On: server(), Play: together(16, 1024), Want: passes()},
			{Name: "kv_baseline_medium", On: server(), Play: together(32, 1024), Want: passes()},
			{Name: "kv_baseline_high", On: server(), Play: together(64, 1024), Want: passes()},
			{Name: "kv_highfreq_10", On: server(), Play: frequent(10, 60, 64), Want: passes()},
			{Name: "kv_highfreq_20", On: server(), Play: frequent(20, 60, 64), Want: passes()},
			// 512-token answers: with 64, the 256 seats are taken before the cache is, at any rate.
			{Name: "kv_highfreq_200", On: server(), Play: frequent(200, 20, 512), Want: breaks("usage")},
			{Name: "kv_longseq_8k", On: server(), Play: together(12, 8192), Want: breaks("usage")},
			{Name: "kv_longseq_32k", On: server(), Play: together(4, 32_000), Want: breaks("usage")},
			{Name: "kv_concurrent_64", On: server(), Play: concurrent(64), Want: passes()},
			{Name: "kv_concurrent_512", On: server(), Play: concurrent(512), Want: breaks("usage")},
			{Name: "kv_thrash", On: server(), Play: thrash(), Want: breaks("hit rate")},
		},
	}
}

func columns() []suite.Column {
	return []suite.Column{
		suite.Count("ok", "", func(r suite.Result) int { return r.Summary.Completed }),
		suite.Share("usage peak", "kv-usage-peak-%", suite.Lower, func(r suite.Result) float64 { return r.Run.Engine.UsagePeak }),
		suite.Share("mean", "kv-usage-mean-%", suite.Lower, func(r suite.Result) float64 { return r.Run.Engine.UsageMean }),
		suite.Share("hit rate", "prefix-hit-%", suite.Higher, func(r suite.Result) float64 { return r.Summary.PrefixHitRate }),
		suite.Count("evicted", "evicted-blocks", func(r suite.Result) int { return r.Run.Engine.Evictions }),
		suite.Count("preempted", "preemptions", func(r suite.Result) int { return r.Run.Engine.Preemptions }),
		suite.Count("recomputed", "recomputed-tokens", func(r suite.Result) int { return int(r.Run.Engine.Recomputed) }),
		suite.Percentile("TTFT50", "ttft-p50-ns", suite.TTFT, suite.P50),
		suite.Percentile("TTFT99", "ttft-p99-ns", suite.TTFT, suite.P99),
		suite.Percentile("TPOT50", "tpot-p50-ns", func(r suite.Result) stats.Dist { return r.Summary.TPOT }, suite.P50),
		suite.Rate("req/s", "req/s", func(r suite.Result) float64 { return r.Summary.RequestThroughput }),
		{Name: "broke first", Text: broke},
	}
}

func TestKVCache(t *testing.T) {
	suite.Run(t, spec())
	suite.Twins(t, spec(), twin)
}

func BenchmarkKVCache(b *testing.B) { suite.Bench(b, spec()) }
