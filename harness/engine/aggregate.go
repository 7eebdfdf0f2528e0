package engine

import (
	"math"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// aggregate decides exactly what Scheduler decides, for the common configurations in which all decodes advance by one
// token each step, without looking at each of them in each step: a step costs as much as what changes in it.
//
// The call counter is the decodes' clock. A request that ended its prompt in call k0 with c0 tokens known will have
// computed c0 + k − k0 tokens after call k, wants a new block in calls of one phase modulo the block size, and is
// complete after a call that is known from the start. So the decodes are held as a number, a sum, a count for each phase
// and an agenda of ends.
type aggregate struct {
	cfg       Config
	depth     int // steps that may be in flight
	budget    units.Tokens
	free      *freeList
	members   seats
	order     []seat // running, in order of admission; nobody where one has left
	running   int
	waiting   fifo[seat] // those that were admitted before, or tried; they go before those in queued
	queued    backlog
	blocked   bool // the head of waiting does not get in before somebody leaves
	partial   seat // the one running request that is still in its prompt; it is the last
	calls     int
	processed int
	unsent    bool
	admitted  int64

	decodes int
	base    int64   // Σ c0 − k0 over the decodes
	phases  []int32 // decodes that need a block in calls ≡ i modulo the block size
	ends    agenda  // last calls of decodes
	stops   agenda  // calls after which a stop token ends a request, which nobody can foresee
	ending  fifo[end]
	leaving []end

	steps   [3]Batch // in turn: two may be in flight while a third's result is told
	begun   int      // steps …
	taken   int      // … and their results: those between are in flight
	graves  fifo[grave]
	hits    []hit
	runs    []run // the sequence of textOf
	textOf  seat  // whoever was looked up or registered last
	outputs []Output
	stats   Counters
}

// state is where a member stands.
type state uint8

const (
	inQueue  state = iota
	inPrompt       // running, part of the prompt to come
	inDecode       // running, counted in the aggregates
	inLast         // running, last token scheduled, not counted any more
	isGone
)

// member is one request in the aggregate's hands.
type member struct {
	seat
	Request
	mark
	progress
	extents []int32 // its leading blocks, as far as they are registered and somebody may hit them
}

// progress is how far a member has come.
type progress struct {
	state     state
	share     int // leading full blocks that consist of shared text
	output    units.Tokens
	computed  units.Tokens // while inPrompt
	cached    int          // blocks in extents
	plain     int          // further blocks, while inPrompt
	preempted int
	place     int // in order
	seq       int64

	k0, last, cut int // first and last call of this stay that samples; calls from cut on do not have it
	c0            units.Tokens
	first         units.Tokens // output tokens before call k0
	phase         int          // calls of this phase modulo the block size need a block
	epoch         int
}

// grave is an ended member that steps up to call may still refer to; after them it is used again.
type grave struct {
	seat
	call int
}

// aggregates says whether aggregate can serve this configuration.
func (c Config) aggregates() bool {
	return c.Policy == FCFS && c.LongPrefillTokenThreshold == 0 && !c.LongPrefillTokenThresholdAdaptive &&
		c.PipelineParallelSize == 1 && c.PrefillScheduleInterval == 1 && !c.EveryToken &&
		min(c.MaxNumBatchedTokens, c.MaxNumScheduledTokens) >= units.Tokens(c.MaxNumSeqs)
}

func newAggregate(cfg Config) *aggregate {
	a := &aggregate{
		cfg: cfg, depth: 1, budget: min(cfg.MaxNumBatchedTokens, cfg.MaxNumScheduledTokens),
		free: newFreeList(int(cfg.NumBlocks)-1, cfg), phases: make([]int32, cfg.BlockSize),
	}
	a.ends.members, a.stops.members = &a.members, &a.members
	if cfg.AsyncScheduling {
		a.depth = 2
	}
	return a
}

func (a *aggregate) add(q Request) { a.queued.push(q, 0) }

// head is the waiting request that is tried next; there is one.
func (a *aggregate) head() *member {
	if a.waiting.len() == 0 {
		q, _ := a.queued.pop()
		a.waiting.push(a.member(q))
	}
	return a.members.at(*a.waiting.front())
}

// member takes a request out of the mass.
func (a *aggregate) member(q Request) seat {
	var k seat
	if a.graves.len() > 0 && a.graves.front().call <= a.processed {
		if k = a.graves.pop().seat; k == a.textOf {
			a.textOf = nobody
		}
	} else {
		k = a.members.add()
	}
	r := a.members.at(k)
	r.Request = q
	r.mark, r.progress = mark{}, progress{epoch: r.epoch + 1}
	r.extents = r.extents[:0]
	r.MaxTokens = min(q.MaxTokens, a.cfg.MaxModelLen-q.Prompt)
	if a.cfg.EnablePrefixCaching {
		var shared units.Tokens
		for _, g := range q.Shared {
			shared += g.Len
		}
		r.share = int(shared / a.cfg.BlockSize)
	}
	r.k0, r.last, r.cut = math.MaxInt, math.MaxInt, math.MaxInt
	return k
}

// Schedule decides the next step.
func (a *aggregate) Schedule() *Batch {
	a.calls++
	a.unsent = false
	if len(a.order) > 64 && a.running < len(a.order)/2 {
		a.order = slices.DeleteFunc(a.order, func(k seat) bool { return k == nobody })
		for i, k := range a.order {
			a.members.at(k).place = i
		}
	}
	a.leave(a.calls - 1)
	for e, ok := a.ends.due(a.calls); ok; e, ok = a.ends.due(a.calls) {
		a.ending.push(e)
	}
	b := a.newBatch()
	need := int(a.phases[a.calls%len(a.phases)])
	ok := true
	if need <= a.free.free {
		a.free.take(need)
	} else {
		ok = a.scarce(b)
	}
	b.decodes = a.decodes
	left := a.budget - units.Tokens(a.decodes)
	if a.partial != nobody && ok && left > 0 {
		p := a.members.at(a.partial)
		n := min(p.tokens()-p.computed, left)
		if a.roomFor(p, n, b) {
			a.chunk(b, p, n)
			left -= n
		}
	}
	if len(b.Preempted) == 0 {
		if a.blocked = false; a.Waiting() > 0 {
			a.admit(b, left)
		}
	}
	a.commit(b)
	return b
}

func (r *member) tokens() units.Tokens { return r.Prompt + r.output }

// leave takes those whose last token was scheduled in call x or before out of the decodes.
func (a *aggregate) leave(x int) {
	for i := range a.ending.len() {
		e := a.ending.at(i)
		if e.at > x {
			return
		}
		if r := a.members.at(e.seat); r.stays(&e) && r.state == inDecode {
			a.uncount(r)
			r.state = inLast
		}
	}
}

func (a *aggregate) count(r *member) {
	a.decodes++
	a.base += int64(r.c0) - int64(r.k0)
	a.phases[r.phase]++
}

func (a *aggregate) uncount(r *member) {
	a.decodes--
	a.base -= int64(r.c0) - int64(r.k0)
	a.phases[r.phase]--
}

// scarce is the running pass when not every decode that needs a block can have one: in order, each takes a block or has
// others preempted for it, the last admitted first; false if that came to the request itself, which ends the pass.
func (a *aggregate) scarce(b *Batch) bool {
	now := a.calls % len(a.phases)
	for i, served := 0, 0; served < int(a.phases[now]); i++ {
		r := a.members.at(a.order[i]) // nobody decodes nothing
		if r.state != inDecode || r.phase != now {
			continue
		}
		for a.free.free < 1 {
			v := a.youngest()
			a.preempt(b, v)
			if v == r {
				return false
			}
		}
		a.free.take(1)
		served++
	}
	return true
}

// roomFor says whether there are blocks for n more prompt tokens of p. If not, p, which is the last in running, goes.
func (a *aggregate) roomFor(p *member, n units.Tokens, b *Batch) bool {
	if a.blocksFor(p.computed+n)-p.cached-p.plain <= a.free.free {
		return true
	}
	a.preempt(b, p)
	return false
}

func (a *aggregate) youngest() *member {
	for k := len(a.order) - 1; ; k-- {
		if r := a.order[k]; r != nobody {
			return a.members.at(r)
		}
		a.order = a.order[:k]
	}
}

func (a *aggregate) blocksFor(n units.Tokens) int {
	return int(units.CeilDiv(min(n, a.cfg.MaxModelLen), a.cfg.BlockSize))
}

// known is the number of output tokens that were processed.
func (a *aggregate) known(r *member) units.Tokens {
	if r.state == inPrompt || r.state == inQueue || a.processed < r.k0 {
		return r.output
	}
	return r.first + units.Tokens(min(a.processed, r.last)-r.k0+1)
}

// preempt frees all blocks of a running request and puts it at the head of the waiting queue. What it has in flight will
// be delivered all the same.
func (a *aggregate) preempt(b *Batch, r *member) {
	p := Preemption{ID: r.ID, Computed: r.computed}
	switch {
	case r.state == inPrompt:
		a.partial = nobody
	default:
		r.output, r.cut = a.known(r), a.calls
		s := min(a.calls-1, r.last)
		p.Computed = r.c0 + units.Tokens(s-r.k0)
		if a.processed >= r.k0 {
			p.mark = &r.mark
		}
		for i := a.taken; i < a.begun; i++ {
			if f := a.flight(i); f.Number > r.k0 && f.Number < r.last {
				f.stale = append(f.stale, r.seat)
			}
		}
	}
	a.vacate(r, a.calls-1, true)
	r.state, r.computed = inQueue, 0
	r.preempted++
	a.stats.Preemptions++
	b.Preempted = append(b.Preempted, p)
	a.waiting.pushFront(r.seat)
}

// vacate takes r out of running and frees its blocks; call is the last one that may have scheduled it. If its text may
// be asked for again, blocks that are cached stay findable.
func (a *aggregate) vacate(r *member, call int, keep bool) {
	if r.state == inDecode {
		a.uncount(r)
	}
	held, reg := r.cached+r.plain, r.computed
	if r.state != inPrompt {
		s := min(call, r.last)
		held = a.blocksFor(r.c0 + units.Tokens(s-r.k0))
		reg = r.c0 + units.Tokens(max(0, max(min(a.processed, r.last), s-a.depth+1)-r.k0))
	}
	full := int(reg / a.cfg.BlockSize)
	if !a.cfg.EnablePrefixCaching {
		full = 0
	}
	if keep || r.Open {
		a.register(r, full)
	}
	hashed := max(0, full-r.cached)
	a.free.release(r.extents, hashed, held-r.cached-hashed)
	r.extents, r.plain, r.cached = r.extents[:0], 0, 0
	a.order[r.place] = nobody
	a.running--
	a.blocked = false
}

// commit enters the new decodes and sums up the work.
func (a *aggregate) commit(b *Batch) {
	w := &b.Work
	w.Decodes, w.DecodeContext = b.decodes, units.Tokens(a.base+int64(a.decodes)*int64(a.calls))
	w.Tokens, w.Sampled, w.Finishing = units.Tokens(b.decodes), b.decodes, 0
	w.Admitted, w.Running = len(b.Admitted), a.running
	for i := range a.ending.len() {
		if e := a.ending.at(i); e.at == a.calls && a.members.at(e.seat).stays(&e) {
			w.Finishing++
		}
	}
	w.Chunks = w.Chunks[:0]
	for _, s := range b.singles {
		r := a.members.at(s.seat)
		w.Tokens += s.n
		if s.n == 1 {
			w.Decodes++
			w.DecodeContext += r.computed
		} else {
			w.Chunks = append(w.Chunks, Chunk{Tokens: s.n, Context: r.computed - s.n})
		}
		if !s.final {
			continue
		}
		w.Sampled++
		if r.state == inDecode {
			a.count(r)
			a.ends.push(end{at: r.last, seq: r.seq, epoch: r.epoch, seat: r.seat})
		} else {
			w.Finishing++
		}
	}
	b.Waiting, b.Free = a.Waiting(), units.Blocks(a.free.free)
	a.begun++
}

// flight is the i-th step that was begun, if it is one of the last three.
func (a *aggregate) flight(i int) *Batch { return &a.steps[i%len(a.steps)] }

func (a *aggregate) newBatch() *Batch {
	b := a.flight(a.begun)
	b.Number = a.calls
	b.Admitted = b.Admitted[:0] // one by one: then no pointer is written
	b.Preempted = b.Preempted[:0]
	b.singles = b.singles[:0]
	b.stale = b.stale[:0]
	b.decodes, b.dropped = 0, 0
	return b
}
