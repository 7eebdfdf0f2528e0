package deploy_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/deploy"
)

const good = `model: Qwen/Qwen2.5-7B-Instruct
gpu: rtx-3090
host: default
vllm_version: 0.17.1
engine:
  tensor_parallel_size: 1
  gpu_memory_utilization: 0.9
  max_model_len: 8192
  quantization: ""
  enforce_eager: false
  enable_prefix_caching: true
server: {served_model_name: [a, b], shutdown_timeout: 3}
pipeline: {batch_size: 256, concurrency: 4, replicas: 1, blocks: 0}
gpu_memory_used_gib: 0.5
`

func TestDecode(t *testing.T) {
	d, err := deploy.Decode("good.yaml", []byte(good))
	require.NoError(t, err)
	require.Equal(t, "Qwen/Qwen2.5-7B-Instruct", d.Model.ID)
	require.Equal(t, "rtx-3090", d.GPU.ID)
	require.Equal(t, "0.17.1", d.VLLMVersion)
	require.Equal(t, 8192, d.Engine.MaxModelLen)
	require.True(t, *d.Engine.EnablePrefixCaching)
	require.Nil(t, d.Engine.AsyncScheduling)
	require.Equal(t, []string{"a", "b"}, d.Server.ServedModelName)
	require.Equal(t, 256, d.Pipeline.BatchSize)
	require.InDelta(t, 0.5, d.MemoryHeld.GiB(), 1e-9)
}

func TestDecodeRefuses(t *testing.T) {
	head := "model: Qwen3-8B\ngpu: l4\n"
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "f.yaml:1:1: the file is empty"},
		{"unknown field", head + "modle: x\n", `f.yaml:3:1: unknown field "modle", want one of model, gpu`},
		{"unknown engine field", head + "engine:\n  max_num_seq: 3\n", `f.yaml:4:3: unknown field "engine.max_num_seq"`},
		{"fraction", head + "engine: {max_num_seqs: 1.5}\n", "f.yaml:3:24: engine.max_num_seqs = 1.5, want a whole number ≥ 1"},
		{"text for a number", head + "engine: {max_num_seqs: \"8\"}\n", `engine.max_num_seqs = "8", want a whole number`},
		{"zero", head + "engine: {max_num_seqs: 0}\n", "engine.max_num_seqs = 0, want a whole number ≥ 1"},
		{"nothing", head + "engine: {max_num_seqs: }\n", "engine.max_num_seqs = nothing, want a whole number ≥ 1"},
		{"text for a switch", head + "engine: {enforce_eager: 1}\n", "f.yaml:3:25: engine.enforce_eager = 1, want true or false"},
		{"list for a string", head + "host: [a]\n", "f.yaml:3:7: host = a list, want a string"},
		{"string for a mapping", head + "engine: fast\n", `f.yaml:3:9: engine = "fast", want fields`},
		{"twice", head + "gpu: l4\n", "f.yaml:3:1"},
		{"second document", head + "---\nmodel: x\n", "f.yaml:"},
		{"no model", "gpu: l4\n", "f.yaml:1:1: model is missing"},
		{"unknown model", "model: nosuch\ngpu: l4\n", `f.yaml:1:8: model = "nosuch" is not known, want a path to an HF config.json or one of:`},
		{"unknown gpu", "model: Qwen3-8B\ngpu: abacus\n", `f.yaml:2:6: gpu = "abacus" is not known`},
		{"version", head + "vllm_version: new\n", `f.yaml:3:15: vllm_version = "new", want a release such as "0.33.0"`},
		{"negative memory", head + "gpu_memory_used_gib: -1\n", "f.yaml:3:22: gpu_memory_used_gib = -1, want ≥ 0"},
		{"not yaml", head + "engine: {\n", "f.yaml:4:1: not valid YAML: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := deploy.Decode("f.yaml", []byte(c.file))
			require.ErrorContains(t, err, c.want)
		})
	}
}

// A config.json beside the deployment file is found from there.
func TestModelBesideTheFile(t *testing.T) {
	dir := t.TempDir()
	config := `{"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
		"intermediate_size": 128, "vocab_size": 1000, "max_position_embeddings": 2048}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tiny.json"), []byte(config), 0o600))
	d, err := deploy.Decode(filepath.Join(dir, "d.yaml"), []byte("model: tiny.json\ngpu: l4\n"))
	require.NoError(t, err)
	require.Equal(t, "tiny", d.Model.ID)
	require.Equal(t, 16, d.Model.HeadDim)
}

func TestRecordedDeploymentsDecode(t *testing.T) {
	files, err := filepath.Glob("../../../shared/groundtruth/replay/*.jsonl")
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("needs ../shared/groundtruth/replay")
	}
	n := 0
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(t, err)
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<24)
		for lines.Scan() {
			var c struct{ Deployment json.RawMessage }
			require.NoError(t, json.Unmarshal(lines.Bytes(), &c))
			d, err := deploy.DecodeJSON(filepath.Base(name), c.Deployment)
			require.NoError(t, err)
			_, _, err = d.Resolve()
			require.NoError(t, err)
			n++
		}
		require.NoError(t, lines.Err())
		require.NoError(t, f.Close())
	}
	require.Greater(t, n, 200)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"model":"Qwen3-8B","gpu":"l4","engine":{"max_num_seqs":8}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := deploy.Decode("f.yaml", data)
		if err != nil {
			return
		}
		if r, _, err := d.Resolve(); err == nil {
			require.Positive(t, r.Engine.MaxNumBatchedTokens)
		}
	})
}
