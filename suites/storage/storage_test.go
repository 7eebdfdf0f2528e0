// Package storage asks what the weights leave: which model, in which precision, on which GPU starts with 4,096 tokens
// a request and holds 32 sequences of 2,048 tokens.
package storage

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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

const (
	production = "production"
	tight      = "tight"
	no         = "does not fit"
)

// need is the KV cache of the load, in blocks and bytes on one GPU.
func need(p memory.Plan) (int, units.Bytes) {
	blocks := sequences * units.CeilDiv(tokens, max(1, p.Deployment.Engine.BlockSize))
	return blocks, units.Bytes(blocks) * p.BlockBytes
}

// holds says whether the load finds its blocks; the null block is never given out.
func holds(p memory.Plan) bool {
	blocks, _ := need(p)
	return int(p.NumBlocks)-1 >= blocks
}

// used is the share of the budget that is in use under the load.
func used(r suite.Result) float64 {
	p := r.Plan
	_, kv := need(p)
	return float64(p.Budget-p.KVCache+kv) / float64(p.Budget)
}

func verdict(r suite.Result) string {
	switch {
	case r.Failure != nil || !holds(r.Plan):
		return no
	case used(r) <= 0.85:
		return production
	}
	return tight
}

func is(want string) suite.Want {
	return suite.Want{Says: "is " + want, Check: func(r suite.Result) error {
		if got := verdict(r); got != want {
			return fmt.Errorf("it is %s: %.1f%% of the budget in use", got, 100*used(r))
		}
		if want == no {
			return nil
		}
		return suite.Completes().Check(r)
	}}
}

// missing is what the load lacks on each GPU.
func missing(r suite.Result) units.Bytes {
	_, kv := need(r.Plan)
	return max(0, kv-r.Plan.KVCache)
}

// smallest is the smallest single change under which the load fits, found by planning it.
func smallest(r suite.Result) string {
	if verdict(r) != no {
		return ""
	}
	if c, ok := memory.Smallest(r.Case.On, holds); ok {
		return c.String()
	}
	return "none"
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
	golden.Check(t, table)
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
