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
	for _, k := range b.stale {
		r := a.members.at(k)
		r.output++
		o := a.output(r)
		o.Number, o.regular = r.output, true
	}
	a.leave(b.Number)
	a.leaving = a.leaving[:0]
	for a.ending.len() > 0 && a.ending.front().at <= b.Number {
		if e := a.ending.pop(); a.members.at(e.seat).stays(&e) {
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
		if r := a.members.at(s.seat); s.final && r.state != isGone {
			a.sampled(b, r)
		}
	}
	return a.outputs
}

// output adds one of r, which the caller completes in its place.
func (a *aggregate) output(r *member) *Output {
	n := len(a.outputs)
	a.outputs = slices.Grow(a.outputs, 1)[:n+1]
	o := &a.outputs[n]
	o.ID, o.Number, o.Reason, o.regular, o.seat = r.ID, 0, NotFinished, false, r.seat
	return o
}

func (a *aggregate) markOf(o *Output) *mark { return &a.members.at(o.seat).mark }

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
	r := a.members.at(e.seat)
	o := a.output(r)
	o.Number, o.Reason, o.regular = r.MaxTokens, Length, true
	if r.StopAt > 0 && r.StopAt <= r.MaxTokens {
		o.Number, o.Reason = r.StopAt, Stop
	}
	a.drop(r)
	a.finish(r)
}

// sampled is the first token of a stay: r's prompt, or its recomputation, is complete.
func (a *aggregate) sampled(b *Batch, r *member) {
	o := a.output(r)
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
			f.stale = slices.DeleteFunc(f.stale, func(k seat) bool { return k == r.seat })
		}
	}
}

// finish ends a request that is running, or waits after a preemption.
func (a *aggregate) finish(r *member) {
	if r.state == inQueue {
		a.waiting.remove(func(k seat) bool { return k == r.seat })
		a.blocked = false
	} else {
		if r.state == inPrompt {
			a.partial = nobody
		}
		a.vacate(r, a.calls, false)
	}
	r.state = isGone
	a.unsent = true
	a.graves.push(grave{r.seat, a.calls})
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
	for _, k := range a.order {
		if r := a.members.at(k); k != nobody && r.ID == id {
			return r
		}
	}
	for i := range a.waiting.len() {
		if r := a.members.at(a.waiting.at(i)); r.ID == id {
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
