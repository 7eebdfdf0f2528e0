package deploy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Resolve returns a copy of d with every engine argument set as this version of vLLM would set it on this GPU, and
// warnings for what it had to assume. The error is what vLLM would refuse, a *failure.Error with its words.
func (d Deployment) Resolve() (Deployment, []string, error) {
	var warnings []string
	if d.VLLMVersion == "" {
		d.VLLMVersion = Newest
	}
	if d.Host == "" {
		d.Host = "default"
	}
	v := d.Version()
	d.Runner = d.runner(v)
	e := &d.Engine
	e.TensorParallelSize = max(1, e.TensorParallelSize)
	e.PipelineParallelSize = max(1, e.PipelineParallelSize)
	def(&e.BlockSize, 16)
	def(&e.PrefillScheduleInterval, 1)
	def(&e.KVCacheDType, "auto")
	def(&e.SchedulingPolicy, "fcfs")
	def(&e.UsageContext, "server")
	if e.GPUMemoryUtilization == 0 {
		e.GPUMemoryUtilization = 0.9
		if v.AtLeast(21, 0) {
			e.GPUMemoryUtilization = 0.92
		}
	}
	if err := d.words(); err != nil {
		return d, warnings, err
	}
	if w, err := d.dtype(); err != nil {
		return d, warnings, err
	} else if w != "" {
		warnings = append(warnings, w)
	}
	if err := d.contextLength(); err != nil {
		return d, warnings, err
	}
	d.switches(v)
	d.batch(v)
	if err := d.validate(); err != nil {
		return d, warnings, err
	}
	if e.MaxNumBatchedTokens > e.MaxNumSeqs*e.MaxModelLen {
		warnings = append(warnings, fmt.Sprintf("max_num_batched_tokens (%d) exceeds max_num_seqs * max_model_len (%d). This may lead to unexpected behavior.",
			e.MaxNumBatchedTokens, e.MaxNumSeqs*e.MaxModelLen))
	}
	if e.MaxNumActiveSeqs == 0 {
		e.MaxNumActiveSeqs = e.MaxNumSeqs
	}
	if d.MemoryHeld < 0 {
		return d, warnings, refuse("gpu_memory_used_gib = %.4g, want ≥ 0", d.MemoryHeld.GiB())
	}
	return d, warnings, nil
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func refuse(format string, args ...any) error {
	return &failure.Error{Class: failure.BadArguments, Message: fmt.Sprintf(format, args...)}
}

// runner is the engine or model runner that this version takes: V0 before 0.8, then the first V1 runner, and the
// second one for ever more models from 0.22 on, for all from 0.29.
func (d Deployment) runner(v Version) string {
	if d.Runner != "" {
		return d.Runner
	}
	quantized := d.Engine.Quantization != "" || d.Model.Quantization != nil
	arch := d.Model.Architecture
	second := false
	switch {
	case v.AtLeast(29, 0):
		second = true
	case v.AtLeast(25, 0):
		second = d.Model.MoE == nil || arch == "DeepseekV2ForCausalLM" || arch == "Qwen2MoeForCausalLM"
	case v.AtLeast(24, 0):
		second = slices.Contains([]string{"DeepseekV2ForCausalLM", "LlamaForCausalLM", "MistralForCausalLM", "Qwen2MoeForCausalLM", "Qwen3ForCausalLM"}, arch)
	case v.AtLeast(23, 0):
		second = !quantized && slices.Contains([]string{"LlamaForCausalLM", "MistralForCausalLM", "Qwen3ForCausalLM"}, arch)
	case v.AtLeast(22, 0):
		second = !quantized && arch == "Qwen3ForCausalLM"
	}
	old := d.GPU.Capability != "" && d.GPU.Capability < "8.0" && len(d.GPU.Capability) == 3
	switch {
	case second:
		return "V2"
	case !v.AtLeast(8, 0) || old && !v.AtLeast(11, 0):
		return "V0"
	}
	return "V1"
}

// words checks the arguments that are one of a list.
func (d Deployment) words() error {
	e := d.Engine
	for _, w := range []struct {
		flag, got string
		want      []string
	}{
		{"--dtype", e.DType, []string{"", "auto", "bfloat16", "float", "float16", "float32", "half"}},
		{"--quantization", e.Quantization, []string{"", "awq", "gptq-int4", "gptq-int8", "fp8", "w8a8", "bitsandbytes", "mxfp4", "nvfp4"}},
		{"--kv-cache-dtype", e.KVCacheDType, []string{"auto", "bfloat16", "float16", "fp8", "fp8_e4m3", "fp8_e5m2"}},
		{"--attention-backend", e.AttentionBackend, []string{"", "FLASH_ATTN", "FLASHINFER", "TRITON_ATTN", "FLEX_ATTENTION",
			"FLASH_ATTN_MLA", "FLASHINFER_MLA", "FLASHMLA", "CUTLASS_MLA", "TRITON_MLA"}},
		{"--scheduling-policy", e.SchedulingPolicy, []string{"fcfs", "priority"}},
		{"usage_context", e.UsageContext, []string{"server", "llm", "engine"}},
		{"--performance-mode", e.PerformanceMode, []string{"", "balanced", "throughput", "interactivity"}},
	} {
		if !slices.Contains(w.want, w.got) {
			return refuse("argument %s: invalid choice: '%s' (choose from '%s')", w.flag, w.got, strings.Join(nonEmpty(w.want), "', '"))
		}
	}
	if u := e.GPUMemoryUtilization; u <= 0 || u > 1 {
		return refuse("gpu_memory_utilization = %g: Input should be greater than 0 and less than or equal to 1", u)
	}
	if w := e.Watermark; w < 0 || w >= 1 {
		return refuse("argument --watermark: %g, want 0 or more and less than 1", w)
	}
	return nil
}

func nonEmpty(words []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(s string) bool { return s == "" })
}

// dtype fills in the model's own type, or the nearest that the GPU computes with.
func (d *Deployment) dtype() (warning string, err error) {
	e := &d.Engine
	if e.Quantization == "" && d.Model.Quantization != nil {
		e.Quantization = d.Model.Quantization.Method
	}
	old := d.GPU.Capability != "" && len(d.GPU.Capability) == 3 && d.GPU.Capability < "8.0"
	switch e.DType {
	case "half":
		e.DType = "float16"
	case "float":
		e.DType = "float32"
	case "", "auto":
		e.DType = d.Model.DType
		if e.DType == "" || e.DType == "float32" {
			e.DType = "bfloat16"
		}
		if old && e.DType == "bfloat16" {
			e.DType = "float16"
			return fmt.Sprintf("dtype: %s (compute capability %s) has no bfloat16, float16 is used", d.GPU.Name, d.GPU.Capability), nil
		}
	}
	if old && e.DType == "bfloat16" {
		return "", refuse("Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your %s GPU has compute capability %s. "+
			"You can use float16 instead by explicitly setting the `dtype` flag in CLI, for example: --dtype=half.", d.GPU.Name, d.GPU.Capability)
	}
	return "", nil
}

func (d *Deployment) contextLength() error {
	e := &d.Engine
	longest := d.Model.MaxModelLen
	switch {
	case e.MaxModelLen == -1:
		e.MaxModelLen, e.FitMaxModelLen = longest, true
	case e.MaxModelLen < -1:
		return refuse("max_model_len must be a positive integer, got int: %d. Example: max_model_len=2048", e.MaxModelLen)
	case e.MaxModelLen == 0:
		e.MaxModelLen = longest
	case e.MaxModelLen > longest && longest > 0:
		return refuse("User-specified max_model_len (%d) is greater than the derived max_model_len (max_position_embeddings=%d.0 or model_max_length=None in model's config.json). "+
			"To allow overriding this maximum, set the env var VLLM_ALLOW_LONG_MAX_MODEL_LEN=1. VLLM_ALLOW_LONG_MAX_MODEL_LEN must be used with extreme caution. "+
			"If the model uses relative position encoding (RoPE), positions exceeding derived_max_model_len lead to nan. "+
			"If the model uses absolute position encoding, positions exceeding derived_max_model_len will cause a CUDA array out-of-bounds error.", e.MaxModelLen, longest)
	}
	return nil
}

// switches fills in what is on or off by version.
func (d *Deployment) switches(v Version) {
	e := &d.Engine
	on := func(b **bool, value bool) {
		if *b == nil {
			*b = &value
		} else {
			own := **b // the caller's variable is not shared
			*b = &own
		}
	}
	v0 := d.Runner == "V0"
	on(&e.EnablePrefixCaching, !v0)
	on(&e.EnableChunkedPrefill, !v0 || e.MaxModelLen > 32*1024)
	on(&e.AsyncScheduling, v.AtLeast(14, 0))
	on(&e.SchedulerReserveFullISL, v.AtLeast(19, 0))
}

// batch fills in max_num_seqs and max_num_batched_tokens, in vLLM's order; what the user gave stays.
func (d *Deployment) batch(v Version) {
	e := &d.Engine
	seqs, tokens := d.Defaults()
	if e.PerformanceMode == "throughput" {
		seqs, tokens = 2*seqs, 2*tokens
	}
	givenSeqs, givenTokens := e.MaxNumSeqs != 0, e.MaxNumBatchedTokens != 0
	def(&e.MaxNumSeqs, seqs)
	if givenTokens {
		tokens = e.MaxNumBatchedTokens
	} else {
		if !*e.EnableChunkedPrefill {
			tokens = max(e.MaxModelLen, tokens)
		}
		if v.AtLeast(8, 0) {
			tokens = min(e.MaxNumSeqs*e.MaxModelLen, tokens)
		}
	}
	e.MaxNumBatchedTokens = tokens
	if !givenSeqs {
		e.MaxNumSeqs = min(e.MaxNumSeqs, tokens)
	}
}

// Defaults is vLLM's table of max_num_seqs and max_num_batched_tokens by version, memory and name of the GPU and
// by what created the engine. d.Runner must be set.
func (d Deployment) Defaults() (seqs, tokens int) {
	v := d.Version()
	if d.Runner == "V0" {
		if d.Engine.EnableChunkedPrefill != nil && *d.Engine.EnableChunkedPrefill {
			if !v.AtLeast(6, 6) {
				return 256, 512
			}
		}
		return 256, 2048
	}
	if d.Engine.UsageContext == "engine" {
		return 128, 2048
	}
	llm := d.Engine.UsageContext == "llm"
	pick := func(forLLM, forServer int) int {
		if llm {
			return forLLM
		}
		return forServer
	}
	a100 := strings.Contains(strings.ToLower(d.GPU.Name), "a100")
	switch mem := d.GPU.Memory; {
	case mem >= 160*units.GiB && v.AtLeast(28, 0):
		return 1024, 16384
	case mem >= 70*units.GiB && !(d.GPU.Capability == "12.1" && v.AtLeast(31, 0)) && (!a100 || !v.AtLeast(9, 0)):
		seqs = 1024
		if a100 && v.AtLeast(8, 4) && !v.AtLeast(8, 5) {
			seqs = 256
		}
		return seqs, pick(16384, 8192)
	case !v.AtLeast(8, 4):
		return 1024, pick(8192, 2048)
	}
	return 256, pick(8192, 2048)
}
