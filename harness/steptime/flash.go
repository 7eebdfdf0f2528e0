package steptime

import (
	"strings"

	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// flash is what decodes cost beside a prompt under FlashAttention 2. Where no row of a step has more than one token, it
// packs the heads that share keys into one block. Else each decode and each head is a block of its own, which computes
// a whole tile of queries and reads the keys once more.
//
// Nothing of it is fitted: a tile takes what as many queries of a prompt take, and where the keys of all decodes do not
// fit the L2, heads that do not run at the same time read them again. Of 122,208 mixed batches of three models on an
// RTX 4090 and an RTX PRO 6000 (vLLM 0.19, LLMServingSim's profiles), the attention of those with 16 decodes or more
// is 13 to 19 % off (mean of |ln|); priced as if alone it was 56 to 109 % too low.
type flash struct {
	tile   int64        // queries of a block; 0 = a decode costs what it costs alone
	group  int64        // heads that share keys
	blocks int64        // that run at a time
	cached units.Tokens // whose keys and values of one head the L2 holds
}

// flashOf says whether vLLM attends by FlashAttention 2, its choice on Ampere, Ada and consumer Blackwell from V1 on.
// Hopper has version 3, which packs heads whatever the step holds; FlashInfer computes decodes apart from prompts, and
// Triton's kernel packs too.
func flashOf(d deploy.Deployment, s *shape) flash {
	major, _, _ := strings.Cut(d.GPU.Capability, ".")
	if b := d.Engine.AttentionBackend; b != "" && b != "FLASH_ATTN" {
		return flash{}
	}
	if major != "8" && major != "12" || !d.Version().AtLeast(8, 0) || d.Model.MLA != nil || s.kvElement != 2 ||
		d.Engine.DType == "float32" || d.Model.Architecture == "GptOssForCausalLM" { // single precision and sinks need another
		return flash{}
	}
	return flash{
		tile: 64, group: int64(s.heads / s.kvHeads), blocks: int64(max(1, d.GPU.SMs*blocksPerSM(d.GPU))), // unknown: nothing is shared
		cached: units.Tokens(float64(d.GPU.L2) * float64(s.kvHeads) / s.kvBytes),
	}
}

// blocksPerSM is how many blocks fit the shared memory of one SM: each holds its queries and two tiles of 128 keys.
func blocksPerSM(g catalog.GPU) int {
	if g.Capability == "8.0" {
		return 2 // 164 KB
	}
	return 1 // 100 KB
}

// pairs counts the pairs of query and key that the tiles of a step's decodes compute.
func (f *flash) pairs(w *engine.Work, extra int64) int64 {
	return f.tile * (int64(w.DecodeContext) + int64(w.Decodes)*extra)
}

// reads is how often such a step reads the cache from memory, in 1/blocks.
func (f *flash) reads(w *engine.Work) int64 {
	if w.DecodeContext <= f.cached {
		return f.blocks
	}
	return min(max(int64(w.Decodes)*f.group, f.blocks), f.group*f.blocks)
}

// mixed says whether a step has decodes that cost more than they do alone.
func (f *flash) mixed(w *engine.Work) bool { return f.tile > 0 && w.Decodes > 0 && len(w.Chunks) > 0 }
