package engine

import "github.com/testing-symbiote/symbiote/harness/units"

// lookup finds the longest cached prefix of r, in s.hits, and returns its length in tokens. At least the last token
// is left to compute, so that there is something to sample from.
func (s *Scheduler) lookup(r *request) units.Tokens {
	s.hits = s.hits[:0]
	most := int((r.tokens() - 1) / s.cfg.BlockSize)
	if r.Cached > 0 && r.preempted == 0 {
		return min(r.Cached/s.cfg.BlockSize, units.Tokens(most)) * s.cfg.BlockSize
	}
	if !s.cfg.EnablePrefixCaching {
		return 0
	}
	for i := range most {
		r.hashTo(i+1, s.cfg.BlockSize)
		b, ok := s.pool.cache.find(r.hashes[i])
		if !ok {
			break
		}
		s.hits = append(s.hits, b)
	}
	return units.Tokens(len(s.hits)) * s.cfg.BlockSize
}

// blocksFor is the number of blocks that hold n tokens of a request.
func (s *Scheduler) blocksFor(n units.Tokens) int {
	return int(units.CeilDiv(min(n, s.cfg.MaxModelLen), s.cfg.BlockSize))
}

// extend gives a running request room for n more tokens, or changes nothing.
func (s *Scheduler) extend(r *request, n units.Tokens) bool {
	need := s.blocksFor(r.computed+n) - len(r.blocks)
	if need > int(s.pool.free) {
		return false
	}
	for range need {
		r.blocks = append(r.blocks, s.pool.take())
	}
	s.register(r, min(r.computed+n, r.tokens()))
	return true
}

// place gives a waiting request the hit blocks of the last lookup and room for n tokens behind them, or changes
// nothing. Unless told otherwise, the whole known sequence must fit at this moment, though no room is kept for it.
func (s *Scheduler) place(r *request, hits, n units.Tokens) bool {
	extra := int(s.pool.inFreeQueue(s.hits)) - len(s.hits)
	if len(s.running) > 0 {
		extra += int(s.cfg.Watermark * float64(s.cfg.NumBlocks))
	}
	if s.cfg.SchedulerReserveFullISL && s.blocksFor(r.tokens())+extra > int(s.pool.free) {
		return false
	}
	need := s.blocksFor(hits + n)
	if need+extra > int(s.pool.free) {
		return false
	}
	for _, b := range s.hits {
		s.pool.touch(b)
		r.blocks = append(r.blocks, b)
	}
	r.cached = len(s.hits)
	for len(r.blocks) < need {
		r.blocks = append(r.blocks, s.pool.take())
	}
	s.register(r, min(hits+n, r.tokens()))
	return true
}

// register makes r's full blocks findable up to so many tokens. It happens when they are scheduled, before they are
// computed: a later request of the same step already hits them.
func (s *Scheduler) register(r *request, upTo units.Tokens) {
	if !s.cfg.EnablePrefixCaching {
		return
	}
	full := int(upTo / s.cfg.BlockSize)
	if full <= r.cached {
		return
	}
	r.hashTo(full, s.cfg.BlockSize)
	for ; r.cached < full; r.cached++ {
		s.pool.register(r.blocks[r.cached], r.hashes[r.cached])
	}
}
