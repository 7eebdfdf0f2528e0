// Package configmatrix asks which batch size and concurrency a batch job on Ray Data and vLLM wants, and whether the
// day is long enough for its rows. batch_size is rows a batch, concurrency the batches in flight an engine.
package configmatrix

import (
	"testing"

	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

const (
	small  = "Qwen/Qwen2.5-0.5B-Instruct"
	middle = "Qwen/Qwen2.5-7B-Instruct"
	large  = "Qwen/Qwen2.5-14B-Instruct" // the cases that say 13b: there is no Qwen2.5 of 13B
	a100   = "a100-40gb-sxm"
	h100   = "h100-sxm"

	day  = 24 * 3600.0 // seconds
	seed = 1
)

// job is a batch job of so many standard rows.
func job(name, model, gpu string, batch, concurrency, rows int) suite.Case {
	d := suite.On(model, gpu)
	d.Engine.MaxNumSeqs = min(batch*concurrency, 1024)
	if gpu == h100 {
		d.Engine.GPUMemoryUtilization = 0.85
	}
	return suite.Case{
		Name: name, On: d,
		Play: workload.Pipeline{
			Rows: workload.BatchChat(rows), Seed: seed,
			BatchSize: batch, MaxConcurrentBatches: concurrency, Blocks: units.CeilDiv(rows, batch), MaxNumSeqs: d.Engine.MaxNumSeqs,
		},
		Want: suite.All(suite.Completes(), physical),
	}
}

func cases() []suite.Case {
	return []suite.Case{
		job("baseline_0.5b_128_2", small, a100, 128, 2, 1000),
		job("baseline_0.5b_256_2", small, a100, 256, 2, 1000),
		job("baseline_0.5b_512_2", small, a100, 512, 2, 1000),
		job("concurrency_0.5b_128_4", small, a100, 128, 4, 4000),
		job("concurrency_0.5b_128_8", small, a100, 128, 8, 4000),
		job("concurrency_0.5b_128_16", small, a100, 128, 16, 4000),
		job("large_7b_64_2", middle, a100, 64, 2, 500),
		job("large_13b_32_2", large, a100, 32, 2, 500),
		job("stress_0.5b_256_16", small, h100, 256, 16, 16000),
		job("stress_0.5b_512_8", small, h100, 512, 8, 16000),
		sla(),
	}
}

// sla is the job with a deadline: 100,000 rows, and what the day holds at that rate.
func sla() suite.Case {
	c := job("sla_0.5b_256_4_100k", small, a100, 256, 4, 100_000)
	c.Want = suite.All(c.Want, suite.Keeps("rows a day", func(r suite.Result) float64 { return day * rps(r) }, 5e6, 1e9))
	return c
}

// physical: no run computes or reads more than the hardware can.
var physical = suite.All(
	suite.Keeps("MFU in percent", suite.MFU().Of, 0, 100),
	suite.Keeps("bandwidth in percent", func(r suite.Result) float64 {
		if r.Run.Engine.Steps == 0 { // a live server that does not tell
			return 0
		}
		return suite.HBM().Of(r)
	}, 0, 100))

func rps(r suite.Result) float64 { return r.Summary.RequestThroughput }

func spec() suite.Spec {
	return suite.Spec{
		Asks:    "Which batch size and concurrency does a batch job want, and is the day long enough for its rows?",
		Cases:   cases(),
		Columns: columns(),
		Promises: []suite.Promise{
			suite.Rises("req/s", rps, "baseline_0.5b_128_2", "baseline_0.5b_256_2", "baseline_0.5b_512_2"),
			// Not that it rises: two batches already bring the front end, which takes one request at a time, to its limit.
			suite.Holds("req/s", 2, rps, "baseline_0.5b_128_2", "concurrency_0.5b_128_4"),
			suite.Falls("req/s", rps, "baseline_0.5b_128_2", "large_7b_64_2", "large_13b_32_2"),
		},
	}
}

func columns() []suite.Column {
	return []suite.Column{
		suite.Count("ok", "", func(r suite.Result) int { return r.Summary.Completed }),
		suite.Count("failed", "failed-requests", func(r suite.Result) int { return r.Summary.Failed }),
		suite.Rate("req/s", "req/s", rps),
		suite.Rate("steady", "steady-req/s", func(r suite.Result) float64 { return r.Summary.Steady.RequestThroughput }),
		suite.Rate("out tok/s", "out-tok/s", func(r suite.Result) float64 { return r.Summary.OutputThroughput }),
		suite.Rate("tok/s", "tok/s", func(r suite.Result) float64 { return r.Summary.TotalThroughput }),
		suite.Percentile("TTFT50", "ttft-p50-ns", suite.TTFT, suite.P50),
		suite.Percentile("TTFT99", "ttft-p99-ns", suite.TTFT, suite.P99),
		suite.Percentile("TPOT50", "tpot-p50-ns", suite.TPOT, suite.P50),
		suite.Percentile("TPOT99", "tpot-p99-ns", suite.TPOT, suite.P99),
		suite.Percentile("E2EL99", "e2el-p99-ns", suite.E2EL, suite.P99),
		suite.Span("makespan", "makespan-ns", func(r suite.Result) units.Span { return r.Summary.Duration }),
		suite.Span("drain", "drain-ns", func(r suite.Result) units.Span { return r.Summary.DrainTail }),
		suite.Count("running", "", func(r suite.Result) int { return r.Run.Engine.RunningPeak }),
		suite.Count("waiting", "", func(r suite.Result) int { return r.Run.Engine.WaitingPeak }),
		suite.Share("KV peak", "kv-peak-%", suite.Lower, func(r suite.Result) float64 { return r.Run.Engine.UsagePeak }),
		suite.Count("preempted", "preemptions", func(r suite.Result) int { return r.Run.Engine.Preemptions }),
		suite.Count("steps", "steps", func(r suite.Result) int { return r.Run.Engine.Steps }),
		suite.MFU(), suite.HBM(), suite.GPUSeconds(),
	}
}

func TestConfigMatrix(t *testing.T) {
	suite.Run(t, spec())
	suite.Twins(t, spec(), weaker)
}

func BenchmarkConfigMatrix(b *testing.B) { suite.Bench(b, spec()) }

// TestMemory asks how each GPU divides.
func TestMemory(t *testing.T) {
	s := suite.Spec{Asks: "How does the memory of each GPU divide?", Columns: []suite.Column{
		suite.Memory("GPU", "", func(r suite.Result) units.Bytes { return r.Plan.Total }),
		suite.Memory("budget", "", func(r suite.Result) units.Bytes { return r.Plan.Budget }),
		suite.Memory("weights", "", func(r suite.Result) units.Bytes { return r.Plan.Weights }),
		suite.Memory("activation", "", func(r suite.Result) units.Bytes { return r.Plan.Activation }),
		suite.Memory("non-torch", "", func(r suite.Result) units.Bytes { return r.Plan.NonTorch }),
		suite.Memory("CUDA graphs", "", func(r suite.Result) units.Bytes { return r.Plan.CUDAGraphs }),
		suite.Memory("KV cache", "", func(r suite.Result) units.Bytes { return r.Plan.KVCache }),
		suite.Figure("KV tokens", func(r suite.Result) float64 { return float64(r.Plan.KVTokens) }),
	}}
	for _, c := range cases() {
		c.Play, c.Want = nil, suite.Starts()
		s.Cases = append(s.Cases, c)
	}
	suite.Run(t, s)
}
