package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlan(t *testing.T) {
	file := filepath.Join(t.TempDir(), "d.yaml")
	require.NoError(t, os.WriteFile(file, []byte("model: Qwen2.5-7B\ngpu: rtx-3090\nvllm_version: 0.17.1\nengine: {max_model_len: 8192, gpu_memory_utilization: 0.9}\n"), 0o600))
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{"fits", []string{"-model", "Qwen2.5-7B", "-gpu", "rtx-4090"}, 0, "fits", ""},
		{"file", []string{"-deployment", file}, 0, "KV cache: 7", ""},
		{"does not fit", []string{"-model", "Llama-3.1-70B", "-gpu", "h100-sxm"}, 1, "the smallest single change that fits", ""},
		{"host memory", []string{"-model", "Qwen2.5-7B", "-gpu", "l4", "-object-store-gib", "0.1", "-batch-size", "1024", "-concurrency", "8"}, 1, "exceed the object store", ""},
		{"refused arguments", []string{"-model", "Qwen2.5-7B", "-gpu", "l4", "-tp", "3"}, 1, "Total number of attention heads (28) must be divisible by tensor parallel size (3).", ""},
		{"unknown model", []string{"-model", "nosuch", "-gpu", "l4"}, 2, "", "symbiote plan: model = \"nosuch\" is not known"},
		{"nothing", nil, 2, "", "-model and -gpu, or -deployment, are missing"},
		{"both", []string{"-deployment", file, "-gpu", "l4"}, 2, "", "-gpu beside -deployment"},
		{"argument", []string{"-model", "Qwen2.5-7B", "-gpu", "l4", "extra"}, 2, "", `argument "extra"`},
		{"no file", []string{"-deployment", "none.yaml"}, 2, "", "none.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, c.code, planCommand(c.args, &stdout, &stderr), stderr.String())
			require.Contains(t, stdout.String(), c.stdout)
			require.Contains(t, stderr.String(), c.stderr)
		})
	}
}

func TestPlanJSON(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Equal(t, 0, planCommand([]string{"-json", "-model", "Qwen2.5-7B", "-gpu", "h100-sxm", "-vllm-version", "0.26.0"}, &stdout, &stderr))
	var doc map[string]any
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &doc))
	for _, key := range []string{"fits", "reason", "failure", "gpu_total_gib", "budget_gib", "weights_gib", "activation_gib", "non_torch_gib", "cuda_graph_gib",
		"kv_cache_gib", "kv_cache_tokens", "num_gpu_blocks", "max_concurrency", "estimated_max_model_len", "defaults", "warnings"} {
		require.Contains(t, doc, key)
	}
	require.Equal(t, true, doc["fits"])
	require.InDelta(t, 57.21, doc["kv_cache_gib"], 0.05)
	require.EqualValues(t, 8192, doc["defaults"].(map[string]any)["max_num_batched_tokens"])
}
