package catalog

import "github.com/testing-symbiote/symbiote/harness/units"

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
		if len(types) != m.Layers {
			f.fault(at(v, "layer_types"), "layer_types has %d entries, num_hidden_layers is %d", len(types), m.Layers)
		}
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
	if size := float64(layers) * float64(h) * float64(4*h+matrices*inner); size > 1e12 {
		f.fault(v.at, "vision_config has %.0g parameters", size)
		return
	}
	patch := f.whole(v, "patch_size", 1, 14)
	side := f.whole(v, "image_size", 1, 0) / patch
	if merged := f.merged(root, m, side); merged > 0 && side*side >= merged {
		m.Image = &Image{Tokens: side * side / merged, Values: 3 * patch * side * patch * side}
	}
	params := layers*(4*h*h+matrices*h*inner) + 3*patch*patch*h + side*side*h + h*m.HiddenSize + m.HiddenSize*m.HiddenSize
	m.VisionParams = int64(params)
}

// merged is how many patches become one token of the language model.
func (f *file) merged(root *value, m *Model, side int) int {
	switch m.Architecture {
	case "Gemma3ForConditionalGeneration":
		return side * side / f.whole(root, "mm_tokens_per_image", 1, 256)
	case "Mistral3ForConditionalGeneration", "Llama4ForConditionalGeneration", "KimiVLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration":
		merge := f.whole(root, "spatial_merge_size", 1, 2)
		return merge * merge
	}
	return 1
}
