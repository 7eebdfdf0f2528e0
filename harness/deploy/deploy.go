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
}

// Engine holds vLLM's engine arguments by their own names. A nil or zero field is "not given" where vLLM treats
// it so; Resolve returns a copy with every field set.
type Engine struct {
	TensorParallelSize   int
	PipelineParallelSize int
	GPUMemoryUtilization float64 // 0 = not given
	MaxModelLen          int
	MaxNumSeqs           int
	MaxNumActiveSeqs     int // 0 = MaxNumSeqs
	MaxNumBatchedTokens  int
	DType                string
	Quantization         string // awq gptq-int4 gptq-int8 fp8 w8a8
	KVCacheDType         string
	BlockSize            int
	EnforceEager         bool
	EnablePrefixCaching  *bool
	EnableChunkedPrefill *bool
	AsyncScheduling      *bool

	LongPrefillTokenThreshold         int
	LongPrefillTokenThresholdAdaptive bool
	SchedulingPolicy                  string // fcfs priority
	NumGPUBlocksOverride              int
	KVCacheMemoryBytes                units.Bytes
	Watermark                         float64
	SchedulerReserveFullISL           *bool
	PrefillScheduleInterval           int
	UsageContext                      string // server llm engine
}

// Pipeline is Ray Data's side: rows in batches, batches in flight.
type Pipeline struct {
	BatchSize   int
	Concurrency int // batches in flight a replica: max_concurrent_batches
	Replicas    int
	Blocks      int // 0 = rows ÷ BatchSize
}

// Server holds the arguments of `vllm serve` that only its HTTP side knows.
type Server struct {
	ServedModelName           []string
	MaxNumQueuedReqs          int // 0 = no limit
	MaxNumQueuedTokens        int // 0 = no limit
	SkipTokenizerInit         bool
	EnableRequestIDHeaders    bool
	EnablePromptTokensDetails bool
	EnablePerRequestMetrics   bool
	ShutdownTimeout           int // seconds
}
