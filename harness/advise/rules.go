package advise

import (
	"fmt"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Rule proposes one change.
type Rule struct {
	Name string
	Why  string
	// Least is by how much the change must help, as a share of what is; 0 = a hundredth, below which a flag is not worth
	// a change.
	Least float64
	// When says whether the rule speaks, and from what it concludes that.
	When func(Evidence) (evidence string, applies bool)
	// Change makes the change and says it in vLLM's flags; "" if there is nothing to change.
	Change func(*deploy.Deployment) string
}

// Rules are all that is known here. Their order is that of how little a change costs.
func Rules() []Rule {
	return append(seatsAndBudget(), memoryAndPrecision()...)
}

// seatsAndBudget change how a running server schedules.
func seatsAndBudget() []Rule {
	return []Rule{
		{"more seats", "requests wait for a seat while the KV cache has room", 0, func(e Evidence) (string, bool) {
			s := e.Summary.Engine
			return fmt.Sprintf("up to %d waited, KV usage peaked at %.0f%%", s.WaitingPeak, 100*s.UsagePeak),
				e.Failure == nil && s.WaitingPeak > 0 && s.UsagePeak < 0.5
		}, func(d *deploy.Deployment) string {
			freeActive(d)
			return raise(&d.Engine.MaxNumSeqs, min(4*d.Engine.MaxNumSeqs, d.Engine.MaxNumBatchedTokens), "--max-num-seqs")
		}},
		{"fewer seats", "preempted requests compute their tokens twice", 0, preempts, func(d *deploy.Deployment) string {
			freeActive(d)
			return lower(&d.Engine.MaxNumSeqs, d.Engine.MaxNumSeqs/2, "--max-num-seqs")
		}},
		{"larger step budget", "prompts wait for their turn in the step's token budget", 0, func(e Evidence) (string, bool) {
			return fmt.Sprintf("%d missed TTFT, %d missed TPOT", e.Verdict.MissedTTFT, e.Verdict.MissedTPOT),
				e.Failure == nil && e.Verdict.MissedTTFT > e.Verdict.MissedTPOT
		}, func(d *deploy.Deployment) string {
			return raise(&d.Engine.MaxNumBatchedTokens, 2*d.Engine.MaxNumBatchedTokens, "--max-num-batched-tokens")
		}},
		{"smaller step budget", "long prompts stall the answers that are being written", 0, func(e Evidence) (string, bool) {
			limit := e.Verdict.Target.TPOT
			return fmt.Sprintf("the longest gap between two tokens was %v, %d missed TPOT", e.Summary.LongestGap, e.Verdict.MissedTPOT),
				e.Failure == nil && limit > 0 && e.Summary.LongestGap > 2*units.FromDuration(limit)
		}, func(d *deploy.Deployment) string {
			return lower(&d.Engine.MaxNumBatchedTokens, max(d.Engine.MaxNumBatchedTokens/4, d.Engine.MaxNumSeqs), "--max-num-batched-tokens")
		}},
		{"larger batches", "the rows in flight cannot fill the engine's seats", 0, func(e Evidence) (string, bool) {
			p := e.Deployment.Pipeline
			return fmt.Sprintf("batch_size × concurrency = %d, at most %d ran", p.BatchSize*p.Concurrency, e.Summary.Engine.RunningPeak),
				e.Failure == nil && p.BatchSize > 0 && p.BatchSize*p.Concurrency < e.Deployment.Engine.MaxNumSeqs
		}, func(d *deploy.Deployment) string {
			d.Pipeline.Concurrency *= 2
			return fmt.Sprintf("raise the pipeline's concurrency to %d", d.Pipeline.Concurrency)
		}},
		{"prefix cache", "prompts share prefixes that are computed each time", 0, func(e Evidence) (string, bool) {
			on := e.Deployment.Engine.EnablePrefixCaching
			return "--no-enable-prefix-caching is set", e.Failure == nil && on != nil && !*on
		}, func(d *deploy.Deployment) string {
			on := true
			d.Engine.EnablePrefixCaching = &on
			return "set --enable-prefix-caching"
		}},
		{"CUDA graphs", "each step pays for launching its kernels one by one", 0, func(e Evidence) (string, bool) {
			return "--enforce-eager is set", e.Failure == nil && e.Deployment.Engine.EnforceEager
		}, func(d *deploy.Deployment) string {
			d.Engine.EnforceEager = false
			return "drop --enforce-eager"
		}},
	}
}

// memoryAndPrecision make room.
func memoryAndPrecision() []Rule {
	return []Rule{
		{"more of the card", "the share of the card that vLLM may use decides how much is left for the KV cache", 0, short, func(d *deploy.Deployment) string {
			if d.Engine.GPUMemoryUtilization >= 0.95 {
				return ""
			}
			d.Engine.GPUMemoryUtilization = 0.95
			return "set --gpu-memory-utilization 0.95"
		}},
		{"fp8 KV cache", "a KV block takes half the bytes, so the cache holds twice the tokens", 0, short, func(d *deploy.Deployment) string {
			if d.Engine.KVCacheDType != "" && d.Engine.KVCacheDType != "auto" {
				return ""
			}
			d.Engine.KVCacheDType = "fp8"
			return "set --kv-cache-dtype fp8"
		}},
		{"shorter context", "one request of the whole context must fit the KV cache", 0, func(e Evidence) (string, bool) {
			return failed(e, failure.ContextTooLong)
		}, func(d *deploy.Deployment) string {
			return lower(&d.Engine.MaxModelLen, d.Engine.MaxModelLen/2, "--max-model-len")
		}},
		{"4-bit weights", "weights of linear layers take about a quarter of the bytes", 0, func(e Evidence) (string, bool) {
			return failed(e, failure.WeightsDoNotFit, failure.NoRoomForKV, failure.OutOfMemory)
		}, func(d *deploy.Deployment) string {
			if d.Engine.Quantization != "" {
				return ""
			}
			d.Engine.Quantization = "gptq-int4"
			return "use gptq-int4 weights"
		}},
		{"a second GPU", "tensor parallelism divides weights and KV cache between the cards", 0.25, func(e Evidence) (string, bool) {
			if text, yes := failed(e, failure.WeightsDoNotFit, failure.NoRoomForKV, failure.OutOfMemory); yes {
				return text, true
			}
			return e.Verdict.String(), e.Failure == nil && e.Verdict.Requests > 0 && e.Verdict.Share < 0.9
		}, func(d *deploy.Deployment) string {
			return raise(&d.Engine.TensorParallelSize, 2*max(1, d.Engine.TensorParallelSize), "--tensor-parallel-size")
		}},
	}
}

func preempts(e Evidence) (string, bool) {
	s := e.Summary.Engine
	return fmt.Sprintf("%d preemptions, %d tokens computed again", s.Preemptions, s.Recomputed), s.Preemptions > 0
}

// short of KV cache, at the start or under way.
func short(e Evidence) (string, bool) {
	if text, yes := failed(e, failure.NoRoomForKV, failure.ContextTooLong); yes {
		return text, true
	}
	if text, yes := preempts(e); yes {
		return text, true
	}
	s := e.Summary.Engine
	return fmt.Sprintf("KV usage peaked at %.0f%%, up to %d waited", 100*s.UsagePeak, s.WaitingPeak), s.UsagePeak > 0.9 && s.WaitingPeak > 0
}

func failed(e Evidence, classes ...failure.Class) (string, bool) {
	for _, c := range classes {
		if e.Failure != nil && e.Failure.Class == c {
			return "does not start: " + e.Failure.Message, true
		}
	}
	return "", false
}

// freeActive lets --max-num-active-seqs follow --max-num-seqs again where it is only its resolved default.
func freeActive(d *deploy.Deployment) {
	if d.Engine.MaxNumActiveSeqs == d.Engine.MaxNumSeqs {
		d.Engine.MaxNumActiveSeqs = 0
	}
}

func raise(n *int, to int, flag string) string {
	if to <= *n {
		return ""
	}
	from := *n
	*n = to
	return fmt.Sprintf("raise %s from %d to %d", flag, from, to)
}

func lower(n *int, to int, flag string) string {
	if to >= *n || to < 1 {
		return ""
	}
	from := *n
	*n = to
	return fmt.Sprintf("lower %s from %d to %d", flag, from, to)
}
