package vllm

import (
	"strconv"

	"github.com/testing-symbiote/symbiote/harness/deploy"
)

// Args is what follows `vllm serve` for a deployment: the model, then a flag for each engine argument that is given.
// What is not given is left to vLLM, whose defaults are then what is measured.
func Args(d deploy.Deployment) []string {
	f := flags{d.Model.ID}
	e := d.Engine
	f.number("--tensor-parallel-size", e.TensorParallelSize)
	f.number("--pipeline-parallel-size", e.PipelineParallelSize)
	f.fraction("--gpu-memory-utilization", e.GPUMemoryUtilization)
	f.number("--max-model-len", e.MaxModelLen)
	f.number("--max-num-seqs", e.MaxNumSeqs)
	f.number("--max-num-batched-tokens", e.MaxNumBatchedTokens)
	f.text("--dtype", e.DType)
	f.text("--quantization", quantization(e.Quantization))
	f.text("--kv-cache-dtype", e.KVCacheDType)
	f.text("--attention-backend", e.AttentionBackend)
	f.number("--block-size", e.BlockSize)
	f.on("--enforce-eager", e.EnforceEager)
	f.toggle("enable-prefix-caching", e.EnablePrefixCaching)
	f.toggle("enable-chunked-prefill", e.EnableChunkedPrefill)
	f.toggle("async-scheduling", e.AsyncScheduling)
	f.number("--long-prefill-token-threshold", e.LongPrefillTokenThreshold)
	f.on("--long-prefill-token-threshold-adaptive", e.LongPrefillTokenThresholdAdaptive)
	f.text("--scheduling-policy", e.SchedulingPolicy)
	f.number("--num-gpu-blocks-override", e.NumGPUBlocksOverride)
	f.number("--kv-cache-memory-bytes", int(e.KVCacheMemoryBytes))
	f.number("--max-num-active-seqs", e.MaxNumActiveSeqs)
	f.fraction("--watermark", e.Watermark)
	f.toggle("scheduler-reserve-full-isl", e.SchedulerReserveFullISL)
	if e.PrefillScheduleInterval > 1 {
		f.number("--prefill-schedule-interval", e.PrefillScheduleInterval)
	}
	f.server(d.Server)
	return f
}

func (f *flags) server(s deploy.Server) {
	if len(s.ServedModelName) > 0 {
		*f = append(append(*f, "--served-model-name"), s.ServedModelName...)
	}
	f.number("--max-num-queued-reqs", s.MaxNumQueuedReqs)
	f.number("--max-num-queued-tokens", s.MaxNumQueuedTokens)
	f.on("--skip-tokenizer-init", s.SkipTokenizerInit)
	f.on("--enable-request-id-headers", s.EnableRequestIDHeaders)
	f.on("--enable-prompt-tokens-details", s.EnablePromptTokensDetails)
	f.on("--enable-per-request-metrics", s.EnablePerRequestMetrics)
	f.number("--shutdown-timeout", s.ShutdownTimeout)
}

// quantization is vLLM's name of a checkpoint format. The 8-bit and 4-bit GPTQ kernels share one name: the
// checkpoint says the width.
func quantization(name string) string {
	switch name {
	case "gptq-int4", "gptq-int8":
		return "gptq"
	case "w8a8":
		return "compressed-tensors"
	}
	return name
}

// flags is a command line in the making; a zero value is an argument that was not given.
type flags []string

func (f *flags) number(flag string, n int) {
	if n != 0 {
		*f = append(*f, flag, strconv.Itoa(n))
	}
}

func (f *flags) fraction(flag string, x float64) {
	if x != 0 {
		*f = append(*f, flag, strconv.FormatFloat(x, 'g', -1, 64))
	}
}

func (f *flags) text(flag, s string) {
	if s != "" {
		*f = append(*f, flag, s)
	}
}

func (f *flags) on(flag string, set bool) {
	if set {
		*f = append(*f, flag)
	}
}

// toggle writes the flag or its --no- form: vLLM's own default is on for most of them.
func (f *flags) toggle(name string, set *bool) {
	switch {
	case set == nil:
	case *set:
		*f = append(*f, "--"+name)
	default:
		*f = append(*f, "--no-"+name)
	}
}
