package engine

import "github.com/testing-symbiote/symbiote/harness/units"

// coast takes turns and results in which nothing changes but the decodes' length: no request comes, goes, or is in its
// prompt, and blocks are there for all. Such a step is a few additions; it does exactly what takeTurn and takeResult would
// do. False if the next turn is not of this kind.
func (e *Engine) coast(to units.Time) bool {
	a, ok := e.s.(*aggregate)
	if !ok || e.flight.len() != e.depth-1 || len(e.cancels) > 0 {
		return false
	}
	last := a.plainUntil()
	if last <= a.calls {
		return false
	}
	arrives := units.Never
	if e.intake.len() > 0 {
		arrives = e.intake.next()
	}
	w := &e.work // not on the stack: the timer is an interface
	*w = Work{Decodes: a.decodes, Tokens: units.Tokens(a.decodes), Sampled: a.decodes, Running: a.running}
	var old flying
	if e.depth > 1 {
		old = *e.flight.front()
	}
	turns := 0
	for ; a.calls < last && e.core <= to && e.core < arrives && turns < manyEvents; turns++ {
		call := a.calls + 1
		need := int(a.phases[call%len(a.phases)])
		if need > a.free.free {
			break
		}
		w.DecodeContext = units.Tokens(a.base + int64(a.decodes)*int64(call))
		cost := e.timer.Step(w)
		done, end := cost.launch(e.core, e.gpu)
		cur := flying{b: old.b, cost: cost, end: end}
		if e.depth == 1 {
			old = cur
		}
		result := max(done, old.end)
		if result > to {
			break
		}
		a.calls = call
		if need > 0 {
			a.free.take(need)
			e.gauge.Used.set(e.core, int(a.cfg.NumBlocks)-1-a.free.free)
		}
		e.gpu = cur.end
		e.gauge.Busy += cost.GPU
		e.gauge.Steps++
		e.now = max(e.now, result)
		e.core = result.Add(old.cost.Update)
		e.turn++
		seen := e.front.hand(e.core, &old.cost, a.decodes)
		e.events = append(e.events, Event{Kind: Step, At: e.core, Seen: seen, Tokens: w.Tokens, Count: a.decodes, Gap: seen.Sub(e.lastSeen)})
		e.lastSeen = seen
		old = cur
	}
	if turns == 0 {
		return false
	}
	e.executed = true
	a.processed = a.calls
	if e.depth > 1 {
		a.processed--
		old.b.Number, old.b.Work, old.b.decodes = a.calls, *w, a.decodes
		*e.flight.front() = old
	}
	return true
}

// plainUntil is the last call up to which nothing changes but the decodes' length, if blocks last.
func (a *aggregate) plainUntil() int {
	if a.partial != nil || a.decodes == 0 || a.Waiting() > 0 && !a.blocked {
		return 0
	}
	for _, f := range a.flights {
		if len(f.singles)+len(f.stale)+f.dropped > 0 || f.decodes != a.decodes {
			return 0
		}
	}
	for a.ending.len() > 0 {
		if a.ending.front().valid() {
			return 0
		}
		a.ending.pop()
	}
	last := int(^uint(0) >> 1)
	for _, h := range []*endHeap{&a.ends, &a.stops} {
		for len(*h) > 0 && !(*h)[0].valid() {
			h.pop()
		}
		if len(*h) > 0 {
			last = min(last, (*h)[0].at-1)
		}
	}
	return last
}
