// Package storage asks what the weights leave: which model, in which precision, on which GPU starts with 4,096 tokens
// a request and holds 32 sequences of 2,048 tokens.
package storage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/testing-symbiote/symbiote/golden"
	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

const (
	context   = 4096
	sequences = 32
	tokens    = 2048
)

// A name is how the cases call something that fixtures knows by an id.
type name struct{ short, id string }

// The model that the cases call 13b has 14 billion parameters: there is no Qwen2.5 of 13B.
func models() []name {
	return []name{{"0.5b", "Qwen/Qwen2.5-0.5B-Instruct"}, {"7b", "Qwen/Qwen2.5-7B-Instruct"}, {"13b", "Qwen/Qwen2.5-14B-Instruct"}}
}

func gpus() []name {
	return []name{{"rtx3090", "rtx-3090"}, {"a100_40gb", "a100-40gb-sxm"}, {"h100_80gb", "h100-sxm"}, {"rtx4090", "rtx-4090"}, {"l40", "l40"}}
}

var precisions = [...]string{"fp32", "fp16", "int8", "int4"}

// promises is the verdict of each precision, in their order: production, tight, or - for does not fit.
func promises() map[string]string {
	return map[string]string{
		"0.5b/rtx3090": "p p p p", "0.5b/a100_40gb": "p p p p", "0.5b/h100_80gb": "p p p p", "0.5b/rtx4090": "p p p p", "0.5b/l40": "p p p p",
		"7b/rtx3090": "- t p p", "7b/a100_40gb": "- p p p", "7b/h100_80gb": "p p p p", "7b/rtx4090": "- t p p", "7b/l40": "t p p p",
		"13b/rtx3090": "- - - -", "13b/a100_40gb": "- - p p", "13b/h100_80gb": "- p p p", "13b/rtx4090": "- - - -", "13b/l40": "- - p p",
	}
}

// stored is a model on a GPU with its weights in one precision, and the load that it must hold.
func stored(model, gpu, precision string) suite.Case {
	d := suite.On(model, gpu)
	d.Engine.MaxModelLen = context
	switch precision {
	case "fp32":
		d.Engine.DType = "float32"
	case "fp16":
		d.Engine.DType = "float16"
	case "int8":
		d.Engine.Quantization = "gptq-int8"
	case "int4":
		d.Engine.Quantization = "gptq-int4"
	}
	return suite.Case{On: d, Play: workload.Rows{Count: sequences, Prompt: workload.Fixed(tokens - 512), Output: workload.Fixed(512)}.At(workload.AllAtOnce{})}
}

func cases() []suite.Case {
	var all []suite.Case
	for _, m := range models() {
		for _, g := range gpus() {
			letters := strings.Fields(promises()[m.short+"/"+g.short])
			for i, p := range precisions {
				c := stored(m.id, g.id, p)
				c.Name = fmt.Sprintf("storage_%s_%s_%s", m.short, g.short, p)
				c.Want = is(map[string]string{"p": production, "t": tight, "-": no}[letters[i]])
				all = append(all, c)
			}
		}
	}
	return all
}

func spec() suite.Spec {
	term := func(name string, of func(memory.Plan) units.Bytes) suite.Column {
		return suite.Column{Name: name, Of: func(r suite.Result) float64 { return float64(of(r.Plan)) }, Show: golden.GiB}
	}
	weights := term("weights", func(p memory.Plan) units.Bytes { return p.Weights })
	weights.Unit, weights.Good = "weights-bytes", suite.Lower
	return suite.Spec{
		Asks:  "What do the weights leave? Start with 4,096 tokens a request, hold 32 sequences of 2,048; production uses at most 85 % of the budget.",
		Cases: cases(),
		Columns: []suite.Column{
			{Name: "verdict", Text: verdict},
			weights,
			term("activation", func(p memory.Plan) units.Bytes { return p.Activation }),
			term("non-torch", func(p memory.Plan) units.Bytes { return p.NonTorch }),
			term("graphs", func(p memory.Plan) units.Bytes { return p.CUDAGraphs }),
			term("KV", func(p memory.Plan) units.Bytes { return p.KVCache }),
			suite.Figure("blocks", func(r suite.Result) float64 { return float64(r.Plan.NumBlocks) }),
			{Name: "used", Text: func(r suite.Result) string {
				if verdict(r) == no {
					return ""
				}
				return golden.Percent(used(r))
			}},
			{Name: "missing", Text: func(r suite.Result) string {
				if verdict(r) != no {
					return ""
				}
				return golden.GiB(float64(missing(r)))
			}},
			{Name: "smallest change", Text: smallest},
			suite.Rate("out tok/s", "out-tok/s", func(r suite.Result) float64 { return r.Summary.OutputThroughput }),
			suite.GPUSeconds(),
		},
		Promises: lighter(),
	}
}

// lighter: fewer bits never weigh more.
func lighter() []suite.Promise {
	var all []suite.Promise
	for _, m := range models() {
		var names []string
		for _, p := range precisions {
			names = append(names, fmt.Sprintf("storage_%s_h100_80gb_%s", m.short, p))
		}
		all = append(all, suite.Falls("weights", func(r suite.Result) float64 { return float64(r.Plan.Weights) }, names...))
	}
	return all
}

func TestStorage(t *testing.T) { suite.Run(t, spec()) }

func BenchmarkStorage(b *testing.B) { suite.Bench(b, spec()) }
