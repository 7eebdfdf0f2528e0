package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/units"
)

const planUsage = `usage: symbiote plan -deployment FILE.yaml
       symbiote plan -model NAME -gpu NAME [vLLM's flags]

Divides the memory of each GPU as vLLM would. Exit 0: it fits, 1: vLLM would refuse to start, 2: bad input.
A model is an entry of fixtures/models or a path to an HF config.json.

`

// planFlags are what plan is asked.
type planFlags struct {
	json            bool
	deployment      string
	model, gpu      string
	held            float64
	ram, store, row float64
	d               deploy.Deployment
	kvBytes         int64
}

// planDocument is the JSON of a plan.
type planDocument struct {
	Fits           bool          `json:"fits"`
	Reason         string        `json:"reason"`
	Failure        string        `json:"failure"`
	GPUTotal       float64       `json:"gpu_total_gib"`
	Budget         float64       `json:"budget_gib"`
	Weights        float64       `json:"weights_gib"`
	Activation     float64       `json:"activation_gib"`
	NonTorch       float64       `json:"non_torch_gib"`
	CUDAGraph      float64       `json:"cuda_graph_gib"`
	KVCache        float64       `json:"kv_cache_gib"`
	KVTokens       int           `json:"kv_cache_tokens"`
	NumBlocks      int           `json:"num_gpu_blocks"`
	MaxConcurrency float64       `json:"max_concurrency"`
	Longest        int           `json:"estimated_max_model_len"`
	Defaults       deploy.Engine `json:"defaults"`
	Warnings       []string      `json:"warnings"`
	Missing        float64       `json:"missing_gib,omitempty"`
	Smallest       string        `json:"smallest_change,omitempty"`
	Undecided      bool          `json:"within_model_error,omitempty"`
	Terms          []planTerm    `json:"terms"`
	Host           *planHost     `json:"host_memory,omitempty"`
}

type planTerm struct {
	Name        string  `json:"name"`
	GiB         float64 `json:"gib"`
	Uncertainty float64 `json:"uncertainty_gib"`
	Source      string  `json:"source"`
}

type planHost struct {
	RAM         float64 `json:"ram_gib"`
	ObjectStore float64 `json:"object_store_gib"`
	Rows        int     `json:"rows"`
	Demand      float64 `json:"demand_gib"`
	Fits        bool    `json:"fits"`
	Reason      string  `json:"reason"`
}

func planCommand(args []string, stdout, stderr io.Writer) int {
	f, fs := newPlanFlags(stderr)
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case fs.NArg() > 0:
		return fail(stderr, "plan", fmt.Errorf("argument %q, want flags alone", fs.Arg(0)))
	}
	d, err := f.deployed(fs)
	if err != nil {
		return fail(stderr, "plan", err)
	}
	doc, err := planned(d, f)
	if err != nil {
		return fail(stderr, "plan", err)
	}
	if f.json {
		printJSON(stdout, doc)
	} else {
		printPlan(stdout, d, doc)
	}
	if !doc.Fits || doc.Host != nil && !doc.Host.Fits {
		return 1
	}
	return 0
}

func newPlanFlags(stderr io.Writer) (*planFlags, *flag.FlagSet) {
	f := &planFlags{}
	fs := flag.NewFlagSet("plan", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, planUsage)
		fs.PrintDefaults()
	}
	e := &f.d.Engine
	fs.BoolVar(&f.json, "json", false, "print one JSON document")
	fs.StringVar(&f.deployment, "deployment", "", "read the deployment from this `FILE.yaml`")
	fs.StringVar(&f.model, "model", "", "model, or path to an HF config.json")
	fs.StringVar(&f.gpu, "gpu", "", "GPU, such as h100-sxm")
	fs.StringVar(&f.d.VLLMVersion, "vllm-version", "", "release of vLLM (default the newest known)")
	for _, name := range []string{"tensor-parallel-size", "tp"} {
		fs.IntVar(&e.TensorParallelSize, name, 0, "GPUs that share every layer")
	}
	for _, name := range []string{"pipeline-parallel-size", "pp"} {
		fs.IntVar(&e.PipelineParallelSize, name, 0, "stages that share the layers")
	}
	fs.Float64Var(&e.GPUMemoryUtilization, "gpu-memory-utilization", 0, "share of the GPU's memory")
	fs.IntVar(&e.MaxModelLen, "max-model-len", 0, "longest request, -1 = what the memory holds")
	fs.IntVar(&e.MaxNumSeqs, "max-num-seqs", 0, "requests running at once")
	fs.IntVar(&e.MaxNumBatchedTokens, "max-num-batched-tokens", 0, "tokens a step")
	fs.StringVar(&e.DType, "dtype", "", "bfloat16 float16 float32")
	fs.StringVar(&e.Quantization, "quantization", "", "awq gptq-int4 gptq-int8 fp8 w8a8")
	fs.StringVar(&e.KVCacheDType, "kv-cache-dtype", "", "auto fp8")
	fs.IntVar(&e.BlockSize, "block-size", 0, "tokens a KV block")
	fs.BoolVar(&e.EnforceEager, "enforce-eager", false, "no CUDA graphs")
	fs.IntVar(&e.NumGPUBlocksOverride, "num-gpu-blocks-override", 0, "KV blocks instead of what memory holds")
	fs.Int64Var(&f.kvBytes, "kv-cache-memory-bytes", 0, "KV cache instead of what the budget leaves")
	fs.StringVar(&e.UsageContext, "usage-context", "", "server llm engine")
	fs.Float64Var(&f.held, "gpu-memory-used-gib", 0, "held on each GPU by others")
	fs.BoolVar(&f.d.WarmCompile, "warm-compile-cache", false, "not the first start of this model here: nothing is compiled")
	fs.IntVar(&f.d.Pipeline.BatchSize, "batch-size", 0, "rows a batch, for host memory")
	fs.IntVar(&f.d.Pipeline.Concurrency, "concurrency", 0, "batches in flight an engine, for host memory")
	fs.IntVar(&f.d.Pipeline.Replicas, "replicas", 0, "engines, for host memory")
	fs.Float64Var(&f.ram, "host-ram-gib", 0, "memory of the host: plans Ray's object store too")
	fs.Float64Var(&f.store, "object-store-gib", 0, "Ray's object store (default 30 % of the host's memory)")
	fs.Float64Var(&f.row, "row-kib", 16, "one row with its answer")
	return f, fs
}

// deployed is the file, or what the flags say.
func (f *planFlags) deployed(fs *flag.FlagSet) (deploy.Deployment, error) {
	if f.deployment != "" {
		conflict := ""
		fs.Visit(func(g *flag.Flag) {
			switch g.Name {
			case "json", "deployment", "host-ram-gib", "object-store-gib", "row-kib", "warm-compile-cache":
			default:
				conflict = g.Name
			}
		})
		if conflict != "" {
			return deploy.Deployment{}, fmt.Errorf("-%s beside -deployment: write it into %s", conflict, f.deployment)
		}
		data, err := os.ReadFile(f.deployment)
		if err != nil {
			return deploy.Deployment{}, err
		}
		d, err := deploy.Decode(f.deployment, data)
		d.WarmCompile = f.d.WarmCompile
		return d, err
	}
	if f.model == "" || f.gpu == "" {
		return deploy.Deployment{}, errors.New("-model and -gpu, or -deployment, are missing")
	}
	d := f.d
	d.Engine.KVCacheMemoryBytes = units.Bytes(f.kvBytes)
	d.MemoryHeld = units.Gibibytes(f.held)
	if v := d.VLLMVersion; v != "" {
		if _, err := deploy.ParseVersion(v); err != nil {
			return d, fmt.Errorf("-vllm-version: %w", err)
		}
	}
	var err error
	if d.Model, err = fixtures.Model(f.model); err != nil {
		return d, err
	}
	d.GPU, err = fixtures.GPU(f.gpu)
	return d, err
}

// planned asks the planner and, where it refuses, for the smallest change that would fit.
func planned(d deploy.Deployment, f *planFlags) (planDocument, error) {
	p, err := memory.For(d)
	var refused *failure.Error
	if err != nil && !errors.As(err, &refused) {
		return planDocument{}, err
	}
	doc := planDocument{
		Fits: refused == nil, Reason: "fits",
		GPUTotal: p.Total.GiB(), Budget: p.Budget.GiB(), Weights: p.Weights.GiB(), Activation: p.Activation.GiB(), NonTorch: p.NonTorch.GiB(),
		CUDAGraph: p.CUDAGraphs.GiB(), KVCache: p.KVCache.GiB(), KVTokens: int(p.KVTokens), NumBlocks: int(p.NumBlocks),
		MaxConcurrency: p.MaxConcurrency, Longest: p.LongestFitting, Defaults: p.Deployment.Engine, Warnings: append([]string{}, p.Warnings...),
		Missing: p.Missing().GiB(), Undecided: p.Close(), Terms: []planTerm{},
	}
	if refused != nil {
		doc.Reason, doc.Failure = refused.Message, string(refused.Class)
		if c, ok := memory.Smallest(d, nil); ok {
			doc.Smallest = c.String()
		}
	}
	if p.Close() {
		doc.Warnings = append(doc.Warnings, fmt.Sprintf("the verdict hangs on %v, the plan may be wrong by %v", max(p.Margin, -p.Margin), p.Error))
	}
	for _, t := range p.Terms {
		doc.Terms = append(doc.Terms, planTerm{t.Name, t.Bytes.GiB(), t.Uncertainty.GiB(), t.Source})
	}
	if f.ram > 0 || f.store > 0 {
		h := memory.ForHost(d, memory.Host{RAM: units.Gibibytes(f.ram), ObjectStore: units.Gibibytes(f.store), Row: units.Bytes(f.row * float64(units.KiB))})
		doc.Host = &planHost{h.RAM.GiB(), h.ObjectStore.GiB(), h.Rows, h.Demand.GiB(), h.Fits, h.Reason}
	}
	return doc, nil
}

func printPlan(stdout io.Writer, d deploy.Deployment, doc planDocument) {
	fmt.Fprintf(stdout, "%s on %s, vLLM %s: ", d.Model.ID, d.GPU.ID, cmp.Or(d.VLLMVersion, deploy.Newest))
	if doc.Fits {
		fmt.Fprintln(stdout, "fits")
	} else {
		fmt.Fprintf(stdout, "does not fit (%s)\n  %s\n", doc.Failure, doc.Reason)
		if doc.Missing > 0 {
			fmt.Fprintf(stdout, "  missing: %.2f GiB a GPU\n", doc.Missing)
		}
		if doc.Smallest != "" {
			fmt.Fprintf(stdout, "  the smallest single change that fits: %s\n", doc.Smallest)
		}
	}
	w := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "GPU memory\t%.2f GiB\t\t%s\n", doc.GPUTotal, d.GPU.Source)
	fmt.Fprintf(w, "budget\t%.2f GiB\t\tgpu_memory_utilization %g\n", doc.Budget, doc.Defaults.GPUMemoryUtilization)
	for _, t := range doc.Terms {
		fmt.Fprintf(w, "  %s\t%.2f GiB\t± %.2f\t%s\n", t.Name, t.GiB, t.Uncertainty, t.Source)
	}
	w.Flush()
	fmt.Fprintf(stdout, "KV cache: %d blocks, %d tokens, %.2f requests of %d tokens at once\n", doc.NumBlocks, doc.KVTokens, doc.MaxConcurrency, doc.Defaults.MaxModelLen)
	if doc.Host != nil {
		fmt.Fprintf(stdout, "host memory: %s\n", doc.Host.Reason)
	}
	for _, warning := range doc.Warnings {
		fmt.Fprintf(stdout, "warning: %s\n", warning)
	}
}
