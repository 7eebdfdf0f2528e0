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

// activation is the peak of the profiling pass above the weights: max_num_batched_tokens tokens go through the
// layers, then one row a sequence through the sampler. The larger of the two counts.
func activation(d deploy.Deployment, s stage) units.Bytes {
	peak := forward(d)
	if s.last {
		peak = max(peak, sampling(d))
	}
	return peak + workspace(d)
}

// forward is the widest moment of a layer: gate, up and their product, beside hidden-size tensors.
func forward(d deploy.Deployment) units.Bytes {
	m, e := d.Model, d.Engine
	inner := m.IntermediateSize / e.TensorParallelSize
	if m.MoE != nil {
		inner = m.MoE.SharedExperts * m.MoE.SharedIntermediateSize / e.TensorParallelSize
	}
	wide := times(e.MaxNumBatchedTokens, 3*inner) * width(e.DType)
	narrow := times(e.MaxNumBatchedTokens, m.HiddenSize) * width(e.DType)
	return wide + scaled(narrow, hiddenWidths)
}

// scaled is n × factor; the rounding keeps it the same on every machine.
func scaled(n units.Bytes, factor float64) units.Bytes {
	return units.Bytes(math.Round(float64(n) * factor))
}

// sampling is the sampler's peak. The first runners sort the logits of every sequence; from 0.17 a Triton kernel
// does without. The second runner holds either one copy of the output matrix or the 16-bit logits.
func sampling(d deploy.Deployment) units.Bytes {
	m, e := d.Model, d.Engine
	rows := min(e.MaxNumSeqs, e.MaxNumBatchedTokens)
	logits := times(rows, m.VocabSize)
	hidden := times(e.MaxNumBatchedTokens, m.HiddenSize) * width(e.DType)
	w := width(e.DType)
	switch {
	case d.Runner == "V2":
		matrix := times(m.VocabSize, m.HiddenSize)*w/units.Bytes(e.TensorParallelSize) + 2*hidden
		pass := logits*w + 4*hidden
		if d.Version().AtLeast(33, 0) {
			pass += logits * 4 // the second run keeps them in 32 bits
		}
		return max(matrix, pass)
	case d.Version().AtLeast(17, 0):
		return scaled(logits, tritonSampler) + logits*w + scaled(hidden, residual)
	case d.Version().AtLeast(8, 0) && !d.Version().AtLeast(8, 2):
		return 0 // not part of the pass yet: it comes out of what the budget leaves
	}
	return scaled(logits, sortSampler) + logits*w
}

// workspace is what the fused experts keep between their two matrices.
func workspace(d deploy.Deployment) units.Bytes {
	moe, e := d.Model.MoE, d.Engine
	if moe == nil || e.Quantization == "mxfp4" {
		return 0
	}
	inner := moe.IntermediateSize / e.TensorParallelSize
	return times(e.MaxNumBatchedTokens, moe.ExpertsPerToken, max(2*inner, d.Model.HiddenSize)+inner) * width(e.DType)
}

// nonTorch is what the device holds beside PyTorch after the snapshot: libraries, and the communication buffers of
// tensor parallelism.
func nonTorch(d deploy.Deployment, s stage) units.Bytes {
	v, tp := d.Version(), d.Engine.TensorParallelSize
	hopper := d.GPU.Capability >= "9.0" || len(d.GPU.Capability) > 3
	var base float64
	switch {
	case !s.last && d.Engine.PipelineParallelSize > 1:
		base = nonTorchStage
	case d.Runner == "V2":
		base = nonTorchV2
	case hopper && v.AtLeast(17, 0):
		base = nonTorchHopper
	case hopper:
		base = nonTorchV1
	default:
		base = nonTorchSmall
	}
	if tp == 1 {
		return gib(base)
	}
	doublings := math.Round(math.Log2(float64(tp))) - 1
	switch {
	case d.Engine.EnforceEager:
		base += tpEager
	case !d.GPU.NVLink:
		base += tpPCIe
	case v.AtLeast(17, 0):
		base += tpFused + float64(tpFusedRank*doublings)
	default:
		base += tpNVLink
	}
	return gib(base)
}

// graphs is what the captured CUDA graphs take: every layer adds kernels to every graph.
func graphs(d deploy.Deployment, s stage) units.Bytes {
	sizes := deploy.CaptureSizes(d)
	if len(sizes) == 0 {
		return 0
	}
	full := 0
	for _, n := range sizes {
		if n <= d.Engine.MaxNumSeqs {
			full++
		}
	}
	return gib(graphLayer * float64(s.layers*(len(sizes)+full)) / 51)
}

// subtracted says whether this version takes the estimate for CUDA graphs off the KV cache.
func subtracted(d deploy.Deployment) bool {
	v := d.Version()
	if d.Runner == "V2" {
		return v.AtLeast(29, 0)
	}
	return d.Runner == "V1" && v.AtLeast(21, 0)
}
