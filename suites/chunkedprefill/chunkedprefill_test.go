// Package chunkedprefill asks what chunked prefill buys: each prompt is played among 32 steady decodes and alone.
package chunkedprefill

import (
	"fmt"
	"strings"
	"testing"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

const (
	maxModelLen = 16384 // of every case: the longest prompt and its answer, twice over
	decodes     = 32
)

// A strategy is a set of engine arguments.
type strategy struct {
	name string
	set  func(*deploy.Engine)
}

func strategies() []strategy {
	off := false
	budget := func(n int) func(*deploy.Engine) { return func(e *deploy.Engine) { e.MaxNumBatchedTokens = n } }
	return []strategy{
		{"no_chunking", func(e *deploy.Engine) { e.EnableChunkedPrefill, e.MaxNumBatchedTokens = &off, maxModelLen }},
		{"small_chunk", func(e *deploy.Engine) { e.MaxNumBatchedTokens, e.MaxNumSeqs = 256, 256 }},
		{"medium_chunk", budget(512)},
		{"token_budget", budget(2048)},
		{"adaptive", func(e *deploy.Engine) { e.MaxNumBatchedTokens, e.LongPrefillTokenThresholdAdaptive = 2048, true }},
	}
}

// among is the prompt arriving half a second into the decodes, which have short prompts so that their own prefill stalls
// nobody; alone is the prompt on an idle server.
func among(prompt int) workload.Workload {
	var rows []workload.Request
	for range decodes {
		rows = append(rows, workload.Request{Prompt: 16, Output: 512})
	}
	rows = append(rows, workload.Request{At: units.Time(units.Second / 2), Prompt: units.Tokens(prompt), Output: 1})
	return workload.List{Name: fmt.Sprintf("%d tokens among %d decodes", prompt, decodes), Requests: rows}.At(nil)
}

func alone(prompt int) workload.Workload {
	return workload.List{Name: fmt.Sprintf("%d tokens alone", prompt),
		Requests: []workload.Request{{Prompt: units.Tokens(prompt), Output: 1}}}.At(nil)
}

func name(model string, prompt int, strategy string) string {
	return fmt.Sprintf("prefill_%s_%d_%s", model, prompt, strategy)
}

func spec() suite.Spec {
	s := suite.Spec{
		Asks: "What does chunked prefill buy? A prompt among 32 decodes: its TTFT, the decodes' gaps; and the same prompt alone. Chunking cannot make a lone prompt faster.",
		Columns: []suite.Column{
			suite.Span("alone TTFT", "alone-ttft-ns", aloneTTFT),
			suite.Span("TTFT", "ttft-ns", promptTTFT),
			suite.Percentile("ITL50", "itl-p50-ns", itl, suite.P50),
			suite.Percentile("ITL99", "itl-p99-ns", itl, suite.P99),
			suite.Span("stall", "longest-stall-ns", longestStall),
			suite.Rate("tok/s", "tok/s", func(r suite.Result) float64 { return r.Summary.TotalThroughput }),
			suite.Memory("activation", "activation-bytes", func(r suite.Result) units.Bytes { return r.Plan.Activation }),
			{Name: "KV tokens", Unit: "kv-tokens", Good: suite.Higher, Of: func(r suite.Result) float64 { return float64(r.Plan.KVTokens) }},
		},
	}
	for _, model := range []string{"0.5b", "7b"} {
		for _, prompt := range []int{512, 2048, 8192} {
			for _, g := range strategies() {
				d := suite.On("Qwen/Qwen2.5-"+model+"-Instruct", "rtx-4090")
				d.Engine.MaxModelLen = maxModelLen
				g.set(&d.Engine)
				s.Cases = append(s.Cases, suite.Case{
					Name: name(model, prompt, g.name), On: d,
					Play: among(prompt), Also: []workload.Workload{alone(prompt)}, Want: want(model, g.name, prompt),
				})
			}
			s.Promises = append(s.Promises, aloneNeverFaster(model, prompt))
		}
		s.Promises = append(s.Promises,
			suite.Falls("longest stall", nanoseconds(longestStall), name(model, 8192, "no_chunking"), name(model, 8192, "token_budget"), name(model, 8192, "medium_chunk")),
			suite.Falls("activation memory", activation, name(model, 8192, "no_chunking"), name(model, 8192, "token_budget"), name(model, 8192, "medium_chunk"), name(model, 8192, "small_chunk")),
		)
	}
	return s
}

// stallMs is the longest that a reader of a streamed answer should wait for the next token: some ten steps of the model.
func stallMs(model string) float64 {
	if model == "0.5b" {
		return 40
	}
	return 100
}

// want: small chunks keep the stall short; a long prompt in one piece must not, or the promise would be empty.
func want(model, strategy string, prompt int) suite.Want {
	short := suite.Keeps("longest stall in ms", func(r suite.Result) float64 { return longestStall(r).Milliseconds() }, 0, stallMs(model))
	switch {
	case strategy == "small_chunk" || strategy == "medium_chunk" || strategy == "adaptive":
		return suite.All(suite.Completes(), short)
	case strategy == "no_chunking" && prompt == 8192:
		return suite.All(suite.Completes(), suite.Want{Says: fmt.Sprintf("stalls its decodes for more than %g ms", stallMs(model)), Check: func(r suite.Result) error {
			if short.Check(r) == nil {
				return fmt.Errorf("the longest stall is %v", longestStall(r))
			}
			return nil
		}})
	}
	return suite.Completes()
}

func TestChunkedPrefill(t *testing.T) {
	suite.Run(t, spec())
	suite.Twins(t, spec(), twin)
}

// twin is the strategy that stalls where another must not, and the other way round. Where every request must complete and
// nothing more, it is a model that takes no such prompt.
func twin(c suite.Case) suite.Twin {
	twin := suite.Twin{Case: c}
	as := func(i int) {
		e := &twin.On.Engine
		*e = deploy.Engine{MaxModelLen: maxModelLen}
		strategies()[i].set(e)
		twin.Is, twin.Play, twin.Also = "strategy="+strategies()[i].name+"/prompt=8192", among(8192), nil
	}
	switch {
	case strings.Contains(c.Want.Says, "stalls"):
		as(2)
	case strings.Contains(c.Want.Says, "longest stall"):
		as(0)
	default:
		twin.Is, twin.On.Engine.MaxModelLen, twin.Also = "max-model-len=256", 256, nil
	}
	return twin
}

func BenchmarkChunkedPrefill(b *testing.B) { suite.Bench(b, spec()) }
