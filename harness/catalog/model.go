package catalog

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
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
	f.high = 1 << 24 // no model is so wide, none reads so far
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
	if text := f.object(root, "text_config"); text != nil {
		v = text
	}
	m.Architecture = fam.architecture
	m.Multimodal, m.PlainMLP = fam.multimodal, fam.plainMLP
	f.shape(v, m, fam.silent)
	if f.err != nil {
		return
	}
	m.TieWordEmbeddings = f.truth(v, "tie_word_embeddings", f.truth(root, "tie_word_embeddings", fam.tied))
	m.QKVBias = f.truth(v, "attention_bias", fam.qkvBias) || fam.qkvBias
	m.OutputBias = f.truth(v, "attention_bias", fam.bias) || fam.bias
	m.MLPBias = f.truth(v, "mlp_bias", fam.bias)
	m.QKNorm = fam.qkNorm
	m.DType = f.text(v, "torch_dtype", f.text(v, "dtype", f.text(root, "torch_dtype", f.text(root, "dtype", "bfloat16"))))
	if !slices.Contains([]string{"bfloat16", "float16", "float32"}, m.DType) {
		f.fault(at(v, "torch_dtype"), "torch_dtype = %q, want bfloat16, float16 or float32", m.DType)
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
	must := func(key string, older ...string) int {
		for _, k := range append([]string{key}, older...) {
			if v.given(k) != nil {
				return f.whole(v, k, 1, 0)
			}
		}
		if silent[key] == 0 {
			f.fault(v.at, "%s is missing", key)
		}
		return silent[key]
	}
	m.Layers = must("num_hidden_layers", "num_layers", "n_layer")
	m.HiddenSize = must("hidden_size", "n_embd")
	m.Heads = must("num_attention_heads", "n_head")
	m.VocabSize = must("vocab_size", "padded_vocab_size")
	inner := silent["intermediate_size"]
	if m.PlainMLP {
		inner = 4 * m.HiddenSize
	}
	m.IntermediateSize = f.whole(v, "intermediate_size", 1, f.whole(v, "ffn_dim", 1, f.whole(v, "ffn_hidden_size", 1, inner)))
	if m.IntermediateSize == 0 && v.given("moe_intermediate_size") == nil {
		f.fault(v.at, "intermediate_size is missing")
	}
	m.KVHeads = f.kvHeads(v, cmp.Or(silent["num_key_value_heads"], m.Heads))
	if m.Layers > 4096 {
		f.fault(at(v, "num_hidden_layers"), "num_hidden_layers = %d, want at most 4096", m.Layers)
	}
	if m.Heads == 0 || f.err != nil {
		return
	}
	m.HeadDim = f.whole(v, "head_dim", 1, f.whole(v, "kv_channels", 1, silent["head_dim"]))
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

// kvHeads reads how many heads keys and values have, by the names that it has had.
func (f *file) kvHeads(v *value, def int) int {
	if v.given("num_key_value_heads") == nil && f.truth(v, "multi_query", false) && !f.truth(v, "new_decoder_architecture", false) {
		def = 1
	}
	return f.whole(v, "num_key_value_heads", 1, f.whole(v, "num_kv_heads", 1, f.whole(v, "multi_query_group_num", 1, def)))
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
	scaling := f.object(v, "rope_scaling")
	if scaling == nil {
		scaling = f.object(v, "rope_parameters")
	}
	if scaling != nil && scaling.given("full_attention") != nil { // one entry a kind of layer
		scaling = scaling.given("full_attention")
	}
	if scaling == nil || scaling.fields == nil {
		scaling = &value{at: v.at, fields: map[string]*value{}}
	}
	share := f.number(v, "partial_rotary_factor", f.number(scaling, "partial_rotary_factor", 1))
	if share > 1 {
		f.fault(at(v, "partial_rotary_factor"), "partial_rotary_factor = %g, want at most 1", share)
	}
	m.RotaryDim = int(float64(m.HeadDim) * share)
	f.scaled(v, scaling, m)
	if strings.HasPrefix(m.Architecture, "Gemma3") {
		m.RotaryPositions += m.MaxModelLen // windowed layers have a table of their own
	}
}

// scaled is how rope scaling stretches the context and the table of cosines and sines.
func (f *file) scaled(v, scaling *value, m *Model) {
	factor := f.number(scaling, "factor", 1)
	if factor == 0 || factor > 4096 {
		f.fault(at(scaling, "factor"), "factor = %g, want more than 0 and at most 4096", factor)
		return
	}
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
	switch {
	case e.ExpertsPerToken > n:
		f.fault(at(v, "num_experts_per_tok"), "%d experts a token of %d", e.ExpertsPerToken, n)
	case e.DenseLayers > m.Layers:
		f.fault(at(v, "first_k_dense_replace"), "%d dense layers of %d", e.DenseLayers, m.Layers)
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
