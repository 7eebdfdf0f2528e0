package memory

import (
	"fmt"
	"math"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Change is one flag with the value that makes a deployment fit, and the plan that shows it.
type Change struct {
	Flag  string
	Value string
	Plan  Plan
}

func (c Change) String() string { return c.Flag + " " + c.Value }

// Smallest finds the smallest single change that makes d start and satisfies enough (nil = starting is enough). Changes
// are tried from the least to the most costly, each by planning it: what only costs a setting comes before what
// costs accuracy, and that before what costs hardware. False where no single change suffices.
func Smallest(d deploy.Deployment, enough func(Plan) bool) (Change, bool) {
	first, err := For(d)
	for _, c := range candidates(d, first, failure.Classify(err)) {
		p, err := For(c.d)
		if err == nil && (enough == nil || enough(p)) {
			return Change{c.flag, c.value, p}, true
		}
	}
	return Change{}, false
}

type candidate struct {
	flag, value string
	d           deploy.Deployment
}

// candidates lists single changes, cheapest first.
func candidates(d deploy.Deployment, p Plan, class failure.Class) []candidate {
	e := p.Deployment.Engine
	var all []candidate
	try := func(flag string, value any, change func(*deploy.Deployment)) {
		c := d
		change(&c)
		all = append(all, candidate{flag, fmt.Sprint(value), c})
	}
	if n := p.LongestFitting; class == failure.ContextTooLong && n > 0 {
		try("--max-model-len", n, func(c *deploy.Deployment) { c.Engine.MaxModelLen = n })
	}
	for _, u := range utilizations(p, class) {
		try("--gpu-memory-utilization", u, func(c *deploy.Deployment) { c.Engine.GPUMemoryUtilization = u })
	}
	for n := e.MaxNumBatchedTokens / 2; n >= max(512, e.MaxNumSeqs) && class != failure.MemoryHeld; n /= 2 {
		try("--max-num-batched-tokens", n, func(c *deploy.Deployment) { c.Engine.MaxNumBatchedTokens = n })
	}
	for n := e.MaxNumSeqs / 2; n >= 16 && class != failure.MemoryHeld; n /= 2 {
		try("--max-num-seqs", n, func(c *deploy.Deployment) { c.Engine.MaxNumSeqs = n })
	}
	if e.KVCacheDType == "auto" {
		try("--kv-cache-dtype", "fp8", func(c *deploy.Deployment) { c.Engine.KVCacheDType = "fp8" })
	}
	if !e.EnforceEager {
		try("--enforce-eager", "true", func(c *deploy.Deployment) { c.Engine.EnforceEager = true })
	}
	if e.DType == "float32" {
		try("--dtype", "bfloat16", func(c *deploy.Deployment) { c.Engine.DType = "bfloat16" })
	}
	for _, q := range []string{"gptq-int8", "gptq-int4"} {
		if e.Quantization == "" || e.Quantization == "gptq-int8" && q == "gptq-int4" {
			try("--quantization", q, func(c *deploy.Deployment) { c.Engine.Quantization, c.Engine.DType = q, "" })
		}
	}
	for tp := 2 * max(1, e.TensorParallelSize); tp <= 8; tp *= 2 {
		try("--tensor-parallel-size", tp, func(c *deploy.Deployment) { c.Engine.TensorParallelSize = tp })
	}
	return all
}

// utilizations are the shares of the memory to try: smaller ones where others hold some of it, else larger ones.
func utilizations(p Plan, class failure.Class) []float64 {
	now := int(math.Round(100 * p.Deployment.Engine.GPUMemoryUtilization))
	var all []float64
	switch {
	case class == failure.MemoryHeld || class == failure.OutOfMemory:
		for u := now - 1; u >= 10; u-- {
			all = append(all, float64(u)/100)
		}
	default:
		for u := now + 1; u <= 97; u++ {
			all = append(all, float64(u)/100)
		}
	}
	return all
}

// Missing is how much more each GPU would need for a refused deployment to start; 0 where it starts.
func (p Plan) Missing() units.Bytes { return max(0, -p.Margin) }
