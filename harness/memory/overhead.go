package memory

import (
	"math"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// times multiplies sizes without the loss of a float.
func times(factors ...int) units.Bytes {
	n := units.Bytes(1)
	for _, f := range factors {
		n *= units.Bytes(f)
	}
	return n
}

// A planner is a resolved deployment with the fit that its overheads are taken from.
type planner struct {
	d   deploy.Deployment
	fit Fit
}

// activation is the peak of the profiling pass above the weights: max_num_batched_tokens tokens go through the
// layers, then one row a sequence through the sampler. The larger of the two counts.
func (p planner) activation(s stage) units.Bytes {
	peak := p.forward()
	if s.last {
		peak = max(peak, p.sampling())
	} else {
		peak += 2 * p.hidden() // what goes to the next stage
	}
	return max(peak+p.workspace(), p.autotuning(s)) + p.images(s)
}

// images is what is alive during the pass because images came first: what the encoder made of as many as a step
// may hold stays in its cache and, with the first runner, so do their pixels. What the encoder itself needs is over.
func (p planner) images(s stage) units.Bytes {
	if !p.d.Model.Multimodal || p.d.Runner == "V0" || !s.first {
		return 0
	}
	tokens, image := p.d.Engine.MaxNumBatchedTokens, p.d.Model.Image
	if image == nil {
		return p.hidden()
	}
	images := max(1, tokens/image.Tokens)
	made := times(images, image.Tokens, p.d.Model.HiddenSize) * width(p.d.Engine.DType)
	if p.d.Runner == "V1" {
		made += times(images, image.Values) * width(p.d.Engine.DType)
	}
	return made
}

// autotuning is the compiler's: before the pass, on a first start, Inductor times its kernels on arguments that it makes
// up, and the first kernel reads the token matrix. From 0.19 on vLLM compiles without real arguments; recorded on an
// H200 with 0.26, where the token matrix and two tensors of the hidden size are alive then, and the pass itself needs
// less. Models that take images look their tokens up outside of what is compiled.
func (p planner) autotuning(s stage) units.Bytes {
	if !s.first || p.d.Engine.EnforceEager || p.d.WarmCompile || p.d.Model.Multimodal || !p.d.Version().AtLeast(19, 0) {
		return 0
	}
	return times(p.d.Model.VocabSize, p.d.Model.HiddenSize)*width(p.d.Engine.DType)/units.Bytes(p.d.Engine.TensorParallelSize) + 2*p.hidden()
}

// hidden is one tensor of the hidden size for every token of a step.
func (p planner) hidden() units.Bytes {
	return times(p.d.Engine.MaxNumBatchedTokens, p.d.Model.HiddenSize) * width(p.d.Engine.DType)
}

// forward is the widest moment of a layer: gate, up and their product, beside four tensors of the hidden size (the
// residual, what attention and the MLP before gave, what this MLP gives), as counted in a recording of every
// allocation of the pass, and what PyTorch keeps for cuBLAS.
func (p planner) forward() units.Bytes {
	m, e := p.d.Model, p.d.Engine
	inner := m.IntermediateSize / e.TensorParallelSize
	if m.MoE != nil {
		inner = m.MoE.SharedExperts * m.MoE.SharedIntermediateSize / e.TensorParallelSize
	}
	wide := times(e.MaxNumBatchedTokens, 3*inner) * width(e.DType)
	if e.Quantization == "w8a8" { // the inputs of both matrices once more, in 8 bits
		wide += times(e.MaxNumBatchedTokens, inner+m.HiddenSize)
	}
	return wide + 4*p.hidden() + p.matmul()
}

// wide says that the GPU is a Hopper or a Blackwell of the data center.
func (p planner) wide() bool { return p.d.GPU.Capability == "9.0" || p.d.GPU.Capability == "10.0" }

// matmul is what PyTorch keeps for cuBLAS once the first matrix is multiplied.
func (p planner) matmul() units.Bytes {
	if p.wide() {
		return 32 * units.MiB
	}
	return 8*units.MiB + 128*units.KiB
}

// sampling is the sampler's part of the pass. The second runner samples without parameters until 0.33: it leaves the
// pass at the logits as the model gives them.
func (p planner) sampling() units.Bytes {
	e, v := p.d.Engine, p.d.Version()
	switch {
	case p.d.Runner == "V0" && *e.EnableChunkedPrefill:
		return 0 // no prompt of the pass is complete, so none is sampled
	case v.AtLeast(8, 0) && !v.AtLeast(8, 2):
		return 0 // not part of the pass yet: it comes out of what the budget leaves
	case p.d.Runner == "V2" && !v.AtLeast(33, 0):
		return p.logits()*width(e.DType) + p.selected()
	}
	return p.topKTopP() + p.selected()
}

// rows is how many sequences the pass samples.
func (p planner) rows() int { return min(p.d.Engine.MaxNumSeqs, p.d.Engine.MaxNumBatchedTokens) }

// logits counts what the sampler gets: one for every token of the vocabulary and every sequence.
func (p planner) logits() units.Bytes { return times(p.rows(), p.d.Model.VocabSize) }

// selected is what is alive beside the logits: the hidden states of every token, those of the last tokens (of which
// the first runner makes a random copy) and what PyTorch keeps for cuBLAS.
func (p planner) selected() units.Bytes {
	last := times(p.rows(), p.d.Model.HiddenSize) * width(p.d.Engine.DType)
	if p.d.Runner == "V1" {
		last *= 2
	}
	return p.hidden() + last + p.matmul()
}

// topKTopP counts what sampling with top-k and top-p has alive at its widest moment, as vLLM's sources and PyTorch's
// allocate it. There are the logits in single precision, and as the model gave them where that is a copy. To 0.16 they
// are sorted (values 4 B, indices 8, the indices' reverse 8, and as many values and indices again for the radix sort to
// swap with; fewer than 128 rows are sorted as one, by value and then by row, with 12 B more). From 0.17 a Triton kernel
// masks them in place, with a row of logits for each of its programs, and the probabilities and the noise that divides
// them are 4 B each; from 0.22 FlashInfer samples where it runs, with masked logits and probabilities.
func (p planner) topKTopP() units.Bytes {
	m, e, v := p.d.Model, p.d.Engine, p.d.Version()
	logits := p.logits()
	peak := logits * 4
	if w := width(e.DType); w < 4 || p.d.Runner == "V2" { // which copies single precision too
		peak += logits * w
	}
	switch {
	case v.AtLeast(17, 0):
		peak += logits * (4 + 4)
		if !v.AtLeast(22, 0) || p.d.GPU.Capability == "7.0" {
			peak += times(min(p.d.GPU.SMs, p.rows()), m.VocabSize, 4)
		}
	case p.rows() < 128:
		peak += logits * (4 + 8 + 8 + 8 + 4 + 4 + 8)
	default:
		peak += logits * (4 + 8 + 8 + 4 + 8)
	}
	return peak
}

// penalties is what the second runner's sampler keeps for every sequence: a count a token of the vocabulary, and a
// bit a token each for the prompt's mask and the grammar's.
func (p planner) penalties(s stage) units.Bytes {
	if p.d.Runner != "V2" || !s.last {
		return 0
	}
	return times(p.d.Engine.MaxNumSeqs, p.d.Model.VocabSize+2*units.CeilDiv(p.d.Model.VocabSize, 32), 4)
}

// workspace is what the fused experts keep for every token and expert of it: each of their two buffers is as wide as
// what the two matrices write into it, or as the hidden states where those are wider.
func (p planner) workspace() units.Bytes {
	moe, e := p.d.Model.MoE, p.d.Engine
	if moe == nil || e.Quantization == "mxfp4" {
		return 0
	}
	inner, hidden := moe.IntermediateSize/e.TensorParallelSize, p.d.Model.HiddenSize
	return times(e.MaxNumBatchedTokens, moe.ExpertsPerToken, max(2*inner, hidden)+max(inner, hidden)) * width(e.DType)
}

// nonTorch is what the device holds beside PyTorch after the snapshot: libraries, and the communication buffers of
// tensor parallelism.
func (p planner) nonTorch(s stage) units.Bytes {
	d, f, v := p.d, p.fit, p.d.Version()
	var base float64
	switch {
	case !s.last:
		base = f[nonTorchSmall]
	case d.Runner == "V2" && d.GPU.Capability != "9.0":
		base = f[nonTorchV2Small]
	case d.Runner == "V2" && counted(d) && !v.AtLeast(33, 0): // whose pass gives its segments back
		base = f[nonTorchV2] + f[keptV2]
	case d.Runner == "V2":
		base = f[nonTorchV2]
	case p.wide() && v.AtLeast(17, 0):
		base = f[nonTorchWide]
	case p.wide():
		base = f[nonTorchHopper]
	default:
		base = f[nonTorchSmall]
	}
	tp := d.Engine.TensorParallelSize
	switch {
	case !v.AtLeast(2, 5):
		return 0 // only PyTorch's own memory was counted
	case tp == 1:
		return gib(base)
	}
	switch doublings := math.Round(math.Log2(float64(tp))) - 1; {
	case d.Engine.EnforceEager:
		base += f[tensorEager]
	case !d.GPU.NVLink:
		base += f[tensorPCIe]
	case v.AtLeast(17, 0) || d.Runner == "V0": // V0 takes its snapshot before the ranks are connected
		base += f[tensorFused] + float64(f[tensorDoubling]*doublings)
	default:
		base += f[tensorNVLink]
	}
	return gib(base)
}

// graphs is what the captured CUDA graphs take: every layer adds kernels to every graph, and where FlashAttention 3
// splits long contexts, the largest full graph has room for 32 partial results a token and head.
func (p planner) graphs(s stage) units.Bytes {
	d, v := p.d, p.d.Version()
	sizes := deploy.CaptureSizes(d)
	full, widest := 0, 0
	for _, n := range sizes {
		if n <= d.Engine.MaxNumSeqs {
			full, widest = full+1, n
		}
	}
	if d.Runner == "V1" && !v.AtLeast(10, 0) { // piece by piece only
		return gib(float64(p.fit[graphLayerFirst]*float64(s.layers*len(sizes))) / 51)
	}
	room := gib(float64(p.fit[graphLayer]*float64(s.layers*(len(sizes)+full))) / 51)
	if d.GPU.Capability == "9.0" && d.Model.MLA == nil && v.AtLeast(12, 0) {
		room += times(32, widest, d.Model.Heads/d.Engine.TensorParallelSize, d.Model.HeadDim+1, 4)
	}
	return room
}

// counted says whether this version counts what its runner allocates beside the weights: from 0.27 it looks at the
// device's free memory instead of adding up terms.
func counted(d deploy.Deployment) bool { return d.Version().AtLeast(27, 0) }

// subtracted says whether this version takes the estimate for CUDA graphs off the KV cache.
func subtracted(d deploy.Deployment) bool {
	v := d.Version()
	if d.Runner == "V2" {
		return v.AtLeast(29, 0)
	}
	return d.Runner == "V1" && v.AtLeast(21, 0)
}
