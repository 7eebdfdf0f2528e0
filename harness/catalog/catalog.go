// Package catalog holds facts about models and accelerators, each with the source it was read from.
package catalog

import "github.com/testing-symbiote/symbiote/harness/units"

// Model is the shape of a decoder-only transformer, as its HF config.json gives it.
type Model struct {
	ID           string   // as on the hub: Qwen/Qwen2.5-7B-Instruct
	Aliases      []string // matched without case, space and punctuation
	Source       string
	Architecture string // Qwen2ForCausalLM

	Layers            int
	HiddenSize        int
	IntermediateSize  int // of the dense MLP; of the dense layers in a MoE model
	Heads             int
	KVHeads           int
	HeadDim           int
	VocabSize         int
	MaxModelLen       int // max_position_embeddings, or the smallest declared context length
	TieWordEmbeddings bool
	QKVBias           bool
	OutputBias        bool // of the attention's output projection
	MLPBias           bool
	QKNorm            bool
	PlainMLP          bool // up and down only, no gate
	RotaryPositions   int  // length of the cosine and sine cache that is loaded once a model; 0 = none
	RotaryDim         int
	LearnedPositions  int    // rows of a position embedding; 0 = none
	DType             string // of the checkpoint: bfloat16, float16, float32

	MoE           *MoE           // nil for a dense model
	MLA           *MLA           // nil unless multi-head latent attention
	SlidingWindow *SlidingWindow // nil for full attention in every layer
	Quantization  *Quantization  // of the checkpoint itself; nil for 16-bit weights
	Multimodal    bool           // images enter beside the text
	VisionParams  int64          // parameters of encoders that are loaded beside the language model
	Image         *Image         // the largest one that the encoder takes; nil where it is not known
}

// MoE is what differs in the MLP of a mixture of experts.
type MoE struct {
	Experts                int
	ExpertsPerToken        int
	IntermediateSize       int // of one expert
	SharedExperts          int // counted in experts of SharedIntermediateSize
	SharedIntermediateSize int
	DenseLayers            int // layers with a plain MLP of Model.IntermediateSize
	ExpertBias             bool
}

// Image is one image, or one tile where images are cut into tiles.
type Image struct {
	Tokens int // that the language model sees
	Values int // pixels of three colours
}

// MLA is the latent attention of DeepSeek models: one latent vector a token and layer is cached.
type MLA struct {
	KVLoRARank  int
	QLoRARank   int
	RopeHeadDim int
	NopeHeadDim int
	VHeadDim    int
}

// SlidingWindow says which layers look back only so far.
type SlidingWindow struct {
	Window units.Tokens
	Layers int // how many of the model's layers use it
}

// Quantization is how the linear layers are stored. Embeddings, norms and lm_head stay 16-bit.
type Quantization struct {
	Method    string // awq gptq-int4 gptq-int8 fp8 w8a8 bitsandbytes mxfp4 nvfp4
	Bits      int
	GroupSize int  // 0 = one scale a channel or tensor
	MLPOnly   bool // attention stays 16-bit
}

// GPU is one accelerator.
type GPU struct {
	ID      string
	Aliases []string
	Source  string
	Name    string // as the driver prints it: it decides vLLM's defaults ("a100" does)

	Memory       units.Bytes // total, as CUDA reports it to vLLM
	Board        units.Bytes // total as nvidia-smi prints it, and CUDA under WSL; 0 = not known
	Capability   string      // compute capability, "9.0"
	Bandwidth    float64     // HBM or GDDR, bytes/s, datasheet
	SMs          int
	PeakBF16     float64 // dense FLOP/s, datasheet
	PeakFP8      float64 // 0 where the hardware has none
	PeakINT8     float64 // dense OP/s
	L2           units.Bytes
	Interconnect float64 // bytes/s a direction to the other GPUs of a node (NVLink or PCIe)
	NVLink       bool
}
