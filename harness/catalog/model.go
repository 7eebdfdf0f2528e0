package catalog

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// DecodeModel reads one model: an entry of a library, {"id", "aliases", "source", "config"}, or a bare HF
// config.json, which is named after its folder (or after the file, if it is not called config.json). Fields of a
// config that do not matter for memory or time are ignored; those that do are checked.
func DecodeModel(name string, data []byte) (Model, error) {
	f, root, err := parse(name, data)
	if err != nil {
		return Model{}, err
	}
	m := Model{ID: baseName(name), Source: name}
	config := root
	if root.fields["config"] != nil {
		f.only(root, "id", "aliases", "source", "config")
		m.ID = f.text(root, "id", "")
		m.Aliases = f.texts(root, "aliases")
		m.Source = f.text(root, "source", "")
		if m.ID == "" || m.Source == "" {
			f.fault(root.at, "id and source are missing: an entry says what it is and where it was read")
		}
		config = root.fields["config"]
	}
	if config.fields == nil {
		f.fault(config.at, "config = %v, want the object of an HF config.json", config)
		return Model{}, f.err
	}
	f.config(config, &m)
	return m, f.err
}

func baseName(name string) string {
	base := filepath.Base(name)
	if base == "config.json" {
		return filepath.Base(filepath.Dir(name))
	}
	return strings.TrimSuffix(base, ".json")
}

// config fills m from an HF config.
func (f *file) config(root *value, m *Model) {
	fam, ok := f.family(root)
	if !ok {
		return
	}
	v := root
	if text := root.given("text_config"); text != nil && text.fields != nil {
		v = text
	}
	m.Architecture = fam.architecture
	m.Multimodal = fam.multimodal
	f.shape(v, m, fam.silent)
	if f.err != nil {
		return
	}
	m.TieWordEmbeddings = f.truth(v, "tie_word_embeddings", f.truth(root, "tie_word_embeddings", fam.tied))
	m.QKVBias = f.truth(v, "attention_bias", fam.qkvBias) || fam.qkvBias
	m.OutputBias = f.truth(v, "attention_bias", fam.bias) || fam.bias
	m.MLPBias = f.truth(v, "mlp_bias", fam.bias)
	m.QKNorm, m.PlainMLP = fam.qkNorm, fam.plainMLP
	m.DType = f.text(v, "torch_dtype", f.text(v, "dtype", f.text(root, "torch_dtype", f.text(root, "dtype", "bfloat16"))))
	if !slices.Contains([]string{"bfloat16", "float16", "float32"}, m.DType) {
		f.fault(v.at, "torch_dtype = %q, want bfloat16, float16 or float32", m.DType)
	}
	f.positions(v, m, fam)
	f.experts(v, m)
	f.latent(v, m)
	f.window(v, m, fam.silent["sliding_window"])
	f.quantization(root, v, m)
	f.vision(root, m)
}

func (f *file) family(v *value) (family, bool) {
	list := f.need(v, "architectures")
	if list == nil {
		return family{}, false
	}
	names := f.texts(v, "architectures")
	if f.err != nil || len(names) == 0 {
		f.fault(list.at, "architectures = %v, want a list with one name", list)
		return family{}, false
	}
	var known []string
	for _, fam := range families() {
		if fam.architecture == names[0] {
			return fam, true
		}
		known = append(known, fam.architecture)
	}
	f.fault(list.at, "architectures = %q is not supported, want one of %s", names[0], strings.Join(known, ", "))
	return family{}, false
}

// shape reads the sizes that every transformer has.
func (f *file) shape(v *value, m *Model, silent map[string]int) {
	must := func(key string) int {
		if v.given(key) != nil {
			return f.whole(v, key, 1, 0)
		}
		if silent[key] == 0 {
			f.fault(v.at, "%s is missing", key)
		}
		return silent[key]
	}
	m.Layers = must("num_hidden_layers")
	m.HiddenSize = must("hidden_size")
	m.Heads = must("num_attention_heads")
	m.VocabSize = must("vocab_size")
	m.IntermediateSize = f.whole(v, "intermediate_size", 1, f.whole(v, "ffn_dim", 1, silent["intermediate_size"]))
	if m.IntermediateSize == 0 && v.given("moe_intermediate_size") == nil {
		f.fault(v.at, "intermediate_size is missing")
	}
	m.KVHeads = f.whole(v, "num_key_value_heads", 1, cmp.Or(silent["num_key_value_heads"], m.Heads))
	if m.Heads == 0 || f.err != nil {
		return
	}
	m.HeadDim = f.whole(v, "head_dim", 1, silent["head_dim"])
	if m.HeadDim == 0 {
		if m.HiddenSize%m.Heads != 0 {
			f.fault(at(v, "hidden_size"), "hidden_size = %d is not divisible by num_attention_heads = %d: give head_dim", m.HiddenSize, m.Heads)
			return
		}
		m.HeadDim = m.HiddenSize / m.Heads
	}
	if m.Heads%m.KVHeads != 0 {
		f.fault(at(v, "num_key_value_heads"), "num_heads (%d) is not divisible by num_kv_heads (%d)", m.Heads, m.KVHeads)
	}
}

// positions reads the context length and the size of the position tables.
func (f *file) positions(v *value, m *Model, fam family) {
	m.MaxModelLen = f.whole(v, "max_position_embeddings", 1, f.whole(v, "seq_length", 1, fam.silent["max_position_embeddings"]))
	if m.MaxModelLen == 0 {
		f.fault(v.at, "max_position_embeddings is missing")
	}
	if fam.learned {
		m.LearnedPositions = m.MaxModelLen + 2
		return
	}
	scaling := v.given("rope_scaling")
	if scaling == nil {
		scaling = v.given("rope_parameters")
	}
	if scaling != nil && scaling.given("full_attention") != nil { // one entry a kind of layer
		scaling = scaling.given("full_attention")
	}
	if scaling == nil || scaling.fields == nil {
		scaling = &value{at: v.at, fields: map[string]*value{}}
	}
	m.RotaryDim = int(float64(m.HeadDim) * f.number(v, "partial_rotary_factor", f.number(scaling, "partial_rotary_factor", 1)))
	f.scaled(v, scaling, m)
	if strings.HasPrefix(m.Architecture, "Gemma3") {
		m.RotaryPositions += m.MaxModelLen // windowed layers have a table of their own
	}
}

// scaled is how rope scaling stretches the context and the table of cosines and sines.
func (f *file) scaled(v, scaling *value, m *Model) {
	factor := f.number(scaling, "factor", 1)
	original := f.whole(scaling, "original_max_position_embeddings", 1, f.whole(v, "original_max_position_embeddings", 1, m.MaxModelLen))
	m.RotaryPositions = m.MaxModelLen
	switch f.text(scaling, "rope_type", f.text(scaling, "type", "default")) {
	case "yarn":
		m.RotaryPositions = int(float64(original) * factor)
		m.MaxModelLen = max(m.MaxModelLen, m.RotaryPositions)
	case "linear", "dynamic":
		m.RotaryPositions = int(float64(m.MaxModelLen) * factor)
		if !strings.HasPrefix(m.Architecture, "Gemma3") { // whose context is already that of the scaled positions
			m.MaxModelLen = m.RotaryPositions
		}
	case "longrope", "su":
		m.RotaryPositions += original // one table for short and one for long contexts
	}
}

// at is where a field stands, or its object where the field is absent.
func at(v *value, key string) int {
	if x := v.fields[key]; x != nil {
		return x.at
	}
	return v.at
}

func (f *file) experts(v *value, m *Model) {
	n := 0
	for _, key := range []string{"num_experts", "num_local_experts", "n_routed_experts"} {
		n = max(n, f.whole(v, key, 0, 0))
	}
	if n < 2 {
		return
	}
	e := &MoE{Experts: n}
	e.ExpertsPerToken = f.whole(v, "num_experts_per_tok", 1, f.whole(v, "experts_per_token", 1, 1))
	e.IntermediateSize = f.whole(v, "moe_intermediate_size", 1, m.IntermediateSize)
	e.DenseLayers = f.whole(v, "first_k_dense_replace", 0, 0)
	if only := v.given("mlp_only_layers"); only != nil {
		e.DenseLayers = len(only.list)
	}
	switch m.Architecture {
	case "Llama4ForConditionalGeneration": // one shared expert of the same size; the dense MLP has a size of its own
		e.SharedExperts, e.SharedIntermediateSize = 1, e.IntermediateSize
		e.DenseLayers = m.Layers - m.Layers/f.whole(v, "interleave_moe_layer_step", 1, 1)
		m.IntermediateSize = f.whole(v, "intermediate_size_mlp", 1, m.IntermediateSize)
	case "GptOssForCausalLM":
		e.ExpertBias = true
	default:
		e.SharedExperts = f.whole(v, "n_shared_experts", 0, 0)
		e.SharedIntermediateSize = e.IntermediateSize
		if s := f.whole(v, "shared_expert_intermediate_size", 0, 0); s > 0 {
			e.SharedExperts, e.SharedIntermediateSize = 1, s
		}
	}
	m.MoE = e
}

func (f *file) latent(v *value, m *Model) {
	rank := f.whole(v, "kv_lora_rank", 0, 0)
	if rank == 0 {
		return
	}
	m.MLA = &MLA{
		KVLoRARank:  rank,
		QLoRARank:   f.whole(v, "q_lora_rank", 0, 0),
		RopeHeadDim: f.whole(v, "qk_rope_head_dim", 1, 64),
		NopeHeadDim: f.whole(v, "qk_nope_head_dim", 1, 128),
		VHeadDim:    f.whole(v, "v_head_dim", 1, 128),
	}
	m.RotaryDim = m.MLA.RopeHeadDim
}

// window reads which layers look back only so far. layer_types says it per layer; older configs say it by rule.
func (f *file) window(v *value, m *Model, silent int) {
	w := f.whole(v, "sliding_window", 0, silent)
	if c := f.whole(v, "attention_chunk_size", 0, 0); c > 0 {
		w = c // Llama 4: attention in chunks, cached as a window is
	}
	if w == 0 || w >= m.MaxModelLen || !f.truth(v, "use_sliding_window", true) {
		return
	}
	layers := m.Layers
	if types := f.texts(v, "layer_types"); len(types) > 0 {
		layers = 0
		for _, t := range types {
			if t != "full_attention" {
				layers++
			}
		}
	} else if p := f.whole(v, "sliding_window_pattern", 1, f.pattern(m)); p > 1 {
		layers = m.Layers - m.Layers/p
	} else if q := f.whole(v, "max_window_layers", 0, 0); q > 0 && v.given("use_sliding_window") != nil {
		layers = m.Layers - min(q, m.Layers)
	}
	if layers > 0 {
		m.SlidingWindow = &SlidingWindow{Window: units.Tokens(w), Layers: layers}
	}
}

// pattern is every how many layers one looks at everything, where the config does not say it.
func (f *file) pattern(m *Model) int {
	switch m.Architecture {
	case "Gemma3ForCausalLM", "Gemma3ForConditionalGeneration":
		return 6
	case "Llama4ForConditionalGeneration":
		return 4
	case "Gemma2ForCausalLM", "GptOssForCausalLM":
		return 2
	}
	return 1
}

// vision estimates the parameters of an image encoder from its shape: attention and MLP of each layer, patches,
// positions and a two-layer projector.
func (f *file) vision(root *value, m *Model) {
	v := root.given("vision_config")
	if v == nil || v.fields == nil {
		return
	}
	h := f.whole(v, "hidden_size", 1, 0)
	layers := f.whole(v, "num_hidden_layers", 1, f.whole(v, "depth", 1, 0))
	inner := f.whole(v, "intermediate_size", 1, 4*h)
	matrices := 2
	if m.Architecture == "Mistral3ForConditionalGeneration" {
		matrices = 3 // Pixtral's MLP is gated
	}
	patch := f.whole(v, "patch_size", 1, 14)
	side := f.whole(v, "image_size", 1, 0) / patch
	params := layers*(4*h*h+matrices*h*inner) + 3*patch*patch*h + side*side*h + h*m.HiddenSize + m.HiddenSize*m.HiddenSize
	m.VisionParams = int64(params)
}
