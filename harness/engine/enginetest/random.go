package enginetest

import (
	"math"
	"math/rand/v2"

	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Named random streams: a new question gets a new one, so that old seeds keep their meaning.
const (
	serverStream = 1
	loadStream   = 2
	sharedStream = 3
)

// RandomServer returns a small server on which much goes wrong: few blocks, few seats, odd budgets.
func RandomServer(seed uint64) engine.Config {
	r := rand.New(rand.NewPCG(seed, serverStream))
	pick := func(l ...int) int { return l[r.IntN(len(l))] }
	chance := func(p float64) bool { return r.Float64() < p }
	c := engine.Config{
		BlockSize:               units.Tokens(pick(1, 4, 8, 16)),
		MaxNumSeqs:              pick(1, 2, 4, 16, 64),
		MaxNumBatchedTokens:     units.Tokens(pick(64, 100, 256, 2048)),
		EnablePrefixCaching:     chance(0.7),
		EnableChunkedPrefill:    chance(0.8),
		SchedulerReserveFullISL: chance(0.7),
		AsyncScheduling:         chance(0.7),
		EveryToken:              true,
	}
	c.MaxModelLen = units.Tokens(pick(32, 64, 200, 500))
	if !c.EnableChunkedPrefill {
		c.MaxNumBatchedTokens = max(c.MaxNumBatchedTokens, c.MaxModelLen)
	}
	fit := units.Blocks(units.CeilDiv(c.MaxModelLen, c.BlockSize))
	c.NumBlocks = fit + 1 + units.Blocks(r.IntN(3*int(fit)+1))
	if chance(0.3) {
		c.Policy = engine.Priority
	}
	if chance(0.2) {
		c.Watermark = 0.05
	}
	if chance(0.2) {
		c.LongPrefillTokenThreshold = units.Tokens(pick(4, 16))
		c.LongPrefillTokenThresholdAdaptive = chance(0.5)
	}
	if c.LongPrefillTokenThreshold > 0 && !c.EnablePrefixCaching {
		// Small chunks admitted one by one, all thrown away at each preemption: vLLM's rules can then preempt for ever.
		c.SchedulerReserveFullISL = true
	}
	if chance(0.2) {
		c.PrefillScheduleInterval = pick(2, 4)
	}
	if chance(0.2) {
		c.Rules = engine.V028
	}
	if chance(0.1) {
		c.PipelineParallelSize = 2
	}
	return c
}

// Sent is one request of a load, and when its client goes away, if it does.
type Sent struct {
	engine.Request
	At     units.Time
	Cancel units.Time // Never = stays
}

// RandomLoad returns requests for that server in order of arrival: bursts and pauses, shared prefixes, stop tokens, a few
// clients that go away.
func RandomLoad(seed uint64, c engine.Config) []Sent {
	r := rand.New(rand.NewPCG(seed, loadStream))
	n := 1 + r.IntN(60)
	load := make([]Sent, 0, n)
	var at units.Time
	for i := range n {
		if r.Float64() < 0.5 {
			at = at.Add(units.Span(r.Int64N(int64(20 * units.Millisecond))))
		}
		q := engine.Request{
			ID:        engine.RequestID(i),
			Prompt:    1 + units.Tokens(r.IntN(int(c.MaxModelLen)-1)),
			MaxTokens: 1 + units.Tokens(r.IntN(40)),
			Arrival:   at,
			Priority:  r.IntN(3),
		}
		if r.Float64() < 0.5 {
			q.Shared = []units.Segment{{Source: uint64(1 + r.IntN(3)), Len: min(q.Prompt, units.Tokens(r.IntN(100)))}}
		}
		if r.Float64() < 0.1 {
			q.StopAt = 1 + units.Tokens(r.IntN(20))
		}
		if r.Float64() < 0.05 {
			q.Cached = units.Tokens(r.IntN(50))
		}
		s := Sent{Request: q, At: at, Cancel: units.Never}
		if r.Float64() < 0.1 {
			s.Cancel = at.Add(units.Span(r.Int64N(int64(100 * units.Millisecond))))
		}
		load = append(load, s)
	}
	return load
}

// Entangle makes prompts of pieces of few texts, as agents' prompts are: they agree for a while, part in the middle of a
// block or at its end, some are copies, some are wholly cached.
func Entangle(seed uint64, c engine.Config, load []Sent) []Sent {
	r := rand.New(rand.NewPCG(seed, sharedStream))
	for i := range load {
		q := &load[i].Request
		if seed%2 == 0 && r.Float64() < 0.2 {
			q.Cached = units.Tokens(r.IntN(int(q.Prompt)))
		}
		if seed%2 == 1 {
			q.MaxTokens = 1 + units.Tokens(r.IntN(120))
		}
		if j := r.IntN(i + 1); r.Float64() < 0.2 && j < i { // again, or a copy of a copy
			q.Prompt, q.Shared = load[j].Prompt, load[j].Shared
			continue
		}
		q.Shared = nil
		at := units.Tokens(0)
		for piece := uint64(0); at < q.Prompt && r.Float64() < 0.9; piece++ {
			n := units.Tokens(1 + r.IntN(40))
			if r.Float64() < 0.7 {
				n = c.BlockSize * units.Tokens(1+r.IntN(5))
			}
			n = min(n, q.Prompt-at)
			g := units.Segment{Source: piece<<8 | uint64(r.IntN(2)), Len: n}
			if r.Float64() < 0.3 { // goes on in the text before
				g = units.Segment{Source: 7, From: at, Len: n}
			}
			q.Shared = append(q.Shared, g)
			at += n
		}
		if r.Float64() < 0.3 { // nothing of its own, maybe whole blocks
			q.Prompt = max(1, at)
		}
	}
	return load
}

// Linear is a step time that is easy to follow: Base, PerToken for each token, and PerContext for each that a decode
// attends to, twice as much beyond Bend of them.
type Linear struct {
	Base, PerToken     units.Span
	PerContext         units.Span
	Bend               units.Tokens // 0 = none
	Schedule, Update   units.Span
	Launch             units.Span
	Deliver, IntakeFor units.Span
	WriteToken         units.Span // to one client
	Finished           units.Span // longer take Update and Deliver for each that finishes
	Awaits             int        // of a request on its way in
}

// Step is the cost of a step.
func (l Linear) Step(w *engine.Work, c *engine.Cost) {
	*c = engine.Cost{Schedule: l.Schedule, Launch: l.Launch, GPU: l.Base + l.PerToken*units.Span(w.Tokens) + l.PerContext*units.Span(w.DecodeContext),
		Update: l.Update + l.Finished*units.Span(w.Finishing), Deliver: l.Deliver + l.Finished*units.Span(w.Finishing),
		Write: l.WriteToken * units.Span(w.Sampled), PerContext: l.PerContext, UpTo: l.Bend, UpdateFinished: l.Finished, DeliverFinished: l.Finished}
	switch beyond := w.DecodeContext - l.Bend; {
	case l.Bend == 0:
		c.UpTo = math.MaxInt
	case beyond > 0:
		c.GPU += l.PerContext * units.Span(beyond)
		c.PerContext, c.UpTo = 2*l.PerContext, math.MaxInt
	}
}

// Intake is the front end's cost of a request.
func (l Linear) Intake(units.Tokens) (units.Span, int) { return l.IntakeFor, l.Awaits }
