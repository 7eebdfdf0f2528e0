package steptime

import (
	"strings"

	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/deploy"
)

// A matrix is one weight matrix as one GPU holds it: rows of n outputs from k inputs, count times a model.
type matrix struct {
	n, k, count int
	weightBytes float64 // a weight's width
	class       kernelClass
}

// kernelClass names the matrix kernels that reach different shares of the hardware.
type kernelClass uint8

const (
	bf16 kernelClass = iota
	fp8
	int8
	int4
)

// experts is the routed part of a mixture-of-experts layer on one GPU.
type experts struct {
	layers, number, perToken int
	inner                    int // intermediate size of one expert's share on this GPU
	weightBytes              float64
	class                    kernelClass
}

// A shape is a model as one GPU of the deployment computes it.
type shape struct {
	layers, hidden int
	heads, kvHeads int // of this GPU
	headDim        int
	vocab          int // of this GPU
	mlpInner       int // summed intermediate width per token, for the activation function
	gpus           int
	dense          []matrix // every layer's matrices, lm_head not included
	head           matrix   // lm_head, for sampled rows alone
	moe            experts  // number 0 for a dense model
	kvBytes        float64  // of one token in one layer on this GPU
	kvElement      float64  // bytes of one element of the cache
	slidingLayers  int
	window         int
}

func shapeOf(d deploy.Deployment) shape {
	m, tp := d.Model, max(1, d.Engine.TensorParallelSize)
	s := shape{
		layers: m.Layers, hidden: m.HiddenSize, headDim: m.HeadDim, gpus: tp,
		heads: max(1, m.Heads/tp), kvHeads: max(1, m.KVHeads/tp), vocab: m.VocabSize / tp,
		kvElement: 2,
	}
	if strings.HasPrefix(d.Engine.KVCacheDType, "fp8") {
		s.kvElement = 1
	}
	width, class := weights(d)
	add := func(n, k, count int) {
		if count > 0 && n > 0 && k > 0 {
			s.dense = append(s.dense, matrix{n, k, count, width, class})
		}
	}
	if l := m.MLA; l != nil {
		addLatentAttention(&s, l, m, tp, add)
	} else {
		s.kvBytes = 2 * float64(s.kvHeads*s.headDim) * s.kvElement
		add((s.heads+2*s.kvHeads)*s.headDim, m.HiddenSize, m.Layers)
		add(m.HiddenSize, s.heads*s.headDim, m.Layers)
	}
	denseLayers := m.Layers
	if e := m.MoE; e != nil {
		denseLayers = e.DenseLayers
		routed := m.Layers - e.DenseLayers
		s.moe = experts{routed, e.Experts, e.ExpertsPerToken, e.IntermediateSize / tp, width, class}
		shared := e.SharedExperts * e.SharedIntermediateSize / tp
		add(2*shared, m.HiddenSize, routed)
		add(m.HiddenSize, shared, routed)
		s.dense = append(s.dense, matrix{e.Experts, m.HiddenSize, routed, 2, bf16}) // the router
		s.mlpInner += routed * (s.moe.inner*e.ExpertsPerToken + shared)
	}
	inner := m.IntermediateSize / tp
	add(2*inner, m.HiddenSize, denseLayers)
	add(m.HiddenSize, inner, denseLayers)
	s.mlpInner += denseLayers * inner
	s.head = matrix{s.vocab, m.HiddenSize, 1, 2, bf16}
	if w := m.SlidingWindow; w != nil {
		s.slidingLayers, s.window = w.Layers, int(w.Window)
	}
	return s
}

// addLatentAttention adds DeepSeek's projections. One latent vector a token is cached, on every GPU in full.
func addLatentAttention(s *shape, l *catalog.MLA, m catalog.Model, tp int, add func(n, k, count int)) {
	q := s.heads * (l.NopeHeadDim + l.RopeHeadDim)
	if l.QLoRARank > 0 {
		add(l.QLoRARank+l.KVLoRARank+l.RopeHeadDim, m.HiddenSize, m.Layers)
		add(q, l.QLoRARank, m.Layers)
	} else {
		add(q+l.KVLoRARank+l.RopeHeadDim, m.HiddenSize, m.Layers)
	}
	add(s.heads*(l.NopeHeadDim+l.VHeadDim), l.KVLoRARank, m.Layers)
	add(m.HiddenSize, s.heads*l.VHeadDim, m.Layers)
	s.headDim = l.NopeHeadDim + l.RopeHeadDim
	s.kvHeads = 1
	s.kvBytes = float64(l.KVLoRARank+l.RopeHeadDim) * s.kvElement
}

// weights returns how wide a stored weight of the linear layers is and which kernels multiply by it.
func weights(d deploy.Deployment) (bytes float64, class kernelClass) {
	method, group := d.Engine.Quantization, 128
	if q := d.Model.Quantization; q != nil {
		if method == "" {
			method = q.Method
		}
		if q.GroupSize > 0 {
			group = q.GroupSize
		}
	}
	switch method {
	case "awq", "gptq-int4":
		return 0.5 + 2.5/float64(group), int4 // 4-bit weights, a scale and a zero point a group
	case "gptq-int8":
		return 1 + 2/float64(group), int4 // Marlin too: weights are widened before the multiplication
	case "fp8":
		return 1, fp8
	case "w8a8":
		return 1, int8
	}
	if d.Engine.DType == "float32" || d.Engine.DType == "auto" && d.Model.DType == "float32" {
		return 4, bf16
	}
	return 2, bf16
}
