package memory

import (
	"strings"

	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// A loader lays out the tensors of one rank in the order in which vLLM's model code creates them.
type loader struct {
	a     allocator
	m     catalog.Model
	tp    int
	width units.Bytes // of an element that is not quantized
	quant catalog.Quantization

	machete bool // Hopper's kernel for 4-bit weights
	marlin  bool // the kernel for MXFP4 experts, where Triton's does not run
}

// weightsOf is what one GPU of the stage holds after loading. Column-parallel matrices split their outputs over
// tensor parallel ranks, row-parallel ones their inputs; norms, routers and the rotary table are on every rank.
func weightsOf(d deploy.Deployment, s stage) units.Bytes { return load(d, s, 0).used }

// load lays out the stage's tensors in the given room.
func load(d deploy.Deployment, s stage, room units.Bytes) allocator {
	l := loader{a: allocator{room: room}, m: d.Model, tp: d.Engine.TensorParallelSize, width: width(d.Engine.DType), quant: quantization(d)}
	if d.Version().AtLeast(24, 0) {
		l.a.splitLimit = midSegment
	}
	l.machete = d.GPU.Capability == "9.0"
	l.marlin = !l.machete && !strings.HasPrefix(d.GPU.Capability, "10.")
	m := d.Model
	if s.first || s.last && m.TieWordEmbeddings {
		l.vocabulary()
	}
	if s.first && m.LearnedPositions > 0 {
		l.plain(m.LearnedPositions * m.HiddenSize)
	}
	if s.first && m.VisionParams > 0 {
		l.vision()
	}
	if v := d.Version(); m.MLA != nil && v.AtLeast(12, 0) && !v.AtLeast(25, 0) {
		l.a.take(128 * units.MiB) // of FlashInfer's backend, which takes its workspace when it is looked at, used or not
	}
	for i := range s.layers {
		l.layer(s.from+i, i == 0)
	}
	if s.last {
		l.plain(m.HiddenSize)
		if !m.TieWordEmbeddings {
			l.vocabulary()
		}
	}
	return l.a
}

// quantization is how the deployment's linear layers are stored.
func quantization(d deploy.Deployment) catalog.Quantization {
	if q := d.Model.Quantization; q != nil && q.Method == d.Engine.Quantization {
		return *q
	}
	return catalog.Stored(d.Engine.Quantization)
}

func width(dtype string) units.Bytes {
	if dtype == "float32" {
		return 4
	}
	return 2
}

// plain takes n elements that are never quantized.
func (l *loader) plain(n int) { l.a.take(units.Bytes(n) * l.width) }

func (l *loader) vocabulary() { l.plain(padded(l.m.VocabSize, 64) / l.tp * l.m.HiddenSize) }

// padded rounds up to a multiple.
func padded(n, multiple int) int { return units.CeilDiv(n, multiple) * multiple }

// vision takes the encoder as matrices of its width: they are many and small, so their sum is what matters.
func (l *loader) vision() {
	share := int64(l.tp)
	if l.m.Architecture == "Mistral3ForConditionalGeneration" {
		share = 1 // Pixtral's encoder is on every rank
	}
	for left := l.m.VisionParams / share; left > 0; left -= 1 << 22 {
		l.plain(int(min(left, 1<<22)))
	}
}

// linear takes one matrix of a quantizable layer, with its scales and zero points.
func (l *loader) linear(out, in int, bias bool) {
	l.matrix(1, out, in)
	if bias {
		l.plain(out)
	}
}

// matrix takes n matrices that are stored as one tensor.
func (l *loader) matrix(n, out, in int) {
	count := units.Bytes(n) * units.Bytes(out) * units.Bytes(in)
	q := l.quant
	groups := units.Bytes(n) * units.Bytes(out)
	if q.GroupSize > 0 {
		groups = count / units.Bytes(q.GroupSize)
	}
	switch q.Method {
	case "awq", "gptq-int4", "gptq-int8":
		l.a.take(count * units.Bytes(q.Bits) / 8)
		zeros := units.Bytes(q.Bits)
		if l.machete && q.Method == "awq" {
			zeros = 16 // multiplied out when the weights are prepared
		}
		l.a.take(groups * zeros / 8)
		l.a.take(groups * 2)
	case "fp8", "w8a8":
		l.a.take(count)
		l.a.take(groups * 4)
	case "bitsandbytes":
		l.a.take(count * units.Bytes(q.Bits) / 8)
		l.a.take(groups * 4)
	case "mxfp4", "nvfp4":
		l.a.take(count / 2)
		l.a.take(groups)
	default:
		l.a.take(count * l.width)
	}
}

// layer takes one decoder layer. The rotary table is made with the first attention and shared by all.
func (l *loader) layer(index int, first bool) {
	m := l.m
	if m.MLA != nil {
		l.latentAttention()
	} else {
		l.attention()
	}
	if first && m.RotaryPositions > 0 {
		l.plain(m.RotaryPositions * m.RotaryDim)
	}
	if m.QKNorm {
		l.plain(m.HeadDim)
		l.plain(m.HeadDim)
	}
	switch e := m.MoE; {
	case e != nil && index >= e.DenseLayers:
		l.experts(*e)
	default:
		l.mlp(m.IntermediateSize, m.MLPBias)
	}
	l.plain(m.HiddenSize)
	l.plain(m.HiddenSize)
}

func (l *loader) attention() {
	m := l.m
	if l.quant.Method == "mxfp4" || l.quant.MLPOnly {
		defer func(q catalog.Quantization) { l.quant = q }(l.quant)
		l.quant = catalog.Quantization{}
	}
	heads := m.Heads / l.tp
	l.linear((heads+2*max(1, m.KVHeads/l.tp))*m.HeadDim, m.HiddenSize, m.QKVBias)
	l.linear(m.HiddenSize, heads*m.HeadDim, m.OutputBias)
}

// latentAttention takes DeepSeek's: the latent projection is on every rank, and the up projection is kept a second
// time, absorbed into query and output.
func (l *loader) latentAttention() {
	m, a := l.m, *l.m.MLA
	heads := m.Heads / l.tp
	qk := a.NopeHeadDim + a.RopeHeadDim
	if a.QLoRARank > 0 {
		l.linear(a.QLoRARank, m.HiddenSize, false)
		l.linear(heads*qk, a.QLoRARank, false)
		l.plain(a.QLoRARank)
	} else {
		l.linear(heads*qk, m.HiddenSize, false)
	}
	l.linear(a.KVLoRARank+a.RopeHeadDim, m.HiddenSize, false)
	l.plain(a.KVLoRARank)
	l.linear(heads*(a.NopeHeadDim+a.VHeadDim), a.KVLoRARank, false)
	l.linear(m.HiddenSize, heads*a.VHeadDim, false)
}

func (l *loader) mlp(inner int, bias bool) {
	inner /= l.tp
	up := 2 * inner
	if l.m.PlainMLP {
		up = inner
	}
	l.linear(up, l.m.HiddenSize, bias)
	l.linear(l.m.HiddenSize, inner, bias)
}

// rounded is what the kernels of MXFP4 experts make of their sizes: Marlin and Blackwell's as their sources say,
// Hopper's Triton so that logs of gpt-oss-20b and -120b agree.
func (l *loader) rounded(inner, hidden int) (int, int) {
	switch {
	case l.marlin:
		return padded(inner, 128), padded(hidden, 256)
	case l.machete:
		return padded(inner, 256), hidden
	}
	return padded(inner, 256), padded(hidden, 256)
}

func (l *loader) experts(e catalog.MoE) {
	l.plain(e.Experts * l.m.HiddenSize)
	inner, hidden := e.IntermediateSize/l.tp, l.m.HiddenSize
	if l.quant.Method == "mxfp4" {
		inner, hidden = l.rounded(inner, hidden)
	}
	l.matrix(e.Experts, 2*inner, hidden)
	l.matrix(e.Experts, hidden, inner)
	if e.ExpertBias {
		l.plain(e.Experts * 2 * inner)
		l.plain(e.Experts * hidden)
	}
	if e.SharedExperts > 0 {
		l.mlp(e.SharedExperts*e.SharedIntermediateSize, false)
	}
}
