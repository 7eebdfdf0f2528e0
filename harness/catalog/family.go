package catalog

// A family is what an architecture's code says and its config.json does not.
type family struct {
	architecture string
	qkvBias      bool
	qkNorm       bool
	bias         bool // every projection has a bias
	plainMLP     bool
	tied         bool // where the config is silent
	learned      bool // position embedding instead of rotary
	multimodal   bool
	silent       map[string]int // what a field is where the config does not say it
}

// families lists the architectures that the planner knows, each as vLLM's model code builds it. Published configs leave
// out what their configuration class has as a default.
func families() []family {
	gemma, qwen3 := map[string]int{"head_dim": 256}, map[string]int{"head_dim": 128}
	gemma3 := map[string]int{"head_dim": 256, "num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 262208, "max_position_embeddings": 131072, "sliding_window": 4096}
	llama := map[string]int{"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 32000, "max_position_embeddings": 2048}
	return []family{
		{architecture: "LlamaForCausalLM"},
		{architecture: "MistralForCausalLM"},
		{architecture: "Qwen2ForCausalLM", qkvBias: true},
		{architecture: "Qwen3ForCausalLM", qkNorm: true, silent: qwen3},
		{architecture: "QWenLMHeadModel", qkvBias: true},
		{architecture: "GraniteForCausalLM"},
		{architecture: "Phi3ForCausalLM"},
		{architecture: "InternLM2ForCausalLM"},
		{architecture: "CohereForCausalLM", tied: true},
		{architecture: "Starcoder2ForCausalLM", qkvBias: true, bias: true, plainMLP: true, tied: true},
		{architecture: "GemmaForCausalLM", tied: true, silent: gemma},
		{architecture: "Gemma2ForCausalLM", tied: true, silent: gemma},
		{architecture: "Gemma3ForCausalLM", tied: true, qkNorm: true, silent: gemma3},
		{architecture: "Gemma3ForConditionalGeneration", tied: true, qkNorm: true, multimodal: true, silent: gemma3},
		{architecture: "Olmo2ForCausalLM", qkNorm: true},
		{architecture: "OPTForCausalLM", qkvBias: true, bias: true, plainMLP: true, tied: true, learned: true},
		{architecture: "MixtralForCausalLM"},
		{architecture: "Qwen2MoeForCausalLM", qkvBias: true},
		{architecture: "Qwen3MoeForCausalLM", qkNorm: true, silent: qwen3},
		{architecture: "DeepseekV2ForCausalLM"},
		{architecture: "DeepseekV3ForCausalLM"},
		{architecture: "GptOssForCausalLM", qkvBias: true},
		{architecture: "Glm4ForCausalLM", qkvBias: true},
		{architecture: "Glm4MoeForCausalLM"},
		{architecture: "GlmForCausalLM", qkvBias: true},
		{architecture: "ChatGLMModel", qkvBias: true},
		{architecture: "ChatGLMForConditionalGeneration", qkvBias: true},
		{architecture: "PhiMoEForCausalLM"},
		{architecture: "MiniMaxM2ForCausalLM", qkNorm: true},
		{architecture: "FalconForCausalLM", plainMLP: true, tied: true, silent: map[string]int{"max_position_embeddings": 2048}},
		{architecture: "GPTNeoXForCausalLM", qkvBias: true, bias: true, plainMLP: true},
		{architecture: "PhiForCausalLM", qkvBias: true, bias: true, plainMLP: true},
		{architecture: "Llama4ForConditionalGeneration", multimodal: true},
		{architecture: "Mistral3ForConditionalGeneration", multimodal: true},
		{architecture: "LlavaForConditionalGeneration", multimodal: true, silent: llama},
		{architecture: "LlavaNextForConditionalGeneration", multimodal: true, silent: llama},
		{architecture: "MllamaForConditionalGeneration", multimodal: true},
		{architecture: "KimiVLForConditionalGeneration", multimodal: true},
		{architecture: "Qwen2_5_VLForConditionalGeneration", qkvBias: true, multimodal: true},
	}
}
