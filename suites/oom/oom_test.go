// Package oom asks what runs out of memory, and how: demand that exceeds the KV cache queues and is preempted, a
// start-up that cannot fit is refused with the reason that vLLM prints.
package oom

import (
	"fmt"
	"strings"
	"testing"

	"github.com/testing-symbiote/symbiote/golden"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

const (
	small  = "Qwen/Qwen2.5-0.5B-Instruct"
	middle = "Qwen/Qwen2.5-7B-Instruct"
)

// batch is so many sequences at once that grow to so many tokens, 512 of them generated.
func batch(name, model, gpu string, sequences, tokens int, verdict string) suite.Case {
	d := suite.On(model, gpu)
	d.Engine.MaxNumSeqs = min(sequences, 1024)
	c := suite.Case{Name: name, On: d, Want: promised(verdict)}
	c.Play = workload.Rows{Count: sequences, Prompt: workload.Fixed(tokens - generated), Output: workload.Fixed(generated)}.At(workload.AllAtOnce{})
	return c
}

const generated = 512

// few runs as many sequences as vLLM does by default on a card below 70 GiB. From 0.33 the profiling pass samples with
// every parameter and counts the sampler's own tables: at 512 sequences both take 1.4 GiB, which an 8 GB card misses.
func few(c suite.Case) suite.Case {
	c.On.Engine.MaxNumSeqs = 256
	return c
}

// share is what the sequences ask of the KV cache, over what the plan holds. The first block is never given out.
func share(r suite.Result) float64 {
	if r.Failure != nil {
		return 0
	}
	demand := 0
	for _, q := range r.Run.Requests {
		demand += units.CeilDiv(int(q.Prompt)+generated, r.Plan.Deployment.Engine.BlockSize)
	}
	return float64(demand) / float64(r.Plan.NumBlocks-1)
}

func verdict(r suite.Result) string {
	switch s := share(r); {
	case r.Failure != nil:
		return "refuses"
	case s <= 0.9:
		return "safe"
	case s <= 1:
		return "risky"
	}
	return "exceeds"
}

// promised is the verdict, and that nothing is lost on the way: what exceeds the cache waits or is preempted.
func promised(want string) suite.Want {
	is := suite.Want{Says: "is " + want, Check: func(r suite.Result) error {
		got := verdict(r)
		if want == "within memory" && (got == "safe" || got == "risky") || got == want {
			return nil
		}
		return fmt.Errorf("it is %s: the sequences ask for %.1f%% of the cache", got, 100*share(r))
	}}
	waits := suite.Want{Says: "queues or preempts", Check: func(r suite.Result) error {
		if e := r.Run.Engine; e.WaitingPeak == 0 && e.Preemptions == 0 {
			return fmt.Errorf("nothing waited and nothing was preempted")
		}
		return nil
	}}
	if want == "exceeds" {
		return suite.All(is, suite.Completes(), waits)
	}
	return suite.All(is, suite.Completes())
}

func spec() suite.Spec {
	cases := []suite.Case{
		batch("oom_normal_batch_128", small, "rtx-4090", 128, 682, "safe"),
		batch("oom_large_batch_512", small, "rtx-4090", 512, 682, "safe"),
		batch("oom_oversized_batch_2048", small, "rtx-4090", 2048, 640, "within memory"),
		batch("oom_extreme_batch_8192", small, "rtx-4090", 8192, 682, "exceeds"),
		batch("oom_multi_worker_1024", small, "rtx-4090", 4*256, 682, "safe"),
		batch("oom_at_limit_512", small, "rtx-4090", 512, atLimit(), "risky"),
		few(batch("oom_small_gpu_512", small, "rtx-4060", 512, 682, "safe")),
		batch("gpu=rtx-4060/batch=512/max-num-seqs=512", small, "rtx-4060", 512, 682, "risky"),
		batch("model=7b/gpu=rtx-4090/batch=1024", middle, "rtx-4090", 1024, 682, "exceeds"),
	}
	return suite.Spec{
		Asks:    "What does a batch ask of the KV cache, and what happens beyond it? Demand is sequences × tokens in whole blocks.",
		Cases:   cases,
		Columns: columns(),
		Promises: []suite.Promise{suite.Rises("share of the cache", share,
			"oom_normal_batch_128", "oom_large_batch_512", "oom_multi_worker_1024", "oom_oversized_batch_2048", "oom_extreme_batch_8192")},
	}
}

// atLimit is the length at which 512 sequences ask for 95 % of the cache.
func atLimit() int {
	p := plan(batch("", small, "rtx-4090", 512, 682, "").On)
	return (int(p.NumBlocks) - 1) * 95 / 100 / 512 * p.Deployment.Engine.BlockSize
}

func columns() []suite.Column {
	return []suite.Column{
		{Name: "verdict", Text: verdict},
		{Name: "of cache", Of: share, Show: golden.Percent, Unit: "of-cache", Good: suite.Lower},
		suite.Memory("KV cache", "kv-bytes", func(r suite.Result) units.Bytes { return r.Plan.KVCache }),
		suite.Count("ok", "", func(r suite.Result) int { return r.Summary.Completed }),
		suite.Count("failed", "failed-requests", func(r suite.Result) int { return r.Summary.Failed }),
		suite.Count("running", "", func(r suite.Result) int { return r.Run.Engine.RunningPeak }),
		suite.Count("waiting", "", func(r suite.Result) int { return r.Run.Engine.WaitingPeak }),
		suite.Count("preempted", "preemptions", func(r suite.Result) int { return r.Run.Engine.Preemptions }),
		suite.Share("KV peak", "kv-peak-%", suite.Lower, func(r suite.Result) float64 { return r.Run.Engine.UsagePeak }),
		suite.Span("makespan", "makespan-ns", func(r suite.Result) units.Span { return r.Summary.Duration }),
	}
}

func TestOOM(t *testing.T) { suite.Run(t, spec()) }

func BenchmarkOOM(b *testing.B) { suite.Bench(b, spec()) }

// says promises a part of the message that vLLM prints.
func says(part string) suite.Want {
	return suite.Want{Says: fmt.Sprintf("says %q", part), Check: func(r suite.Result) error {
		if r.Failure == nil || !strings.Contains(r.Failure.Message, part) {
			return fmt.Errorf("it says %v", r.Failure)
		}
		return nil
	}}
}

// at changes a deployment of a version.
func at(model, gpu, version string, change func(*deploy.Deployment)) deploy.Deployment {
	d := suite.On(model, gpu)
	d.VLLMVersion = version
	change(&d)
	return d
}
