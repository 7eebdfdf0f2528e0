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
	for i := range most {
		r.hashTo(i+1, a.cfg.BlockSize)
		e, ok := a.free.cache.find(r.hashes[i])
		if !ok {
			break
		}
		a.hits = append(a.hits, e)
	}
	return units.Tokens(len(a.hits)) * a.cfg.BlockSize
}

// admit is the waiting pass.
func (a *aggregate) admit(b *Batch, left units.Tokens) {
	a.blocked = left > 0
	defer func() { a.blocked = a.blocked && a.waiting.len() > 0 }()
	for left > 0 && a.running < a.cfg.MaxNumActiveSeqs && a.waiting.len() > 0 {
		r := *a.waiting.front()
		hits := a.lookup(r)
		n := r.tokens() - hits
		if !a.cfg.EnableChunkedPrefill && n > left {
			a.blocked = false // it may fit what the next step leaves
			return
		}
		n = min(n, left)
		extra := a.free.inFreeList(a.hits) - len(a.hits)
		if a.running > 0 {
			extra += int(a.cfg.Watermark * float64(a.cfg.NumBlocks))
		}
		if a.cfg.SchedulerReserveFullISL && a.blocksFor(r.tokens())+extra > a.free.free || a.blocksFor(hits+n)+extra > a.free.free {
			return
		}
		a.waiting.pop()
		for _, e := range a.hits {
			a.free.touch(e)
		}
		r.nodes = append(r.nodes[:0], a.hits...)
		r.cached, r.plain, r.computed = len(a.hits), 0, hits
		a.note(r, hits)
		r.state, r.place, r.seq = inPrompt, len(a.order), a.admitted
		a.admitted++
		a.order = append(a.order, r)
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
	need := a.blocksFor(r.computed+n) - len(r.nodes) - r.plain
	a.free.take(need)
	for ; need > 0 && len(r.nodes) < r.share && r.plain == 0; need-- {
		r.nodes = append(r.nodes, a.free.node())
	}
	r.plain += need
	r.computed += n
	if full := min(int(r.computed/a.cfg.BlockSize), len(r.nodes)); full > r.cached {
		r.hashTo(full, a.cfg.BlockSize)
		for ; r.cached < full; r.cached++ {
			a.free.register(r.nodes[r.cached], r.hashes[r.cached])
		}
	}
	s := single{r: r, n: n, final: r.computed == r.tokens()}
	b.singles = append(b.singles, s)
	a.partial = r
	if s.final {
		a.partial = nil
		a.startDecode(r)
	}
}

// startDecode puts r, whose prompt ends in this call, among the decodes of the calls to come.
func (a *aggregate) startDecode(r *member) {
	r.epoch++
	r.k0, r.c0, r.first, r.cut = a.calls, r.computed, r.output, math.MaxInt
	r.last = a.calls + int(r.MaxTokens-r.output) - 1
	r.state = inLast
	if r.last > a.calls {
		r.state = inDecode
	}
	if r.StopAt > 0 && r.StopAt < r.MaxTokens {
		if at := a.calls + int(r.StopAt-r.output) - 1; at > a.calls {
			a.stops.push(end{at: at, seq: r.seq, epoch: r.epoch, r: r})
		}
	}
}
