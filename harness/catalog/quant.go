package catalog

import "strings"

// quantization reads how the checkpoint stores its linear layers, in the words of the tools that made it.
func (f *file) quantization(root, text *value, m *Model) {
	v := root.given("quantization_config")
	if v == nil {
		v = text.given("quantization_config")
	}
	if v == nil {
		return
	}
	if v.fields == nil {
		f.fault(v.at, "quantization_config = %v, want an object", v)
		return
	}
	method := f.text(v, "quant_method", "")
	bits := f.whole(v, "bits", 1, f.whole(v, "w_bit", 1, 4))
	group := f.whole(v, "group_size", -1, f.whole(v, "q_group_size", -1, 128))
	if group == 0 {
		f.fault(at(v, "group_size"), "group_size = 0, want -1 (one scale a channel) or more than 0")
	}
	if (method == "awq" || method == "gptq" || method == "auto-round") && bits != 4 && bits != 8 {
		f.fault(at(v, "bits"), "bits = %d, want 4 or 8", bits)
	}
	switch method {
	case "awq":
		m.Quantization = &Quantization{Method: "awq", Bits: bits, GroupSize: max(0, group)}
	case "gptq", "auto-round":
		q := &Quantization{Method: "gptq-int4", Bits: bits, GroupSize: max(0, group)}
		if bits == 8 {
			q.Method = "gptq-int8"
		}
		m.Quantization = q
	case "fp8", "fbgemm_fp8":
		m.Quantization = &Quantization{Method: "fp8", Bits: 8, GroupSize: f.tile(v)}
	case "modelopt":
		m.Quantization = f.modelopt(v)
	case "bitsandbytes":
		q := &Quantization{Method: "bitsandbytes", Bits: 4, GroupSize: 64}
		if f.truth(v, "load_in_8bit", false) {
			q.Bits, q.GroupSize = 8, 0
		}
		m.Quantization = q
	case "mxfp4":
		m.Quantization = &Quantization{Method: "mxfp4", Bits: 4, GroupSize: 32}
	case "compressed-tensors":
		m.Quantization = f.compressed(v)
	default:
		f.fault(v.at, "quantization_config.quant_method = %q, want awq, gptq, auto-round, fp8, fbgemm_fp8, modelopt, bitsandbytes, mxfp4 or compressed-tensors", method)
	}
}

// tile is how many weights share a scale where they are scaled in tiles; 0 = one scale a channel.
func (f *file) tile(v *value) int {
	block := v.given("weight_block_size")
	if block == nil || !block.isList {
		return 0
	}
	n := 1
	for _, side := range block.list {
		w := f.whole(&value{at: side.at, fields: map[string]*value{"weight_block_size": side}}, "weight_block_size", 1, 1)
		n *= w
	}
	return n
}

// modelopt reads what NVIDIA's optimizer calls its algorithm.
func (f *file) modelopt(v *value) *Quantization {
	switch algorithm := f.text(v, "quant_algo", "FP8"); algorithm {
	case "FP8":
		return &Quantization{Method: "fp8", Bits: 8}
	case "NVFP4":
		return &Quantization{Method: "nvfp4", Bits: 4, GroupSize: 16}
	default:
		f.fault(at(v, "quant_algo"), "quant_algo = %q, want FP8 or NVFP4", algorithm)
	}
	return nil
}

// compressed reads the first group of a compressed-tensors scheme.
func (f *file) compressed(v *value) *Quantization {
	q := &Quantization{Method: "w8a8", Bits: 8}
	groups := v.given("config_groups")
	if groups == nil || len(groups.keys) == 0 {
		f.fault(v.at, "quantization_config.config_groups is missing")
		return q
	}
	weights := groups.fields[groups.keys[0]].given("weights")
	if weights == nil {
		f.fault(groups.at, "config_groups.%s.weights is missing", groups.keys[0])
		return q
	}
	for _, name := range f.texts(v, "ignore") {
		if strings.Contains(name, "self_attn") {
			q.MLPOnly = true
		}
	}
	q.Bits = f.whole(weights, "num_bits", 1, 8)
	q.GroupSize = max(0, f.whole(weights, "group_size", -1, 0))
	switch kind := f.text(weights, "type", "int"); {
	case kind == "float" && q.Bits == 8:
		q.Method = "fp8"
	case kind == "float" && q.Bits == 4:
		q.Method = "nvfp4"
	case q.Bits == 4:
		q.Method = "gptq-int4" // weights only, stored as GPTQ stores them
	case groups.fields[groups.keys[0]].given("input_activations") == nil:
		q.Method = "gptq-int8"
	}
	return q
}

// Stored is how the usual checkpoint of a method is stored; 16 bits for a method that is not known.
func Stored(method string) Quantization {
	switch q := (Quantization{Method: method}); method {
	case "awq", "gptq-int4":
		q.Bits, q.GroupSize = 4, 128
		return q
	case "gptq-int8":
		q.Bits, q.GroupSize = 8, 128
		return q
	case "fp8", "w8a8":
		q.Bits = 8
		return q
	case "bitsandbytes":
		q.Bits, q.GroupSize = 4, 64
		return q
	case "mxfp4":
		q.Bits, q.GroupSize = 4, 32
		return q
	case "nvfp4":
		q.Bits, q.GroupSize = 4, 16
		return q
	}
	return Quantization{}
}
