// Package deploy describes a vLLM deployment in vLLM's own words and knows how vLLM fills in what is left out.
package deploy

import (
	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Deployment is a model on a kind of GPU, served by one version of vLLM, with the client side in front of it.
type Deployment struct {
	Model       catalog.Model
	GPU         catalog.GPU
	Host        string // name of a host profile: what the CPU side costs
	VLLMVersion string // "0.33.0"; empty = the newest this program knows
	Engine      Engine
	Pipeline    Pipeline
	Server      Server
	MemoryHeld  units.Bytes // held on each GPU by others before the start

	// Runner forces vLLM's engine or model runner (V0 V1 V2), as its environment variables do; empty = what this
	// version takes for this model. WarmCompile says that the compile cache holds this model
	// from an earlier start; else the start is the first, which needs more memory.
	Runner      string
	WarmCompile bool
}

// Engine holds vLLM's engine arguments by their own names. A nil or zero field is "not given" where vLLM treats
// it so; Resolve returns a copy with every field set.
type Engine struct {
	TensorParallelSize   int     `json:"tensor_parallel_size" min:"1"`
	PipelineParallelSize int     `json:"pipeline_parallel_size" min:"1"`
	GPUMemoryUtilization float64 `json:"gpu_memory_utilization"` // 0 = not given
	MaxModelLen          int     `json:"max_model_len" min:"-1"`
	MaxNumSeqs           int     `json:"max_num_seqs" min:"1"`
	MaxNumActiveSeqs     int     `json:"max_num_active_seqs"` // 0 = MaxNumSeqs
	MaxNumBatchedTokens  int     `json:"max_num_batched_tokens" min:"1"`
	DType                string  `json:"dtype"`
	Quantization         string  `json:"quantization"` // awq gptq-int4 gptq-int8 fp8 w8a8
	KVCacheDType         string  `json:"kv_cache_dtype"`
	AttentionBackend     string  `json:"attention_backend"` // FLASH_ATTN FLASHINFER TRITON_ATTN …; empty = vLLM's choice
	BlockSize            int     `json:"block_size" min:"1"`
	EnforceEager         bool    `json:"enforce_eager"`
	EnablePrefixCaching  *bool   `json:"enable_prefix_caching"`
	EnableChunkedPrefill *bool   `json:"enable_chunked_prefill"`
	AsyncScheduling      *bool   `json:"async_scheduling"`

	LongPrefillTokenThreshold         int         `json:"long_prefill_token_threshold"`
	LongPrefillTokenThresholdAdaptive bool        `json:"long_prefill_token_threshold_adaptive"`
	SchedulingPolicy                  string      `json:"scheduling_policy"` // fcfs priority
	NumGPUBlocksOverride              int         `json:"num_gpu_blocks_override"`
	KVCacheMemoryBytes                units.Bytes `json:"kv_cache_memory_bytes"`
	Watermark                         float64     `json:"watermark"`
	SchedulerReserveFullISL           *bool       `json:"scheduler_reserve_full_isl"`
	PrefillScheduleInterval           int         `json:"prefill_schedule_interval" min:"1"`
	PerformanceMode                   string      `json:"-"`             // throughput interactivity; empty = balanced
	FitMaxModelLen                    bool        `json:"-"`             // set by Resolve: max_model_len was -1, memory decides
	UsageContext                      string      `json:"usage_context"` // server llm engine
}

// Pipeline is Ray Data's side: rows in batches, batches in flight.
type Pipeline struct {
	BatchSize   int `json:"batch_size" min:"1"`
	Concurrency int `json:"concurrency" min:"1"` // batches in flight a replica: max_concurrent_batches
	Replicas    int `json:"replicas" min:"1"`
	Blocks      int `json:"blocks"` // 0 = rows ÷ BatchSize
}

// Server holds the arguments of `vllm serve` that only its HTTP side knows.
type Server struct {
	ServedModelName           []string `json:"served_model_name"`
	MaxNumQueuedReqs          int      `json:"max_num_queued_reqs"`   // 0 = no limit
	MaxNumQueuedTokens        int      `json:"max_num_queued_tokens"` // 0 = no limit
	SkipTokenizerInit         bool     `json:"skip_tokenizer_init"`
	EnableRequestIDHeaders    bool     `json:"enable_request_id_headers"`
	EnablePromptTokensDetails bool     `json:"enable_prompt_tokens_details"`
	EnablePerRequestMetrics   bool     `json:"enable_per_request_metrics"`
	ShutdownTimeout           int      `json:"shutdown_timeout"` // seconds
}
