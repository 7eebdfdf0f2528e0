package vllm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func parsed(t *testing.T, text string) StartLog {
	t.Helper()
	l, err := ParseStartLog(strings.NewReader(text))
	require.NoError(t, err)
	return l
}

func known(v float64) Printed { return Printed{v, true} }

func TestParseStartLogOfACPUBuild(t *testing.T) {
	l := parsed(t, startlog(t, "good-tiny-eager-short"))
	require.Equal(t, StartLog{
		Version: "0.32.0", Model: "<model>", Device: "CPU", MaxModelLen: known(2048),
		TotalGiB: known(23.54), KVGiB: known(1), KVTokens: known(1048576), MaxConcurrency: known(512),
		InitSeconds: known(0.48), Ready: true,
	}, l)
	require.False(t, parsed(t, startlog(t, "fail-max-model-len-above-kv")).Ready)
}

func TestParseStartLogOfAnH100(t *testing.T) {
	l := parsed(t, readGz(t, "testdata/h100/q7.log.gz"))
	require.Equal(t, StartLog{
		Version: "0.26.0", Model: "<models>/qwen2.5-7b-bf16", Device: "GPU", MaxModelLen: known(32768),
		FreeGiB: known(78.66), TotalGiB: known(79.18), Utilization: known(0.92), RequestedGiB: known(72.84),
		WeightsGiB: known(14.29), ActivationGiB: known(1.13), NonTorchGiB: known(0.22), NonKVGiB: known(15.64),
		GraphGiB: known(0.89), AvailableKVGiB: known(57.21), KVGiB: known(57.21),
		KVTokens: known(1071136), NumBlocks: known(66946), MaxConcurrency: known(32.69),
		LoadSeconds: known(2.302705), CompileSeconds: known(21.11), InitSeconds: known(47.14),
		Ready: l.Ready,
	}, l)
	// With an override the profiled figure and the one in use differ, and both are printed.
	l = parsed(t, readGz(t, "testdata/h100/q7_kv.log.gz"))
	require.Equal(t, known(48000), l.KVTokens)
	require.Equal(t, known(5.86), l.MaxConcurrency)
	require.Equal(t, known(5.38), parsed(t, readGz(t, "testdata/h100/7b_awq.log.gz")).WeightsGiB)
}

func TestParseStartLogOfOtherVersions(t *testing.T) {
	l := parsed(t, `INFO 03-01 10:00:00 [worker.py:267] model weights take 5.20GiB; non_torch_memory takes 0.03GiB; PyTorch activation peak memory takes 1.42GiB; the rest of the memory reserved for KV Cache is -1.05GiB.
INFO 03-01 10:00:00 [executor_base.py:111] # cuda blocks: 27984, # CPU blocks: 4681
(EngineCore pid=1) INFO 11-24 14:00:00 [gpu_worker.py:9] Free memory on device (78.66/79.18 GiB) on startup. Desired GPU memory utilization is (0.92, 72.84 GiB). Actual usage is 14.61 GiB for consumed memory (weights + non-torch), 1.75 GiB for peak activation, and 0.89 GiB for CUDAGraph memory.
(EngineCore pid=1) INFO 11-24 14:00:00 [x.py:9] CUDA graph pool memory: 0.89 GiB (actual), 0.62 GiB (estimated), difference: 0.27 GiB (30.3%).
(EngineCore pid=1) INFO 11-24 14:00:00 [x.py:9] GPU KV cache size: 1,071,136 tokens, Maximum concurrency for 32,768 tokens per request: 32.69x
`)
	require.Equal(t, known(5.2), l.WeightsGiB)
	require.Equal(t, known(-1.05), l.AvailableKVGiB)
	require.Equal(t, known(14.61), l.ConsumedGiB)
	require.Equal(t, known(1.75), l.ActivationGiB)
	require.Equal(t, known(0.62), l.GraphEstimateGiB)
	require.Equal(t, known(32.69), l.MaxConcurrency)
	require.Equal(t, known(32768), l.MaxModelLen)
	require.Equal(t, known(27984), l.NumBlocks)
}
