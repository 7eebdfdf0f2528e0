package vllm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/deploy"
)

func TestArgs(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		d    deploy.Deployment
		want string
	}{
		{deploy.Deployment{Model: catalog.Model{ID: "m"}}, "m"},
		{deploy.Deployment{Model: catalog.Model{ID: "Qwen/Qwen2.5-7B-Instruct"}, Engine: deploy.Engine{
			TensorParallelSize: 2, GPUMemoryUtilization: 0.9, MaxModelLen: 8192, MaxNumSeqs: 256, MaxNumBatchedTokens: 2048,
			DType: "bfloat16", Quantization: "gptq-int4", KVCacheDType: "fp8", AttentionBackend: "FLASHINFER", BlockSize: 32, EnforceEager: true,
			EnablePrefixCaching: &no, EnableChunkedPrefill: &yes, AsyncScheduling: &no, SchedulingPolicy: "priority",
			NumGPUBlocksOverride: 13, KVCacheMemoryBytes: 1 << 30, PrefillScheduleInterval: 1,
		}}, "Qwen/Qwen2.5-7B-Instruct --tensor-parallel-size 2 --gpu-memory-utilization 0.9 --max-model-len 8192 --max-num-seqs 256 --max-num-batched-tokens 2048 --dtype bfloat16 --quantization gptq --kv-cache-dtype fp8 --attention-backend FLASHINFER --block-size 32 --enforce-eager --no-enable-prefix-caching --enable-chunked-prefill --no-async-scheduling --scheduling-policy priority --num-gpu-blocks-override 13 --kv-cache-memory-bytes 1073741824"},
		{deploy.Deployment{Model: catalog.Model{ID: "m"}, Server: deploy.Server{
			ServedModelName: []string{"a", "b"}, MaxNumQueuedReqs: 6, SkipTokenizerInit: true, ShutdownTimeout: 10,
		}}, "m --served-model-name a b --max-num-queued-reqs 6 --skip-tokenizer-init --shutdown-timeout 10"},
	} {
		require.Equal(t, c.want, strings.Join(Args(c.d), " "))
	}
}
