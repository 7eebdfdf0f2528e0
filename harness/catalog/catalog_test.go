package catalog_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/catalog"
)

const llama = `{
  "architectures": ["LlamaForCausalLM"],
  "hidden_size": 4096,
  "num_hidden_layers": 32,
  "num_attention_heads": 32,
  "num_key_value_heads": 8,
  "intermediate_size": 14336,
  "vocab_size": 128256,
  "max_position_embeddings": 131072,
  "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192},
  "bos_token_id": 128000,
  "torch_dtype": "bfloat16"
}`

func TestBareConfig(t *testing.T) {
	m, err := catalog.DecodeModel("models/mine/config.json", []byte(llama))
	require.NoError(t, err)
	require.Equal(t, "mine", m.ID)
	require.Equal(t, 128, m.HeadDim)
	require.Equal(t, 131072, m.MaxModelLen)
	require.False(t, m.TieWordEmbeddings)
	require.Nil(t, m.MoE)
}

func TestFamilies(t *testing.T) {
	for _, c := range []struct {
		name, config string
		check        func(*testing.T, catalog.Model)
	}{
		{"yarn", `"architectures":["Qwen3ForCausalLM"],"rope_scaling":{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32768}`,
			func(t *testing.T, m catalog.Model) {
				require.Equal(t, 131072, m.MaxModelLen)
				require.True(t, m.QKNorm)
			}},
		{"experts", `"architectures":["Qwen3MoeForCausalLM"],"num_experts":128,"num_experts_per_tok":8,"moe_intermediate_size":768`,
			func(t *testing.T, m catalog.Model) {
				require.Equal(t, &catalog.MoE{Experts: 128, ExpertsPerToken: 8, IntermediateSize: 768, SharedIntermediateSize: 768}, m.MoE)
			}},
		{"latent", `"architectures":["DeepseekV2ForCausalLM"],"kv_lora_rank":512,"qk_rope_head_dim":64,"qk_nope_head_dim":128,"v_head_dim":128`,
			func(t *testing.T, m catalog.Model) {
				require.Equal(t, 512, m.MLA.KVLoRARank)
				require.Equal(t, 64, m.RotaryDim)
			}},
		{"window", `"architectures":["GptOssForCausalLM"],"sliding_window":128,"layer_types":["sliding_attention","full_attention"]`,
			func(t *testing.T, m catalog.Model) { require.Equal(t, 1, m.SlidingWindow.Layers) }},
		{"awq", `"architectures":["Qwen2ForCausalLM"],"quantization_config":{"quant_method":"awq","bits":4,"group_size":128}`,
			func(t *testing.T, m catalog.Model) {
				require.Equal(t, &catalog.Quantization{Method: "awq", Bits: 4, GroupSize: 128}, m.Quantization)
				require.True(t, m.QKVBias)
			}},
		{"fp8 without attention", `"architectures":["LlamaForCausalLM"],"quantization_config":{"quant_method":"compressed-tensors","ignore":["re:.*self_attn"],"config_groups":{"group_0":{"weights":{"num_bits":8,"type":"float"}}}}`,
			func(t *testing.T, m catalog.Model) {
				require.Equal(t, &catalog.Quantization{Method: "fp8", Bits: 8, MLPOnly: true}, m.Quantization)
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := `{"hidden_size":2048,"num_hidden_layers":2,"num_attention_heads":16,"num_key_value_heads":4,"intermediate_size":4096,"vocab_size":1000,"max_position_embeddings":40960,`
			m, err := catalog.DecodeModel("x.json", []byte(base+c.config+"}"))
			require.NoError(t, err)
			c.check(t, m)
		})
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	change := func(old, new string) string { return strings.Replace(llama, old, new, 1) }
	for _, c := range []struct{ name, file, want string }{
		{"not JSON", "{\n  \"a\": nope\n}", "x.json:2:"},
		{"cut off", llama[:40], "the JSON ends too early"},
		{"two documents", llama + "{}", "a second document follows the first"},
		{"a list", "[]", "x.json:1:1: config = a list, want the object of an HF config.json"},
		{"no architecture", change(`"architectures": ["LlamaForCausalLM"],`, ""), "x.json:1:1: architectures is missing"},
		{"unknown architecture", change("LlamaForCausalLM", "NoSuch"), `x.json:2:20: architectures = "NoSuch" is not supported, want one of LlamaForCausalLM`},
		{"missing size", change(`"hidden_size": 4096,`, ""), "x.json:1:1: hidden_size is missing"},
		{"zero layers", change(`"num_hidden_layers": 32`, `"num_hidden_layers": 0`), "x.json:4:24: num_hidden_layers = 0, want a whole number ≥ 1"},
		{"half a layer", change(`"num_hidden_layers": 32`, `"num_hidden_layers": 1.5`), "x.json:4:24: num_hidden_layers = 1.5, want a whole number ≥ 1"},
		{"text for a number", change(`"vocab_size": 128256`, `"vocab_size": "many"`), `x.json:8:17: vocab_size = "many", want a whole number ≥ 1`},
		{"heads", change(`"num_key_value_heads": 8`, `"num_key_value_heads": 5`), "x.json:6:26: num_heads (32) is not divisible by num_kv_heads (5)"},
		{"head size", change(`"num_attention_heads": 32`, `"num_attention_heads": 30`), "hidden_size = 4096 is not divisible by num_attention_heads = 30: give head_dim"},
		{"dtype", change(`"bfloat16"`, `"int3"`), `torch_dtype = "int3", want bfloat16, float16 or float32`},
		{"unknown quantization", change(`"bos_token_id": 128000`, `"quantization_config": {"quant_method": "magic"}`), `quant_method = "magic", want awq, gptq`},
		{"a billion layers", change(`"num_hidden_layers": 32`, `"num_hidden_layers": 1000000000`), "x.json:4:24: num_hidden_layers = 1000000000, want a whole number ≤ 16777216"},
		{"5,000 layers", change(`"num_hidden_layers": 32`, `"num_hidden_layers": 5000`), "x.json:4:24: num_hidden_layers = 5000, want at most 4096"},
		{"rope that scales to nothing", change(`"bos_token_id": 128000`, `"rope_scaling": {"type": "linear", "factor": 0}`), "factor = 0, want more than 0 and at most 4096"},
		{"rope as text", change(`"bos_token_id": 128000`, `"rope_scaling": "linear"`), `rope_scaling = "linear", want an object`},
		{"half a layer list", change(`"bos_token_id": 128000`, `"sliding_window": 128, "layer_types": ["full_attention"]`), "layer_types has 1 entries, num_hidden_layers is 32"},
		{"3 bits", change(`"bos_token_id": 128000`, `"quantization_config": {"quant_method": "gptq", "bits": 3}`), "bits = 3, want 4 or 8"},
		{"groups of nothing", change(`"bos_token_id": 128000`, `"quantization_config": {"quant_method": "awq", "group_size": 0}`), "group_size = 0, want -1 (one scale a channel) or more than 0"},
		{"more experts a token than there are", change(`"bos_token_id": 128000`, `"num_local_experts": 8, "num_experts_per_tok": 9`), "9 experts a token of 8"},
		{"entry with an unknown field", `{"id": "a", "source": "b", "licence": 1, "config": ` + llama + "}", `x.json:1:28: unknown field "licence"`},
		{"entry without a source", `{"id": "a", "config": ` + llama + "}", "id and source are missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := catalog.DecodeModel("x.json", []byte(c.file))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestGPUs(t *testing.T) {
	good := `{"id":"mine","source":"s","name":"NVIDIA Mine","memory_gib":24,"capability":"8.9"}`
	g, err := catalog.DecodeGPU("g.json", []byte(good))
	require.NoError(t, err)
	require.InDelta(t, 24, g.Memory.GiB(), 0)
	for old, want := range map[string]string{
		`"memory_gib":24`:    "memory_gib is missing",
		`"capability":"8.9"`: "capability = \"\", want the compute capability",
		`"source":"s",`:      "source is missing",
	} {
		bad := strings.Replace(strings.Replace(good, old, "", 1), ",}", "}", 1)
		_, err := catalog.DecodeGPU("g.json", []byte(strings.ReplaceAll(bad, ",,", ",")))
		require.ErrorContains(t, err, want)
	}
	_, err = catalog.DecodeGPU("g.json", []byte(strings.Replace(good, "name", "nmae", 1)))
	require.ErrorContains(t, err, `g.json:1:27: unknown field "nmae"`)
}

func TestLibraryReadsPaths(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.json")
	require.NoError(t, os.WriteFile(path, []byte(llama), 0o600))
	for _, name := range []string{path, dir} {
		m, err := catalog.Library{}.Model(name)
		require.NoError(t, err)
		require.Equal(t, filepath.Base(dir), m.ID)
	}
	_, err := catalog.Library{}.Model(filepath.Join(dir, "none.json"))
	require.Error(t, err)
}
