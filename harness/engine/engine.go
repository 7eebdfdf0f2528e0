package engine

import (
	"fmt"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// idleSleep is how long vLLM's core loop sleeps when a turn had nothing to execute but requests remain.
const idleSleep = units.Millisecond

// Engine is a Scheduler with a clock: a front end that takes requests in and hands tokens out, a core loop that
// schedules and updates, and a GPU that computes. Each does one thing at a time, in order. With async scheduling the
// core schedules the next step while the GPU computes, at most one step ahead (one a pipeline stage).
//
// Time moves when Advance is told so. Submit and Cancel are facts of the instant they name, which must not lie before
// the last Advance.
type Engine struct {
	cfg   Config
	s     core
	timer StepTimer
	every bool
	depth int // steps that may be in flight

	now      units.Time
	front    frontEnd
	core     units.Time // the core loop takes its next turn then, or waits for a step's result
	gpu      units.Time // the GPU is busy until then
	waitsFor bool       // core is when the oldest step's result is there
	answered bool       // an answer was completed since Run was called
	executed bool       // the last turn of the core loop had something to compute
	intake   backlog    // until the front end is through with them
	flight   flight     // begun, and their results to come
	cancels  []RequestID

	turn     int        // processed steps with output
	lastSeen units.Time // when clients saw the tokens of the last of them
	gauge    Gauge
	alike    Batch // coast's: the next of its steps
	events   []Event
}

// core decides what a step computes. Scheduler looks at every request in every step and is the reference; aggregate
// looks at what changes and must agree with it in every event and gauge.
type core interface {
	add(Request)
	Abort(RequestID) bool
	HasWork() bool
	Unfinished() int
	Schedule() *Batch
	Update(*Batch) []Output
	markOf(*Output) *mark
	now() (running, waiting int, used units.Blocks)
	Counters() Counters
}

// New returns an idle engine with an empty cache.
func New(cfg Config, timer StepTimer) (*Engine, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if timer == nil {
		return nil, fmt.Errorf("engine: no StepTimer")
	}
	e := &Engine{cfg: cfg, timer: timer, every: cfg.EveryToken, depth: cfg.PipelineParallelSize, core: units.Never}
	e.intake.arrivals = cfg.Policy == Priority
	if !cfg.Reference && cfg.aggregates() {
		e.s = newAggregate(cfg)
	} else {
		e.s = newScheduler(cfg)
	}
	if cfg.AsyncScheduling {
		e.depth++
	}
	e.flight.ring = make([]*Batch, max(3, e.depth))
	return e, nil
}

// Submit tells that a request reached the front end at this instant. An error means that it can never be served and
// was not taken.
func (e *Engine) Submit(at units.Time, r Request) error {
	if at < e.now {
		panic(fmt.Sprintf("engine: Submit at %v, after Advance to %v", at, e.now))
	}
	if err := e.cfg.check(r); err != nil {
		return err
	}
	busy, awaits := e.timer.Intake(r.Prompt)
	ready := e.front.take(at, busy, awaits)
	e.intake.push(r, ready)
	if e.core == units.Never {
		e.core = ready
	}
	return nil
}

// Cancel tells that the client of a request went away. The core learns of it before it takes the next step's result,
// or at its next turn; a Cancelled event follows if the request was still there.
func (e *Engine) Cancel(at units.Time, id RequestID) {
	e.cancels = append(e.cancels, id)
	if e.core == units.Never {
		e.core = max(at, e.now)
	}
}

// Next returns the instant at which something happens by itself; false when the engine is idle.
func (e *Engine) Next() (units.Time, bool) { return e.core, e.core != units.Never }

// Advance moves the clock and returns what happened, in order. Events carry the instant at which the core had done
// its part, which may lie a little after to: the part began before it. The slice is valid until the next call.
func (e *Engine) Advance(to units.Time) []Event {
	e.run(to, false)
	if to != units.Never {
		e.now = max(e.now, to)
	}
	return e.events
}

// manyEvents is when Run comes back though no answer is complete.
const manyEvents = 1 << 14

// Run is Advance up to the first answer that is complete, so that a client may react to it, or up to some thousand
// events: the clock stands there.
func (e *Engine) Run(to units.Time) []Event {
	e.run(to, true)
	return e.events
}

func (e *Engine) run(to units.Time, untilAnswer bool) {
	e.events = e.events[:0]
	e.answered = false
	for e.core <= to && e.core != units.Never && !(untilAnswer && (e.answered || len(e.events) >= manyEvents)) {
		switch {
		case e.waitsFor:
			e.now = max(e.now, e.core)
			e.takeResult()
		case e.coast(to):
		default:
			e.now = max(e.now, e.core)
			e.takeTurn()
		}
	}
}

// takeTurn is one iteration of the core loop, up to where it waits for a result.
func (e *Engine) takeTurn() {
	t := e.core
	e.drain(t)
	if len(e.cancels) > 0 {
		e.applyCancels(t)
	}
	e.executed = false
	if !e.s.HasWork() {
		e.measure(t)
		if e.flight.n > 0 {
			e.await(t)
			return
		}
		e.core = units.Never
		if e.intake.len() > 0 {
			e.core = e.intake.next()
		}
		return
	}
	b := e.s.Schedule()
	e.note(t, b)
	e.measure(t)
	e.timer.Step(&b.Work, &b.cost)
	done, end := b.cost.launch(t, e.gpu)
	e.executed = b.Work.Tokens > 0
	if e.executed {
		b.end, e.gpu = end, end
		e.gauge.Busy += b.cost.GPU
		e.gauge.Steps++
	} else {
		b.end = max(done, e.gpu)
	}
	e.flight.push(b)
	if e.flight.n < e.depth && (e.executed || e.s.HasWork()) {
		e.core = e.rest(done)
		return
	}
	e.await(done)
}

// await puts the core to sleep until the oldest step in flight is done.
func (e *Engine) await(from units.Time) {
	e.waitsFor = true
	e.core = max(from, e.flight.oldest().end)
}

// takeResult processes the oldest step's output and hands the tokens to the front end.
func (e *Engine) takeResult() {
	b := e.flight.pop()
	leave := len(e.cancels) > 0
	if leave {
		e.applyCancels(e.core)
	}
	e.waitsFor = false
	outputs := e.s.Update(b)
	regular := b.decodes - b.dropped
	at := e.core.Add(b.cost.Update)
	if leave || len(outputs) > 0 {
		e.measure(at)
	}
	e.core = e.rest(at)
	if regular > 0 || len(outputs) > 0 {
		e.deliver(at, b, regular, outputs)
	} else if b.Work.Tokens > 0 {
		ev := e.tell(Step, at)
		ev.Steps, ev.Tokens = 1, b.Work.Tokens
	}
}

// rest is when the core takes its next turn: at once, unless the last one found nothing to compute though requests
// remain.
func (e *Engine) rest(t units.Time) units.Time {
	if !e.executed && e.s.Unfinished() > 0 {
		return t.Add(idleSleep)
	}
	return t
}

// deliver turns a step's outputs into events. Tokens whose predecessor came with the step before share one gap and are
// counted; first tokens and those after a longer gap are told one by one.
func (e *Engine) deliver(at units.Time, b *Batch, regular int, outputs []Output) {
	e.turn++
	seen := e.front.hand(at, &b.cost, regular+len(outputs))
	gap := seen.Sub(e.lastSeen)
	for i := range outputs {
		o := &outputs[i]
		m := e.s.markOf(o)
		kind, late := Token, gap
		switch {
		case o.regular: // counted in the batch
		case m.turn == 0:
			kind, late = First, 0
		case m.turn < e.turn-1:
			kind, late = Late, seen.Sub(m.seen)
		default:
			regular++
		}
		if kind != Token || e.every {
			ev := e.tell(kind, at)
			ev.Seen, ev.Request, ev.Tokens, ev.Gap = seen, o.ID, o.Number, late
		}
		if o.Reason != NotFinished {
			e.answered = true
			ev := e.tell(Finished, at)
			ev.Seen, ev.Request, ev.Tokens, ev.Reason = seen, o.ID, o.Number, o.Reason
		}
		m.turn, m.seen = e.turn, seen
	}
	e.lastSeen = seen
	ev := e.tell(Step, at)
	ev.Seen, ev.Steps, ev.Tokens, ev.Gap, ev.Count = seen, 1, b.Work.Tokens, gap, regular
}

// tell adds an event, which the caller completes in its place.
func (e *Engine) tell(kind Kind, at units.Time) *Event {
	n := len(e.events)
	if n == cap(e.events) {
		e.events = slices.Grow(e.events, 64+n)
	}
	e.events = e.events[:n+1]
	ev := &e.events[n]
	*ev = Event{Kind: kind, At: at}
	return ev
}

// drain gives the scheduler all requests that reached the core by now.
func (e *Engine) drain(t units.Time) {
	for e.intake.len() > 0 && e.intake.next() <= t {
		r, _ := e.intake.pop()
		e.s.add(r)
		ev := e.tell(Queued, t)
		ev.Request, ev.Tokens = r.ID, r.Prompt
	}
}

// note tells what a schedule decided.
func (e *Engine) note(t units.Time, b *Batch) {
	for _, p := range b.Preempted {
		if p.mark != nil {
			p.mark.turn, p.mark.seen = e.turn, e.lastSeen
		}
		ev := e.tell(Preempted, t)
		ev.Request, ev.Tokens = p.ID, p.Computed
	}
	for _, a := range b.Admitted {
		kind := Admitted
		if a.Resumed {
			kind = Resumed
		}
		ev := e.tell(kind, t)
		ev.Request, ev.Tokens = a.ID, a.Hits
	}
}

func (e *Engine) applyCancels(t units.Time) {
	for _, id := range e.cancels {
		gone := e.s.Abort(id)
		if !gone {
			gone = e.intake.remove(id)
		}
		if gone {
			ev := e.tell(Cancelled, t)
			ev.Request, ev.Reason = id, Abort
		}
	}
	e.cancels = e.cancels[:0]
}

// measure notes the gauges at an instant at which they may have changed.
func (e *Engine) measure(t units.Time) {
	running, waiting, used := e.s.now()
	e.gauge.Running.set(t, running)
	e.gauge.Waiting.set(t, waiting)
	e.gauge.Used.set(t, int(used))
}

// Gauge returns the state after the last move of the clock.
func (e *Engine) Gauge() Gauge {
	g := e.gauge
	g.Total = e.cfg.NumBlocks - 1
	c := e.s.Counters()
	g.Arriving, g.Preemptions, g.Evictions, g.Queries, g.Hits = e.intake.len(), c.Preemptions, c.Evictions, c.Queries, c.Hits
	return g
}

// flight is steps in order, in a ring. The batches of an aggregate take turns, three of them: then each is in its place
// already, and nothing is written that the garbage collector must know of.
type flight struct {
	ring     []*Batch
	first, n int
}

func (f *flight) oldest() *Batch { return f.ring[f.first] }

func (f *flight) push(b *Batch) {
	i := f.first + f.n
	if i >= len(f.ring) {
		i -= len(f.ring)
	}
	if f.n++; f.ring[i] != b {
		f.ring[i] = b
	}
}

func (f *flight) pop() *Batch {
	b := f.ring[f.first]
	f.n--
	if f.first++; f.first == len(f.ring) {
		f.first = 0
	}
	return b
}

// fifo is a queue that reuses its memory.
type fifo[T any] struct {
	items []T
	head  int
}

func (q *fifo[T]) len() int  { return len(q.items) - q.head }
func (q *fifo[T]) front() *T { return &q.items[q.head] }
func (q *fifo[T]) push(x T) {
	if q.items == nil {
		q.items = make([]T, 0, 16) // a short queue that never empties moves to the front now and then, not each time
	}
	if q.head > 0 && len(q.items) == cap(q.items) && q.head >= len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, x)
}

func (q *fifo[T]) pop() T {
	x := q.items[q.head]
	var zero T
	q.items[q.head] = zero
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return x
}

func (q *fifo[T]) at(i int) T { return q.items[q.head+i] }

func (q *fifo[T]) pushFront(x T) {
	if n := len(q.items); q.head == 0 {
		room := 16 + n
		q.items = slices.Grow(q.items, room)[:room+n]
		copy(q.items[room:], q.items[:n])
		clear(q.items[:min(room, n)])
		q.head = room
	}
	q.head--
	q.items[q.head] = x
}

func (q *fifo[T]) remove(match func(T) bool) bool {
	for i := q.head; i < len(q.items); i++ {
		if match(q.items[i]) {
			q.items = append(q.items[:i], q.items[i+1:]...)
			return true
		}
	}
	return false
}
