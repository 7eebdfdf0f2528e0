package steptime

import (
	"math"

	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// kernels prices single operators of one shape on one GPU, in seconds. It works in floats and is asked at
// construction alone; the Timer keeps rounded tables of its answers.
type kernels struct {
	shape shape
	flash flash
	gpu   catalog.GPU
	fit   GPU
	bent  [len(bends)]bend
}

func kernelsOf(d deploy.Deployment, fit GPU) kernels {
	s := shapeOf(d)
	k := kernels{shape: s, flash: flashOf(d, &s), gpu: d.GPU, fit: fit}
	for i, r := range bends {
		p := fit.Attention.Overlap
		k.bent[i] = bend{math.Pow(1+math.Pow(r, p), 1/p-1), math.Pow(r, p-1)}
	}
	return k
}

const micro = 1e-6

func (k *kernels) gemm(c kernelClass) (fit *GEMM, peak float64) {
	switch c {
	case fp8:
		if k.gpu.PeakFP8 > 0 {
			return &k.fit.FP8, k.gpu.PeakFP8
		}
		return &k.fit.INT4, k.gpu.PeakBF16 // Marlin: 8-bit weights, 16-bit arithmetic
	case int8:
		return &k.fit.INT8, max(k.gpu.PeakINT8, k.gpu.PeakBF16)
	case int4:
		return &k.fit.INT4, k.gpu.PeakBF16
	}
	return &k.fit.BF16, k.gpu.PeakBF16
}

// multiply is the time of one matrix by rows, once.
func (k *kernels) multiply(w matrix, rows float64) float64 {
	if rows <= 0 {
		return 0
	}
	fit, peak := k.gemm(w.class)
	n, depth := float64(w.n), float64(w.k)
	moved := float64(float64(n*depth)*w.weightBytes) + float64(float64(rows*(n+depth))*2)
	memory := moved / k.gpu.Bandwidth
	compute := float64(2 * rows * n * depth / peak)
	return float64(fit.FixedUS*micro) + blend(memory, compute/k.fit.Sustained)/fit.Efficiency.At(rows)
}

// blend joins the time of memory and that of arithmetic: close to the larger one, more where they are equal,
// because neither hides the other entirely.
func blend(memory, compute float64) float64 {
	return math.Cbrt(float64(memory*memory*memory) + float64(compute*compute*compute))
}

// linear is the time of all matrices of all layers for a step of rows tokens, routed experts included.
func (k *kernels) linear(rows float64) float64 {
	sum := 0.0
	for _, w := range k.shape.dense {
		sum += float64(float64(w.count) * k.multiply(w, rows))
	}
	return sum + k.routed(rows)
}

// routed is the time of the routed experts: every expert that some token chose is read once, and each multiplies
// its own few rows.
func (k *kernels) routed(rows float64) float64 {
	e := k.shape.moe
	if e.number == 0 {
		return 0
	}
	chosen := float64(float64(e.number) * (1 - math.Pow(1-float64(e.perToken)/float64(e.number), rows)))
	perExpert := rows * float64(e.perToken) / chosen
	fit, peak := k.gemm(e.class)
	width := 3 * float64(e.inner) * float64(k.shape.hidden)
	// Beside the weights: the rows that come in, gate and up, their product, what comes out, and the sum over the experts.
	moved := float64(2 * rows * float64(e.perToken) * float64(3*k.shape.hidden+3*e.inner))
	memory := (float64(chosen*width*e.weightBytes) + moved) / k.gpu.Bandwidth
	compute := float64(2 * chosen * perExpert * width / peak)
	layer := float64(2*fit.FixedUS*micro) + blend(memory, compute/k.fit.Sustained)/fit.Efficiency.At(max(1, perExpert))
	return float64(layer * float64(e.layers))
}

// elementwise is the time of norms, rotary embedding, activation and cache writes for a step of rows tokens.
func (k *kernels) elementwise(rows float64) float64 {
	s := &k.shape
	perLayer := float64(8*float64(s.hidden)) + float64(4*float64(s.heads*s.headDim)) + float64(8*float64(s.kvHeads*s.headDim))
	moved := rows * 2 * (float64(float64(s.layers)*perLayer) + float64(3*float64(s.mlpInner)))
	fixed := float64(float64(s.layers) * k.fit.Elementwise.FixedUS * micro)
	return fixed + moved/(k.gpu.Bandwidth*k.fit.Elementwise.Bandwidth)
}

// reduce is the time of a step's all-reduces: two a layer and one for the embedding.
func (k *kernels) reduce(rows float64) float64 {
	s := &k.shape
	if s.gpus < 2 {
		return 0
	}
	fit := k.allReduce(s.gpus)
	moved := float64(4 * rows * float64(s.hidden) * float64(s.gpus-1) / float64(s.gpus))
	once := float64((fit.FixedUS+fit.SkewUS)*micro) + moved/(k.gpu.Interconnect*fit.Bandwidth)
	return float64(once * float64(2*s.layers+1))
}

func (k *kernels) allReduce(gpus int) AllReduce {
	best := AllReduce{GPUs: gpus, Stream: Stream{FixedUS: 15, Bandwidth: 0.5}}
	for _, r := range k.fit.AllReduce { // sorted by GPUs
		best = r
		if r.GPUs >= gpus {
			break
		}
	}
	return best
}

// sample is the time of lm_head, logits and greedy sampling for rows sampled tokens.
func (k *kernels) sample(rows float64) float64 {
	if rows <= 0 {
		return 0
	}
	logits := rows * float64(k.shape.vocab) * 10 // written in 16 bits, read, written and read in 32
	return k.multiply(k.shape.head, rows) + float64(k.fit.Sampling.FixedUS*micro) +
		logits/(k.gpu.Bandwidth*k.fit.Sampling.Bandwidth)
}

// A line is a time that grows with the context: base + slope × tokens, in seconds.
type line struct{ base, slope float64 }

// bends are the ratios of memory time to item time at which decode attention is held to its true curve; between
// them it is the larger of two tangents, so that it stays a sum of integers.
var bends = [...]float64{0, 0.4, 0.8, 1.4, 2.5, 5, math.Inf(1)}

// bend is the curve at one of the bends: how far it lies above the larger time, and how steep it is.
type bend struct{ scale, slope float64 }

// decode returns the tangents of decode attention over all layers for n sequences, as a function of their summed
// context.
func (k *kernels) decode(n float64) [len(bends)]line {
	a, s := &k.fit.Attention, &k.shape
	layers := float64(s.layers)
	items := float64(layers*a.ItemUS*micro) * n * float64(s.kvHeads)
	read := layers * s.kvBytes / (k.gpu.Bandwidth * a.Bandwidth)
	var lines [len(bends)]line
	for i, r := range bends {
		switch {
		case r == 0:
			lines[i] = line{items, 0}
		case math.IsInf(r, 1):
			lines[i] = line{0, read}
		default:
			b := &k.bent[i]
			lines[i] = line{items * b.scale, read * b.scale * b.slope}
		}
	}
	return lines
}

// most is the largest of the tangents at a context.
func most(lines [len(bends)]line, context float64) float64 {
	t := 0.0
	for _, l := range lines {
		t = max(t, l.base+float64(l.slope*context))
	}
	return t
}

// fixedAttention is what the attention kernels of all layers cost apart from their work.
func (k *kernels) fixedAttention() float64 {
	return float64(float64(k.shape.layers) * k.fit.Attention.FixedUS * micro)
}

// pairTime is the time of one pair of query and key of a prompt, over all layers and heads of this GPU.
func (k *kernels) pairTime() float64 {
	flops := 4 * float64(k.shape.heads*k.shape.headDim) * float64(k.shape.layers)
	return flops / (k.gpu.PeakBF16 * k.fit.Attention.Peak)
}

// pairs counts the pairs of query and key of a chunk, with the keys that it only seems to see.
func pairs(tokens, context, extra int64) int64 { return tokens*(context+extra) + tokens*(tokens+1)/2 }

// step is the time of a whole step whose matrices see so many rows.
func (k *kernels) step(w *engine.Work, rows float64) float64 {
	t := k.linear(rows) + k.elementwise(rows) + k.reduce(rows) + k.sample(float64(w.Sampled)) + k.fixedAttention()
	if w.Decodes > 0 {
		decode := most(k.decode(float64(w.Decodes)), float64(w.DecodeContext))
		if f := &k.flash; f.mixed(w) {
			tiles := k.pairTime() * float64(f.pairs(w, int64(k.fit.Attention.ExtraKeys)))
			decode = max(decode*float64(f.reads(w))/float64(f.blocks), tiles)
		}
		t += decode
	}
	for _, c := range w.Chunks {
		t += float64(k.pairTime() * float64(pairs(int64(c.Tokens), int64(c.Context), int64(k.fit.Attention.ExtraKeys))))
	}
	return t
}

// GPUTime is how long one GPU of a deployment computes a step under a profile. It works the step out from its
// operators, without the tables of a Timer: for one question, or for a profile that changes from one to the next.
func GPUTime(d deploy.Deployment, fit GPU, w *engine.Work) units.Span {
	k := kernelsOf(d, fit)
	rows := int(w.Tokens)
	if g := graphsOf(d); rows <= g.largest {
		rows = int(g.padded[rows])
	}
	return units.Seconds(k.step(w, float64(rows)))
}
