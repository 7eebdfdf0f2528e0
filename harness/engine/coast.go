package engine

import "github.com/testing-symbiote/symbiote/harness/units"

// coast takes turns and results in which nothing changes but the decodes' length: no request comes, goes, or is in its
// prompt, and blocks are there for all. It leaves what takeTurn and takeResult would leave, and tells what they would tell.
// Where a result that is awaited is of another kind, it takes the turn alone. False if the next turn is not of this kind.
func (e *Engine) coast(to units.Time) bool {
	a, ok := e.s.(*aggregate)
	if !ok || e.flight.n != e.depth-1 || len(e.cancels) > 0 {
		return false
	}
	plain, last := a.plan()
	if last <= a.calls {
		return false
	}
	g := glide{Engine: e, a: a, next: &e.alike, old: &e.alike, plain: plain, to: to, arrives: units.Never}
	if e.intake.len() > 0 {
		g.arrives = e.intake.next()
	}
	if e.depth > 1 {
		g.old = e.flight.oldest()
	}
	begin := a.calls
	alike := a.alike()
	for most := min(last, begin+manyEvents); a.calls < most && e.core <= to && e.core < g.arrives; {
		g.price()
		if alike && g.leap(most-a.calls) {
			continue
		}
		if done, ok := g.turn(); !ok {
			break
		} else if result := max(done, g.old.end); !alike || result > to {
			g.fly(done)
			break
		} else {
			g.result(result)
		}
	}
	if a.calls == begin {
		return false
	}
	e.executed = true
	if alike {
		a.processed = a.calls - e.flight.n
		if e.depth > 1 {
			g.old.Number = a.processed + 1
		}
	}
	return true
}

// glide is a stretch of such turns.
type glide struct {
	*Engine
	a           *aggregate
	next, old   *Batch     // the step that a turn begins, and the one whose result it takes: with async scheduling the one before
	plain       int        // the last call in which nobody's last token is scheduled
	to, arrives units.Time // results up to here, turns before then
}

// price says what the next step costs: the timer need not be asked if its last answer tells.
func (g *glide) price() {
	a, w, c := g.a, &g.next.Work, &g.next.cost
	context := units.Tokens(a.base + int64(a.decodes)*int64(a.calls+1))
	if a.calls < g.plain && a.decodes == w.Decodes && a.running == w.Running && w.DecodeContext <= context && context <= c.UpTo && w.Finishing == 0 {
		c.GPU += c.PerContext * units.Span(context-w.DecodeContext)
		w.DecodeContext = context
		return
	}
	w.Decodes, w.Tokens, w.Sampled, w.Running = a.decodes, units.Tokens(a.decodes), a.decodes, a.running
	w.DecodeContext, w.Finishing = context, 0
	if a.calls == g.plain {
		w.Finishing = 1
	}
	g.timer.Step(w, c)
}

// turn begins a step and says when the host has; false if a block is missing.
func (g *glide) turn() (done units.Time, ok bool) {
	e, a := g.Engine, g.a
	need := int(a.phases[(a.calls+1)%len(a.phases)])
	if need > a.free.free {
		return 0, false
	}
	a.calls++
	if need > 0 {
		a.free.take(need)
		e.gauge.Used.set(e.core, e.gauge.Used.Now+need)
	}
	done, e.gpu = g.next.cost.launch(e.core, e.gpu)
	g.next.end = e.gpu
	e.gauge.Busy += g.next.cost.GPU
	e.gauge.Steps++
	g.finish()
	return done, true
}

// result takes the result of the step before.
func (g *glide) result(at units.Time) {
	e, a := g.Engine, g.a
	e.turn++
	e.now = max(e.now, at)
	e.core = at.Add(g.old.cost.Update)
	seen := e.front.hand(e.core, &g.old.cost, a.decodes)
	ev := e.tell(Step, e.core)
	ev.Seen, ev.Steps, ev.Tokens, ev.Gap, ev.Count = seen, 1, g.next.Work.Tokens, seen.Sub(e.lastSeen), a.decodes
	e.lastSeen = seen
	g.old.end = g.next.end
	g.old.owe(&g.next.cost)
}

// fly leaves the step that a turn began in flight.
func (g *glide) fly(done units.Time) {
	b := g.a.newBatch()
	b.decodes, b.Work.Tokens, b.end = g.a.decodes, g.next.Work.Tokens, g.next.end
	b.owe(&g.next.cost)
	g.a.begun++
	g.flight.push(b)
	g.await(done)
}

// owe notes of a cost what the result will take; the rest was for the turn.
func (b *Batch) owe(c *Cost) {
	b.cost.Update, b.cost.Deliver, b.cost.Write = c.Update, c.Deliver, c.Write
}

// finish notes whose last token the call just made has scheduled.
func (g *glide) finish() {
	if e, ok := g.a.ends.due(g.a.calls); ok {
		g.a.ending.push(e)
	}
}

// A rhythm is how results follow each other: each gap after the one before, and the gap grows by rise from one to the next.
type rhythm struct {
	first     units.Time
	gap, rise units.Span
}

func (r *rhythm) at(i int) units.Time {
	n := units.Span(i)
	return r.first.Add(n*r.gap + r.rise*(n*(n-1)/2))
}

// until counts the results at or before t, up to most.
func (r *rhythm) until(t units.Time, most int) int {
	if t < r.first {
		return 0
	}
	if r.at(most-1) <= t {
		return most
	}
	few, many := 1, int(min(t.Sub(r.first)/r.gap, units.Span(most)))+1 // so many if nothing rose
	for n := many; few < many; n = (few + many + 1) / 2 {
		if r.at(n-1) <= t {
			few = n
		} else {
			many = n - 1
		}
	}
	return few
}

// rhythm finds the rhythm of the steps to come, if the GPU sets it: with async scheduling the host has the next step ready
// before the GPU is through with the last, without it they take turns, and the launches are hidden. As GPU time does not
// fall meanwhile and nothing else of the cost changes, what holds for the first of these steps holds for all.
func (g *glide) rhythm() (r rhythm, ok bool) {
	e, c, o := g.Engine, &g.next.cost, &g.old.cost
	rise := c.PerContext * units.Span(g.a.decodes)
	host := c.Schedule + c.Launch + c.Update
	if prepared := e.core.Add(c.Schedule); e.depth == 1 {
		r = rhythm{prepared.Add(c.GPU), c.Schedule + c.GPU + rise + c.Update, rise}
		ok = prepared >= e.gpu && c.GPU >= c.Launch
	} else {
		r = rhythm{e.gpu, c.GPU, rise}
		ok = g.old.end == e.gpu && prepared.Add(c.Launch) <= e.gpu && host <= c.GPU &&
			o.Update == c.Update && o.Deliver == c.Deliver && o.Write == c.Write
	}
	return r, ok && r.gap > 0 && e.front.keepsUp(r.first.Add(c.Update), r.gap, c)
}

// leap takes many turns and results at once, at most so many; false if not even one. It comes to exactly what that many calls
// of step come to:
//   - Nothing is decided on the way: the leap ends before a request comes, leaves, or lacks a block.
//   - Where the GPU sets the rhythm, a result comes one step's GPU time after the one before, and that time grows by the
//     same integer each step, up to where the cost says so. So instants are sums of an arithmetic progression.
//   - The front end is through with each step before the next one comes, so clients see each the same time later, and the
//     gaps are that progression.
//
// As each phase has its own number of decodes, blocks are counted phase by phase.
func (g *glide) leap(most int) bool {
	e, a, c, context := g.Engine, g.a, &g.next.cost, g.next.Work.DecodeContext
	if c.UpTo < context || a.calls == g.plain {
		return false
	}
	r, ok := g.rhythm()
	if !ok {
		return false
	}
	if context+units.Tokens((most-1)*a.decodes) > c.UpTo {
		most = int(c.UpTo-context)/a.decodes + 1
	}
	n := r.until(g.to, most)
	if n > 1 && g.arrives < units.Never {
		n = 1 + r.until(g.arrives.Add(-c.Update-1), n-1)
	}
	if n = g.takeBlocks(&r, n); n == 0 {
		return false
	}
	k := units.Span(n)
	busy := k*c.GPU + r.rise*(k*(k-1)/2)
	e.gauge.Busy += busy
	e.gauge.Steps += n
	e.turn += n
	a.calls += n
	result := r.at(n - 1)
	e.now = max(e.now, result)
	if e.gpu = result; e.depth > 1 {
		e.gpu = r.first.Add(busy)
	}
	e.core = result.Add(c.Update)
	g.told(&r, n)
	if g.old.end = e.gpu; a.calls > g.plain {
		g.old.cost.Update += c.UpdateFinished
		g.old.cost.Deliver += c.DeliverFinished
	}
	g.finish()
	return true
}

// takeBlocks takes the blocks of the next n calls, each when its turn comes, and returns for how many there are enough. The
// first call's turn is now, and then one comes after each result, in the rhythm.
func (g *glide) takeBlocks(r *rhythm, n int) int {
	e, a := g.Engine, g.a
	if n = a.lasting(n); n == 0 {
		return 0
	}
	period := len(a.phases)
	phase := (a.calls + 1) % period
	now := int(a.phases[phase])
	var then, gaps, rises int
	first := min(n-1, period)
	for i, pairs := 0, 0; i < first; i++ {
		if phase++; phase == period {
			phase = 0
		}
		k := int(a.phases[phase])
		then, gaps, rises = then+k, gaps+k*i, rises+k*pairs
		pairs += i // so that it is i(i−1)/2
	}
	for i := period; i < min(n-1, 2*period); i++ { // all further calls of a phase
		calls := (n-2-i)/period + 1
		sum, pairs := along(i, period, calls)
		k := int(a.phases[(a.calls+2+i)%period])
		then, gaps, rises = then+k*calls, gaps+k*sum, rises+k*pairs
	}
	if now+then == 0 {
		return n
	}
	a.free.take(now + then)
	var moment wide
	moment.add(uint64(now), uint64(e.core))
	moment.add(uint64(then), uint64(r.first.Add(g.next.cost.Update)))
	moment.add(uint64(gaps), uint64(r.gap))
	moment.add(uint64(rises), uint64(r.rise))
	e.gauge.Used.grow(now+then, moment)
	return n
}

// along returns the sum of i, and that of i(i−1)/2, over n numbers i from some on, a stride apart.
func along(from, stride, n int) (sum, pairs int) {
	m := n * (n - 1) / 2
	sum = n*from + stride*m
	return sum, (n*from*(from-1) + (2*from-1)*stride*m + stride*stride*(m*(2*n-1)/3)) / 2
}

// lasting says for how many of the next n calls there are blocks. In as many calls as a block has tokens each decode takes
// one.
func (a *aggregate) lasting(n int) int {
	if n*a.decodes <= a.free.free {
		return n
	}
	period := len(a.phases)
	whole := a.free.free / a.decodes
	left := a.free.free - whole*a.decodes
	for i := whole * period; i < n; i++ {
		if left -= int(a.phases[(a.calls+1+i)%period]); left < 0 {
			return i
		}
	}
	return n
}

// told tells of n results in a rhythm, as one event, or two if the first one's predecessor was out of it.
func (g *glide) told(r *rhythm, n int) {
	e, tokens := g.Engine, g.next.Work.Tokens
	seen := e.front.hand(e.core, &g.next.cost, g.a.decodes) // it keeps up: what came before left no trace
	delay := seen.Sub(e.core)
	first := r.first.Add(g.next.cost.Update)
	gap, last := first.Add(delay).Sub(e.lastSeen), r.gap+r.rise*units.Span(n-2)
	e.lastSeen = seen
	if n == 1 || gap+r.rise != r.gap {
		ev := e.tell(Step, first)
		ev.Seen, ev.Steps, ev.Tokens, ev.Gap, ev.Count = first.Add(delay), 1, tokens, gap, g.a.decodes
		n--
	}
	if n > 0 {
		ev := e.tell(Step, e.core)
		ev.Seen, ev.Steps, ev.Tokens, ev.Gap, ev.Rise, ev.Count = seen, int32(n), tokens, last, r.rise, g.a.decodes
	}
}

// plan returns the last call up to which nothing changes but the decodes' length, if blocks last, and the one after it if that
// only schedules the last token of one request. They are none if the next call is not of this kind.
func (a *aggregate) plan() (plain, last int) {
	if a.partial != nobody || a.Waiting() > 0 && !a.blocked {
		return 0, 0
	}
	if a.leave(a.calls); a.decodes == 0 {
		return 0, 0
	}
	stop, end := a.stops.next(), a.ends.next()
	plain = min(stop, end) - 1
	if a.depth > 1 && end <= stop && a.ends.alone() {
		return plain, plain + 1
	}
	return plain, plain
}

// alike says whether the results that are still to come are of the same kind as the next call.
func (a *aggregate) alike() bool {
	for a.ending.len() > 0 {
		if e := a.ending.front(); a.members.at(e.seat).stays(e) {
			return false
		}
		a.ending.pop()
	}
	for i := a.taken; i < a.begun; i++ {
		if f := a.flight(i); f.decodes != a.decodes || len(f.singles)+len(f.stale)+f.dropped > 0 {
			return false
		}
	}
	return true
}
