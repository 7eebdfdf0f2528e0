// Package enginetest holds the laws that any run of an engine keeps, and the script language of its tests.
//
// A Validator knows nothing of how the engine decides: it sees what goes in, the events and the gauges that come out,
// and says which law they break. It runs under every test, fuzz target and suite.
package enginetest

import (
	"errors"
	"fmt"

	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/units"
)

type phase uint8

const (
	arriving phase = iota
	waiting
	running
	preempted
	gone
)

// life is what the events have told of one request.
type life struct {
	engine.Request
	at     units.Time
	phase  phase
	tokens units.Tokens // told one by one
	seen   units.Time
}

// Validator checks a run as it goes.
type Validator struct {
	cfg      engine.Config
	lives    map[engine.RequestID]*life
	at, seen units.Time
	running  int
	live     int
	count    int // Token events since the last Step
	err      error
}

// NewValidator returns a Validator for an engine of this configuration.
func NewValidator(cfg engine.Config) *Validator {
	return &Validator{cfg: cfg, lives: map[engine.RequestID]*life{}}
}

// ErrLaw is what every broken law is.
var ErrLaw = errors.New("a law is broken")

// Err returns the first broken law, nil if none was.
func (v *Validator) Err() error { return v.err }

func (v *Validator) broken(format string, args ...any) {
	if v.err == nil {
		v.err = fmt.Errorf("%w: %s", ErrLaw, fmt.Sprintf(format, args...))
	}
}

// Submitted tells that the engine took a request.
func (v *Validator) Submitted(at units.Time, r engine.Request) {
	if v.lives[r.ID] != nil {
		v.broken("request %d: submitted twice", r.ID)
	}
	v.lives[r.ID] = &life{Request: r, at: at}
	v.live++
}

// Saw checks events in the order in which Advance returned them.
func (v *Validator) Saw(events []engine.Event) {
	for _, e := range events {
		v.event(e)
	}
}

func (v *Validator) event(e engine.Event) {
	if e.At < v.at {
		v.broken("%v of request %d at %v: the clock went back from %v", e.Kind, e.Request, e.At, v.at)
	}
	v.at = e.At
	if e.Seen != 0 {
		if e.Seen < e.At || e.Seen < v.seen {
			v.broken("%v of request %d seen at %v, made at %v, after one seen at %v", e.Kind, e.Request, e.Seen, e.At, v.seen)
		}
		v.seen = e.Seen
	}
	if e.Kind == engine.Step {
		v.step(e)
		return
	}
	l := v.lives[e.Request]
	if l == nil {
		v.broken("%v of request %d, which was never submitted", e.Kind, e.Request)
		return
	}
	if l.phase == gone {
		v.broken("%v of request %d after its end", e.Kind, e.Request)
		return
	}
	v.move(l, e)
}

func (v *Validator) step(e engine.Event) {
	budget := v.cfg.MaxNumBatchedTokens
	if s := v.cfg.MaxNumScheduledTokens; s > 0 {
		budget = min(budget, s)
	}
	if e.Tokens > budget {
		v.broken("a step of %d tokens, max-num-batched-tokens %d", e.Tokens, budget)
	}
	if v.cfg.EveryToken && e.Count != v.count {
		v.broken("a step counts %d regular tokens, %d were told", e.Count, v.count)
	}
	v.count = 0
}

// move applies one event to a request.
func (v *Validator) move(l *life, e engine.Event) {
	want := func(ok bool) {
		if !ok {
			v.broken("request %d: %v while %d (0 arriving, 1 waiting, 2 running, 3 preempted)", l.ID, e.Kind, l.phase)
		}
	}
	switch e.Kind {
	case engine.Queued:
		want(l.phase == arriving && e.At >= l.at)
		l.phase = waiting
	case engine.Admitted, engine.Resumed:
		want(l.phase == waiting && e.Kind == engine.Admitted || l.phase == preempted && e.Kind == engine.Resumed)
		if e.Tokens >= l.Prompt+l.tokens && v.cfg.EveryToken || e.Tokens%v.cfg.BlockSize != 0 {
			v.broken("request %d: %d prefix hits of %d tokens, block-size %d", l.ID, e.Tokens, l.Prompt+l.tokens, v.cfg.BlockSize)
		}
		l.phase = running
		if v.running++; v.running > v.cfg.MaxNumSeqs {
			v.broken("%d requests run, max-num-seqs %d", v.running, v.cfg.MaxNumSeqs)
		}
	case engine.Preempted:
		want(l.phase == running)
		l.phase = preempted
		v.running--
	case engine.First, engine.Late, engine.Token:
		v.token(l, e)
	case engine.Finished, engine.Cancelled:
		v.end(l, e)
	}
}

func (v *Validator) token(l *life, e engine.Event) {
	if l.phase != running && l.phase != preempted {
		v.broken("request %d: a token while not running", l.ID)
	}
	if first := l.tokens == 0; first != (e.Kind == engine.First) || first && e.Tokens != 1 {
		v.broken("request %d: %v, token %d after %d", l.ID, e.Kind, e.Tokens, l.tokens)
	}
	if e.Kind == engine.Token {
		v.count++
	}
	if v.cfg.EveryToken {
		if e.Tokens != l.tokens+1 {
			v.broken("request %d: token %d after %d", l.ID, e.Tokens, l.tokens)
		}
		if e.Kind != engine.First && e.Gap != e.Seen.Sub(l.seen) {
			v.broken("request %d: gap %v between %v and %v", l.ID, e.Gap, l.seen, e.Seen)
		}
	}
	l.tokens, l.seen = e.Tokens, e.Seen
}

func (v *Validator) end(l *life, e engine.Event) {
	if l.phase == running {
		v.running--
	}
	l.phase = gone
	v.live--
	if e.Kind == engine.Cancelled {
		return
	}
	want, reason := min(l.MaxTokens, v.cfg.MaxModelLen-l.Prompt), engine.Length
	if l.StopAt > 0 && l.StopAt <= want {
		want, reason = l.StopAt, engine.Stop
	}
	if e.Tokens != want || e.Reason != reason || v.cfg.EveryToken && l.tokens != want {
		v.broken("request %d: finished with %d tokens (%d told), reason %d; want %d, reason %d", l.ID, e.Tokens, l.tokens, e.Reason, want, reason)
	}
}

// Gauge checks a gauge against what the events so far have told.
func (v *Validator) Gauge(g engine.Gauge) {
	if g.Used.Now < 0 || g.Used.Now > int(g.Total) || g.Total != v.cfg.NumBlocks-1 {
		v.broken("%d of %d blocks used, num_gpu_blocks %d", g.Used.Now, g.Total, v.cfg.NumBlocks)
	}
	if g.Running.Now != v.running {
		v.broken("%d run by the gauge, %d by the events", g.Running.Now, v.running)
	}
	if n := g.Running.Now + g.Waiting.Now + g.Arriving; n != v.live {
		v.broken("%d requests by the gauge, %d by the events", n, v.live)
	}
	if g.Running.Now == 0 && g.Used.Now != 0 {
		v.broken("%d blocks used while nothing runs", g.Used.Now)
	}
}

// Idle checks that nothing is left: every request has had its one end.
func (v *Validator) Idle(g engine.Gauge) {
	v.Gauge(g)
	for id, l := range v.lives {
		if l.phase != gone {
			v.broken("request %d has no end", id)
			return
		}
	}
}
