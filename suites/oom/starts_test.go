package oom

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/golden"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
)

func plan(d deploy.Deployment) memory.Plan {
	p, err := memory.For(d)
	if err != nil {
		panic(err) // the cases that ask are those that start
	}
	return p
}

// refuses is a start-up that vLLM refuses, with what it says.
func refuses(name string, d deploy.Deployment, class failure.Class, message string) suite.Case {
	return suite.Case{Name: name, On: d, Want: suite.All(suite.Fails(class), says(message))}
}

func refusals() suite.Spec {
	engine := func(e deploy.Engine) func(*deploy.Deployment) { return func(d *deploy.Deployment) { d.Engine = e } }
	return suite.Spec{
		Asks: "Which start-ups are refused, why, and what is the smallest change that fits?",
		Cases: []suite.Case{
			refuses("cause=weights", suite.On("Llama-3.1-70B", "h100-sxm"), failure.WeightsDoNotFit, "CUDA out of memory. Tried to allocate"),
			refuses("cause=no-blocks", at("Qwen2.5-14B", "h100-sxm", "", engine(deploy.Engine{GPUMemoryUtilization: 0.37})), failure.NoRoomForKV,
				"No available memory for the cache blocks."),
			refuses("cause=context", at("Llama-3.1-8B", "rtx-4090", "", engine(deploy.Engine{})), failure.ContextTooLong,
				"To serve at least one request with the model's max seq len (131072), (16.0 GiB KV cache is needed"),
			refuses("cause=held", at("Qwen2.5-7B", "l40s", "", func(d *deploy.Deployment) { d.MemoryHeld = 5 * units.GiB }), failure.MemoryHeld,
				"is less than desired GPU memory utilization (0.92, 40.85 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes."),
			refuses("cause=sampler", at("Llama-3.1-8B", "rtx-3090", "0.17.1", func(d *deploy.Deployment) {
				d.Engine = deploy.Engine{MaxModelLen: 8192, GPUMemoryUtilization: 0.9}
				d.MemoryHeld = units.Gibibytes(1.68)
			}), failure.OutOfMemory, "CUDA out of memory occurred when warming up sampler with 256 dummy requests."),
			{Name: "cause=none/max-model-len=auto", On: at("Llama-3.1-8B", "rtx-4090", "", engine(deploy.Engine{MaxModelLen: -1})), Want: suite.Starts()},
		},
		Columns: []suite.Column{
			{Name: "failure", Text: func(r suite.Result) string { return string(failureOf(r)) }},
			{Name: "missing", Of: func(r suite.Result) float64 { return float64(r.Plan.Missing()) }, Show: golden.GiB},
			{Name: "smallest change", Text: smallest},
		},
	}
}

func failureOf(r suite.Result) failure.Class {
	if r.Failure == nil {
		return failure.None
	}
	return r.Failure.Class
}

func smallest(r suite.Result) string {
	if r.Failure == nil {
		return ""
	}
	c, ok := memory.Smallest(r.Case.On, nil)
	if !ok {
		return "none"
	}
	return c.String()
}

func TestRefusals(t *testing.T) { suite.Run(t, refusals()) }

// What vLLM refuses before it looks at memory has no plan at all.
func TestArguments(t *testing.T) {
	for want, e := range map[string]deploy.Engine{
		"Total number of attention heads (14) must be divisible by tensor parallel size (3).":       {TensorParallelSize: 3},
		"max_num_batched_tokens (256) must be greater than or equal to max_num_seqs (300).":         {MaxNumSeqs: 300, MaxNumBatchedTokens: 256},
		"User-specified max_model_len (100000) is greater than the derived max_model_len (max_posi": {MaxModelLen: 100000},
	} {
		d := suite.On(small, "rtx-4090")
		d.Engine = e
		_, err := memory.For(d)
		require.Equal(t, failure.BadArguments, failure.Classify(err))
		require.ErrorContains(t, err, want)
	}
}

// Start-ups of vLLM 0.26.0 on one H100 SXM, as its log printed them.
func TestRealStarts(t *testing.T) {
	table := golden.Table{
		Notes:   []string{"Start-ups of vLLM 0.26.0 on an H100 SXM (79.18 GiB): what its log printed, measured, and what the planner says."},
		Columns: []string{"start", "printed KV", "planned KV", "printed blocks", "planned blocks"},
	}
	for _, s := range []struct {
		name, model string
		engine      deploy.Engine
		kv          float64
		blocks      int
	}{
		{"0.5b", small, deploy.Engine{}, 71.35, 389651},
		{"7b", middle, deploy.Engine{}, 57.21, 66946},
		{"7b/eager", middle, deploy.Engine{MaxModelLen: 4096, EnforceEager: true}, 57.21, 66954},
		{"7b/max-num-batched-tokens=2048", middle, deploy.Engine{MaxNumSeqs: 256, MaxNumBatchedTokens: 2048}, 57.29, 67042},
		{"14b", "Qwen2.5-14B", deploy.Engine{}, 43.44, 14828},
		{"7b/quantization=awq", middle, deploy.Engine{MaxModelLen: 4096, Quantization: "awq"}, 66.12, 77377},
	} {
		d := at(s.model, "h100-sxm", "0.26.0", func(d *deploy.Deployment) { d.Engine = s.engine })
		d.GPU.Memory = units.Gibibytes(79.18)
		p := plan(d)
		require.InDelta(t, s.kv, p.KVCache.GiB(), 0.03, s.name)
		require.LessOrEqual(t, math.Abs(float64(p.NumBlocks)/float64(s.blocks)-1), 0.001, s.name)
		table.Rows = append(table.Rows, golden.Row{s.name, golden.GiB(s.kv * (1 << 30)), golden.GiB(float64(p.KVCache)), fmt.Sprint(s.blocks), fmt.Sprint(p.NumBlocks)})
	}
	suite.Check(t, table)
}

// Rows in flight live in Ray's object store, in the memory of the host.
func TestHostMemory(t *testing.T) {
	table := golden.Table{
		Notes:   []string{"Rows that Ray holds against its object store (30 % of the host's memory unless set): planned from batch_size × concurrency."},
		Columns: []string{"case", "rows", "demand", "object store", "fits"},
	}
	for _, c := range []struct {
		name               string
		batch, concurrency int
		row                units.Bytes
		host               memory.Host
	}{
		{"text/16GiB", 256, 4, 16 * units.KiB, memory.Host{RAM: 16 * units.GiB}},
		{"text/store=300MB", 2048, 8, 16 * units.KiB, memory.Host{ObjectStore: 300 * 1e6}},
		{"images/64GiB", 256, 4, 2 * units.MiB, memory.Host{RAM: 64 * units.GiB}},
		{"images/16GiB", 256, 8, 2 * units.MiB, memory.Host{RAM: 16 * units.GiB}},
	} {
		d := suite.On(small, "rtx-4090")
		d.Pipeline = deploy.Pipeline{BatchSize: c.batch, Concurrency: c.concurrency, Replicas: 1}
		c.host.Row = c.row
		p := memory.ForHost(d, c.host)
		require.Equal(t, p.Demand <= p.ObjectStore, p.Fits)
		table.Rows = append(table.Rows, golden.Row{c.name, fmt.Sprint(p.Rows), p.Demand.String(), p.ObjectStore.String(), fmt.Sprint(p.Fits)})
	}
	suite.Check(t, table)
}
