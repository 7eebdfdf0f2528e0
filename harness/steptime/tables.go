package steptime

import (
	"slices"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// tabulate rounds what the kernels cost to picoseconds once, so that a step is a few additions of integers.
func (m *model) tabulate(d deploy.Deployment) {
	k := &m.kernels
	seqs := d.Engine.MaxNumSeqs
	if seqs <= 0 {
		seqs = 1024
	}
	tokens := max(d.Engine.MaxNumBatchedTokens, seqs, 2048)
	all := func(rows float64) units.Span {
		return units.Seconds(k.linear(rows) + k.elementwise(rows) + k.reduce(rows))
	}
	m.graphs = graphsOf(d)
	m.rows = make([]units.Span, fine)
	for t := 1; t < fine; t++ {
		if t > m.graphs.largest || int(m.graphs.padded[t]) == t {
			m.rows[t] = all(float64(t))
		}
	}
	m.coarse = make([]units.Span, tokens/coarseStep+2)
	for i := 1; i < len(m.coarse); i++ {
		m.coarse[i] = all(float64(i * coarseStep))
	}
	m.attention = units.Seconds(k.fixedAttention())
	m.kilopairs = units.Seconds(1024 * k.pairTime())
	m.extraKeys = int64(k.fit.Attention.ExtraKeys)
	m.sample, m.decodes = make([]units.Span, seqs+1), make([]decodes, seqs+1)
	for i := range m.decodes[0].pieces {
		m.decodes[0].pieces[i].upTo = endless
	}
	for n := 1; n <= seqs; n++ {
		m.sample[n] = units.Seconds(k.sample(float64(n)))
		m.decodes[n] = decodes{m.linear(n) + m.sample[n] + m.attention, envelope(k.decode(float64(n)))}
	}
}

// envelope is the largest of some lines, given by rising slope, from left to right and in picoseconds: each holds up to
// where a steeper one is larger. The last is repeated.
func envelope(lines [len(bends)]line) (e [len(bends)]piece) {
	var all [len(bends)]piece
	for i, l := range lines {
		all[i] = piece{units.Seconds(l.base), units.Seconds(l.slope), endless}
	}
	at := units.Tokens(0)
	for rest, n := all[:], 0; len(rest) > 0; n++ {
		top := 0
		for i := range rest {
			if rest[i].at(at) >= rest[top].at(at) {
				top = i
			}
		}
		p := rest[top]
		rest = rest[top+1:]
		for i := range rest {
			if l := &rest[i]; l.slope > p.slope {
				p.upTo = min(p.upTo, units.Tokens((p.base-l.base)/(l.slope-p.slope)))
			}
		}
		if e[n] = p; p.upTo == endless {
			for i := n + 1; i < len(e); i++ {
				e[i] = p
			}
			break
		}
		at = p.upTo + 1
	}
	return e
}

func (p *piece) at(context units.Tokens) units.Span { return p.base + p.slope*units.Span(context) }

// graphs are the captured CUDA graphs: the tokens of the one that runs a step of so many tokens.
type graphs struct {
	padded  []int32
	largest int // 0 = none
	full    int // largest padded size that a decode step runs as one graph
}

// graphsOf pads to the sizes that vLLM captures for a deployment.
func graphsOf(d deploy.Deployment) graphs {
	g := graphs{padded: []int32{0}}
	if d.Engine.EnforceEager {
		return g
	}
	sizes := deploy.CaptureSizes(d)
	if len(sizes) == 0 {
		return g
	}
	g.largest, g.full = slices.Max(sizes), deploy.DecodeGraphs(d)
	g.padded = make([]int32, g.largest+1)
	at := 0
	for t := 1; t <= g.largest; t++ {
		for sizes[at] < t {
			at++
		}
		g.padded[t] = int32(sizes[at])
	}
	return g
}

// Step says what one step costs. It allocates nothing.
func (t Timer) Step(w *engine.Work, into *engine.Cost) {
	m, h := t.model, &t.launch
	if w.Tokens == 0 {
		*into = engine.Cost{Schedule: h.scheduleStep}
		return
	}
	into.Deliver = 0
	if w.Sampled > 0 {
		into.Deliver = h.deliverStep + h.deliverToken*units.Span(w.Sampled) + h.deliverFinished*units.Span(w.Finishing)
	}
	into.Schedule, into.Launch, into.Update, into.Write = h.prepare(w), h.launching(w, m.graphs), h.update(w), h.writeToken*units.Span(w.Sampled)
	p := m.piece(w)
	into.GPU, into.PerContext, into.UpTo = m.gpu(w, p), p.slope, p.upTo
	into.UpdateFinished, into.DeliverFinished = h.updateFinished, h.deliverFinished
	if m.kernels.flash.mixed(w) {
		into.PerContext, into.UpTo = 0, 0 // not said
	}
}

// GPU returns how long the GPU computes one step.
func (t Timer) GPU(w *engine.Work) units.Span { return t.gpu(w, t.piece(w)) }

// gpu is GPU, given the piece that holds for the step's decodes.
func (m *model) gpu(w *engine.Work, p *piece) units.Span {
	if n := w.Decodes; w.Tokens == units.Tokens(n) && w.Sampled == n && n < len(m.decodes) {
		return m.decodes[n].alone + p.at(w.DecodeContext)
	}
	return m.linear(int(w.Tokens)) + m.sampling(w.Sampled) + m.attend(w, p)
}

// Intake returns what the front end spends on a request before the scheduler sees it, and how many passes over the
// streams it waits for.
func (t Timer) Intake(prompt units.Tokens) (units.Span, int) {
	return t.launch.intakeRequest + t.launch.intakeToken*units.Span(prompt), t.host.IntakeAwaits
}

// Connection returns what passes between client and front end, both ways, without keeping either busy.
func (t Timer) Connection() units.Span { return t.launch.connection }

// linear returns the time of what depends on the number of tokens alone.
func (m *model) linear(rows int) units.Span {
	if rows <= m.graphs.largest {
		rows = int(m.graphs.padded[rows])
	}
	if rows < fine {
		return m.rows[rows]
	}
	i := rows / coarseStep
	if i+1 >= len(m.coarse) {
		last := len(m.coarse) - 1
		return m.coarse[last] * units.Span(rows) / units.Span(last*coarseStep)
	}
	return m.coarse[i] + (m.coarse[i+1]-m.coarse[i])*units.Span(rows%coarseStep)/coarseStep
}

func (m *model) sampling(rows int) units.Span { return m.sample[min(rows, len(m.sample)-1)] }

// attend returns the time of a step's attention: decodes by their summed context, each chunk of a prompt by its
// pairs of query and key.
func (m *model) attend(w *engine.Work, p *piece) units.Span {
	sum := m.attention
	if w.Decodes > 0 {
		decode := p.at(w.DecodeContext)
		if f := &m.kernels.flash; f.mixed(w) {
			tiles := m.kilopairs * units.Span(f.pairs(w, m.extraKeys)) / 1024
			decode = max(decode*units.Span(f.reads(w))/units.Span(f.blocks), tiles)
		}
		sum += decode
	}
	for _, c := range w.Chunks {
		sum += m.kilopairs * units.Span(pairs(int64(c.Tokens), int64(c.Context), m.extraKeys)) / 1024
	}
	return sum
}

// piece returns the one that holds for a step's decodes, mostly one of the last.
func (m *model) piece(w *engine.Work) *piece {
	e := &m.decodes[min(w.Decodes, len(m.decodes)-1)].pieces
	i := len(e) - 1
	for i > 0 && w.DecodeContext <= e[i-1].upTo {
		i--
	}
	return &e[i]
}
