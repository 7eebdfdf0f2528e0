package backtest

import (
	"fmt"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/serve"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// modelPath stands for the recording's <model>: a path that vLLM's messages hide as they hid the real one.
const modelPath = "/srv/models/tiny"

// recordedModel is one of the two models of the recordings.
func recordedModel(name string) (catalog.Model, error) {
	m := catalog.Model{
		ID: modelPath, Source: "the recording's recipe", Architecture: "Qwen2ForCausalLM", HeadDim: 64, TieWordEmbeddings: true, QKVBias: true,
		DType: "bfloat16", KVHeads: 2,
	}
	switch name {
	case "<model>":
		m.Layers, m.HiddenSize, m.IntermediateSize, m.Heads, m.VocabSize, m.MaxModelLen = 2, 256, 512, 4, 2048, 2048
	case "<model-0.5b>":
		m.Layers, m.HiddenSize, m.IntermediateSize, m.Heads, m.VocabSize, m.MaxModelLen = 24, 896, 4864, 14, 151936, 32768
	default:
		return m, fmt.Errorf("model %s, want <model> or <model-0.5b>", name)
	}
	m.RotaryPositions, m.RotaryDim = m.MaxModelLen, m.HeadDim
	return m, nil
}

// cpuSteps are the step times of the recording's machine, roughly: they place the arrivals of a scene as they fell,
// and no compared figure depends on more of them.
type cpuSteps struct{ prefill, decode units.Span }

func (c cpuSteps) Intake(units.Tokens) (units.Span, int) { return 0, 0 }
func (c cpuSteps) Step(w *engine.Work, into *engine.Cost) {
	*into = engine.Cost{GPU: c.decode}
	if len(w.Chunks) > 0 {
		into.GPU = c.prefill
	}
}

// recordedServer is the stand-in for a recording's command line: the CPU build's defaults, then its flags.
func recordedServer(c command) (serve.Config, error) {
	var cfg serve.Config
	model, err := recordedModel(c.model)
	if err != nil {
		return cfg, err
	}
	gpu, err := fixtures.GPU("h100-sxm") // a CPU build has none; nothing that is compared depends on it
	if err != nil {
		return cfg, err
	}
	no := false
	d := deploy.Deployment{Model: model, GPU: gpu, VLLMVersion: "0.32.0"}
	d.Engine = deploy.Engine{
		AsyncScheduling: &no, EnforceEager: c.has("enforce-eager"), KVCacheMemoryBytes: units.GiB, MaxNumBatchedTokens: 2048,
	}
	d.Server = deploy.Server{
		ServedModelName: c.flags["served-model-name"], SkipTokenizerInit: c.has("skip-tokenizer-init"),
		EnableRequestIDHeaders: c.has("enable-request-id-headers"), EnablePromptTokensDetails: c.has("enable-prompt-tokens-details"),
		EnablePerRequestMetrics: c.has("enable-per-request-metrics"),
	}
	for _, f := range []struct {
		flag string
		def  int
		into *int
	}{
		{"max-model-len", 0, &d.Engine.MaxModelLen},
		{"block-size", 128, &d.Engine.BlockSize},
		{"max-num-seqs", 128, &d.Engine.MaxNumSeqs},
		{"max-num-batched-tokens", 2048, &d.Engine.MaxNumBatchedTokens},
		{"num-gpu-blocks-override", 0, &d.Engine.NumGPUBlocksOverride},
		{"max-num-queued-reqs", 0, &d.Server.MaxNumQueuedReqs},
		{"max-num-queued-tokens", 0, &d.Server.MaxNumQueuedTokens},
		{"shutdown-timeout", 0, &d.Server.ShutdownTimeout},
	} {
		if *f.into, err = c.number(f.flag, f.def); err != nil {
			return cfg, err
		}
	}
	steps := cpuSteps{9 * units.Millisecond, 1500 * units.Microsecond}
	if c.model == "<model-0.5b>" {
		steps = cpuSteps{100 * units.Millisecond, 80 * units.Millisecond}
	}
	return serve.Config{
		Deployments: []deploy.Deployment{d}, Timer: steps, APIKeys: c.flags["api-key"], LoadTracker: c.has("enable-server-load-tracking"),
		Manual: true, ImplicitBlockSize: !c.has("block-size"),
	}, nil
}
