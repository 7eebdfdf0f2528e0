package engine

import (
	"slices"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Update takes a step's result. Regular tokens of decodes are only counted, in the batch; the outputs are the others, and
// the ends.
func (a *aggregate) Update(b *Batch) []Output {
	a.outputs = a.outputs[:0]
	a.processed = b.Number
	a.taken++
	for _, r := range b.stale {
		r.output++
		a.outputs = append(a.outputs, Output{ID: r.ID, Number: r.output, regular: true, mark: &r.mark})
	}
	a.leave(b.Number)
	a.leaving = a.leaving[:0]
	for a.ending.len() > 0 && a.ending.front().at <= b.Number {
		if e := a.ending.pop(); e.valid() {
			a.leaving = append(a.leaving, e)
		}
	}
	if a.stops.len() > 0 {
		a.stopped(b)
	}
	for _, e := range a.leaving {
		a.end(e)
	}
	for _, s := range b.singles {
		if s.final && s.r.state != isGone {
			a.sampled(b, s.r)
		}
	}
	return a.outputs
}

// stopped adds those whose stop token this step sampled to the leaving ones, in the order of their rows.
func (a *aggregate) stopped(b *Batch) {
	n := len(a.leaving)
	for e, ok := a.stops.due(b.Number); ok; e, ok = a.stops.due(b.Number) {
		a.leaving = append(a.leaving, e)
	}
	if len(a.leaving) > n {
		slices.SortFunc(a.leaving, func(x, y end) int { return int(x.seq - y.seq) })
	}
}

// end tells a decode's end. If a stop token ended it, it was scheduled once more since: those rows are void.
func (a *aggregate) end(e end) {
	r := e.r
	o := Output{ID: r.ID, Number: r.MaxTokens, Reason: Length, regular: true, mark: &r.mark}
	if r.StopAt > 0 && r.StopAt <= r.MaxTokens {
		o.Number, o.Reason = r.StopAt, Stop
	}
	a.outputs = append(a.outputs, o)
	a.drop(r)
	a.finish(r)
}

// sampled is the first token of a stay: r's prompt, or its recomputation, is complete.
func (a *aggregate) sampled(b *Batch, r *member) {
	o := Output{ID: r.ID, mark: &r.mark}
	if r.state == inQueue { // preempted since: the token counts, nothing else does
		r.output++
		o.Number = r.output
	} else {
		o.Number = r.first + 1
	}
	switch {
	case r.StopAt > 0 && o.Number == r.StopAt:
		o.Reason = Stop
	case o.Number == r.MaxTokens:
		o.Reason = Length
	}
	a.outputs = append(a.outputs, o)
	if o.Reason != NotFinished {
		if r.state != inQueue {
			a.drop(r)
		}
		a.finish(r)
	}
}

// drop voids r's rows in the steps in flight.
func (a *aggregate) drop(r *member) {
	for i := a.taken; i < a.begun; i++ {
		if f := a.flight(i); f.Number > r.k0 && f.Number <= r.last && f.Number < r.cut {
			f.dropped++
			f.stale = slices.DeleteFunc(f.stale, func(o *member) bool { return o == r })
		}
	}
}

// finish ends a request that is running, or waits after a preemption.
func (a *aggregate) finish(r *member) {
	if r.state == inQueue {
		a.waiting.remove(func(o *member) bool { return o == r })
		a.blocked = false
	} else {
		if r.state == inPrompt {
			a.partial = nil
		}
		a.vacate(r, a.calls, false)
	}
	r.state = isGone
	a.unsent = true
	a.graves.push(grave{r, a.calls})
}

// Abort removes a request and frees its blocks at once; false if it is not here (any more).
func (a *aggregate) Abort(id RequestID) bool {
	r := a.find(id)
	if r == nil {
		gone := a.queued.remove(id)
		a.unsent = a.unsent || gone
		return gone
	}
	a.drop(r)
	a.finish(r)
	return true
}

// find looks for a request among those that were admitted or tried; nil if it is none of them.
func (a *aggregate) find(id RequestID) *member {
	for _, r := range a.order {
		if r != nil && r.ID == id {
			return r
		}
	}
	for i := range a.waiting.len() {
		if r := a.waiting.at(i); r.ID == id {
			return r
		}
	}
	return nil
}

func (a *aggregate) HasWork() bool   { return a.Unfinished() > 0 || a.unsent }
func (a *aggregate) Unfinished() int { return a.running + a.Waiting() }
func (a *aggregate) Waiting() int    { return a.waiting.len() + a.queued.len() }
func (a *aggregate) now() (running, waiting int, used units.Blocks) {
	return a.running, a.Waiting(), a.cfg.NumBlocks - 1 - units.Blocks(a.free.free)
}

func (a *aggregate) Counters() Counters {
	c := a.stats
	c.Evictions = a.free.evicts
	return c
}
