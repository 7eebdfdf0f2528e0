package memory

import (
	"fmt"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Term is one part of the budget with how far off it may be and where its number comes from.
type Term struct {
	Name        string
	Bytes       units.Bytes
	Uncertainty units.Bytes
	Source      string
}

// terms explains the parts of the first stage. They sum to the budget, unless kv_cache_memory_bytes sets it aside.
func (p *Plan) terms() []Term {
	e := p.Deployment.Engine
	figures := Figures()
	graphSource := "not subtracted by this version: the graphs come out of what is outside the budget"
	if p.CUDAGraphs > 0 {
		graphSource = fmt.Sprintf("fitted to %d start-up logs; vLLM's own estimate varies by 2 times between equal starts", logs(figures[graphLayer]))
	}
	kvSource := "what the budget leaves"
	if e.KVCacheMemoryBytes > 0 {
		kvSource = "kv_cache_memory_bytes: the budget is not used"
	}
	activation := fmt.Sprintf("counted at the widest moment of the profiling pass, in its source and in a recording of 0.26, at max_num_batched_tokens %d and max_num_seqs %d", e.MaxNumBatchedTokens, e.MaxNumSeqs)
	overhead := planner{p.Deployment, p.fit}
	if first := stages(p.Deployment)[0]; p.Activation == overhead.autotuning(first) && !p.Deployment.WarmCompile {
		warm := overhead
		warm.d.WarmCompile = true
		activation = fmt.Sprintf("a first start: the compiler times the kernel that looks tokens up on a copy of the token matrix; a later start, with the compile cache filled, needs %v less", p.Activation-warm.activation(first))
	}
	beside := ""
	if keeps := overhead.penalties(stages(p.Deployment)[0]); keeps > 0 && counted(p.Deployment) {
		beside = fmt.Sprintf("%v are the sampler's counts of every token for max_num_seqs %d, the rest ", keeps, e.MaxNumSeqs)
	}
	return []Term{
		{"weights", p.Weights, p.Weights / 300, "shapes from " + p.Deployment.Model.Source + ", tensor by tensor as PyTorch's allocator rounds them"},
		{"activation", p.Activation, p.Error / 2, activation},
		{"non-torch", p.NonTorch, p.Error / 2, beside + "fitted to start-up logs by version, GPU class and tensor parallel size"},
		{"CUDA graphs", p.CUDAGraphs, p.CUDAGraphs / 2, graphSource},
		{"KV cache", p.KVCache, p.Error, kvSource},
	}
}

// logs counts the start-ups that figures were fitted to.
func logs(figures ...Figure) int {
	seen := map[string]bool{}
	for _, f := range figures {
		for _, row := range strings.Fields(f.Rows) {
			seen[row] = true
		}
	}
	return len(seen)
}
