package steptime

import (
	"math"

	"github.com/testing-symbiote/symbiote/harness/engine"
)

// Figures is what a step asks of one GPU, whatever it reaches: the useful arithmetic, and the bytes that must come
// from its memory at least. Padding counts for nothing.
type Figures struct{ FLOPs, Bytes float64 }

// Figures returns what a step asks of one GPU.
func (t Timer) Figures(w *engine.Work) Figures {
	s := &t.kernels.shape
	rows, sampled := float64(w.Tokens), float64(w.Sampled)
	var f Figures
	for _, m := range s.dense {
		weights := float64(m.n) * float64(m.k) * float64(m.count)
		f.FLOPs += float64(2 * rows * weights)
		f.Bytes += float64(weights * m.weightBytes)
	}
	if e := s.moe; e.number > 0 && rows > 0 {
		weights := 3 * float64(e.inner) * float64(s.hidden) * float64(e.layers)
		chosen := float64(e.number) * (1 - math.Pow(1-float64(e.perToken)/float64(e.number), rows))
		f.FLOPs += float64(2 * rows * float64(e.perToken) * weights)
		f.Bytes += float64(chosen * weights * e.weightBytes)
	}
	if sampled > 0 {
		head := float64(s.head.n) * float64(s.head.k)
		f.FLOPs += float64(2 * sampled * head)
		f.Bytes += float64(head * s.head.weightBytes)
	}
	perPair := 4 * float64(s.heads*s.headDim) * float64(s.layers)
	perToken := s.kvBytes * float64(s.layers)
	f.FLOPs += float64(perPair * float64(w.DecodeContext))
	f.Bytes += float64(perToken * float64(w.DecodeContext))
	for _, c := range w.Chunks {
		f.FLOPs += float64(perPair * float64(pairs(int64(c.Tokens), int64(c.Context), 0)))
		f.Bytes += float64(perToken * float64(c.Tokens+c.Context))
	}
	return f
}

// Utilization returns the shares of the datasheet's arithmetic peak (MFU) and bandwidth that a step reaches in the
// time that the GPU computes it.
func (t Timer) Utilization(w *engine.Work) (flops, bandwidth float64) {
	seconds := t.GPU(w).Seconds()
	if seconds <= 0 {
		return 0, 0
	}
	f, g := t.Figures(w), t.kernels.gpu
	return f.FLOPs / seconds / t.kernels.peak(), f.Bytes / seconds / g.Bandwidth
}

// peak is the arithmetic peak of the kernels that multiply by the model's weights.
func (k *kernels) peak() float64 {
	if len(k.shape.dense) == 0 {
		return k.gpu.PeakBF16
	}
	_, top := k.gemm(k.shape.dense[0].class)
	return top
}
