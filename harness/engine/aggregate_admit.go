package engine

import (
	"math"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// lookup finds the longest cached prefix of r, in a.hits, and returns its length in tokens.
func (a *aggregate) lookup(r *member) units.Tokens {
	a.hits = a.hits[:0]
	most := int((r.tokens() - 1) / a.cfg.BlockSize)
	if r.Cached > 0 && r.preempted == 0 {
		return min(r.Cached/a.cfg.BlockSize, units.Tokens(most)) * a.cfg.BlockSize
	}
	if !a.cfg.EnablePrefixCaching {
		return 0
	}
	if r.preempted == 0 {
		most = min(most, r.share)
	}
	if most == 0 {
		return 0
	}
	n := 0
	a.hits, n = a.free.lookup(a.text(r), most, a.hits)
	return units.Tokens(n) * a.cfg.BlockSize
}

// text is r's sequence; valid until another's is asked for.
func (a *aggregate) text(r *member) []run {
	if a.textOf != r.seat {
		a.textOf, a.runs = r.seat, runsOf(&r.Request, a.runs[:0])
	}
	return a.runs
}

// register makes r's leading blocks findable. Copies of them are cached if hits were forced; else of the first one at
// most: the last block of a known sequence is computed again though it may be cached.
func (a *aggregate) register(r *member, blocks int) {
	if blocks > r.cached {
		forced := r.Cached > 0 && r.preempted == 0
		r.extents = a.free.register(a.text(r), r.cached, blocks, forced, r.extents)
		r.cached = blocks
	}
}

// admit is the waiting pass.
func (a *aggregate) admit(b *Batch, left units.Tokens) {
	a.blocked = left > 0
	defer func() { a.blocked = a.blocked && a.Waiting() > 0 }()
	for left > 0 && a.running < a.cfg.MaxNumActiveSeqs && a.Waiting() > 0 {
		r := a.head()
		hits := a.lookup(r)
		n := r.tokens() - hits
		if !a.cfg.EnableChunkedPrefill && n > left {
			a.blocked = false // it may fit what the next step leaves
			return
		}
		n = min(n, left)
		extra := -a.free.held(a.hits)
		if a.running > 0 {
			extra += int(a.cfg.Watermark * float64(a.cfg.NumBlocks))
		}
		if a.cfg.SchedulerReserveFullISL && a.blocksFor(r.tokens())+extra > a.free.free || a.blocksFor(hits+n)+extra > a.free.free {
			return
		}
		a.waiting.pop()
		r.cached, r.plain, r.computed = 0, 0, hits
		if r.extents = r.extents[:0]; hits > 0 {
			r.extents = a.free.touch(a.hits, r.extents)
			for _, h := range a.hits {
				r.cached += int(h.blocks)
			}
		}
		a.note(r, hits)
		r.state, r.place, r.seq = inPrompt, len(a.order), a.admitted
		a.admitted++
		a.order = append(a.order, r.seat)
		a.running++
		b.Admitted = append(b.Admitted, Admission{ID: r.ID, Hits: hits, Resumed: r.preempted > 0})
		a.chunk(b, r, n)
		left -= n
		a.blocked = left > 0
	}
}

func (a *aggregate) note(r *member, hits units.Tokens) {
	switch {
	case !a.cfg.EnablePrefixCaching:
	case r.preempted > 0:
		a.stats.ResumedRequests++
		a.stats.ResumedQueries += r.tokens()
		a.stats.ResumedHits += hits
	default:
		a.stats.Requests++
		a.stats.Queries += r.tokens()
		a.stats.Hits += hits
	}
}

// chunk schedules n prompt tokens of r, for which there is room.
func (a *aggregate) chunk(b *Batch, r *member, n units.Tokens) {
	need := a.blocksFor(r.computed+n) - r.cached - r.plain
	a.free.take(need)
	r.plain += need
	r.computed += n
	if full := min(int(r.computed/a.cfg.BlockSize), r.share); full > r.cached {
		r.plain -= full - r.cached
		a.register(r, full)
	}
	s := single{seat: r.seat, n: n, final: r.computed == r.tokens()}
	b.singles = append(b.singles, s)
	a.partial = r.seat
	if s.final {
		a.partial = nobody
		a.startDecode(r)
	}
}

// startDecode puts r, whose prompt ends in this call, among the decodes of the calls to come.
func (a *aggregate) startDecode(r *member) {
	r.epoch++
	r.k0, r.c0, r.first, r.cut = a.calls, r.computed, r.output, math.MaxInt
	bs := len(a.phases)
	r.phase = ((r.k0-int(r.c0)+1)%bs + bs) % bs
	r.last = a.calls + int(r.MaxTokens-r.output) - 1
	r.state = inLast
	if r.last > a.calls {
		r.state = inDecode
	}
	if r.StopAt > 0 && r.StopAt < r.MaxTokens {
		if at := a.calls + int(r.StopAt-r.output) - 1; at > a.calls {
			a.stops.push(end{at: at, seq: r.seq, epoch: r.epoch, seat: r.seat})
		}
	}
}
