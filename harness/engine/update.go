package engine

import (
	"slices"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Output is one sampled token, and the end of the request if it was the last.
type Output struct {
	ID      RequestID
	Number  units.Tokens // of the token among the request's, from 1
	Reason  Reason
	regular bool  // counted in the batch's decodes, so that only its mark and its end are told
	mark    *mark // valid until the next Add; of an aggregate's outputs the seat is
	seat    seat
}

func (s *Scheduler) markOf(o *Output) *mark { return o.mark }

// Update takes a step's result: one token for each request whose chunk reached the end of what is known of it. The
// batch must be the oldest one not yet given here. The slice is valid until the next call.
func (s *Scheduler) Update(b *Batch) []Output {
	s.outputs = s.outputs[:0]
	left := false
	for i := range b.rows {
		w := &b.rows[i]
		r := w.r
		r.inFlight -= w.n
		if r.finished {
			if r.inFlight == 0 {
				s.spare = append(s.spare, r)
			}
			continue
		}
		stale := r.stale > 0
		if stale {
			r.stale -= w.n
		}
		if !w.samples {
			continue
		}
		r.output++
		if s.cfg.AsyncScheduling && !stale && r.expected > 0 {
			r.expected--
			s.register(r, r.computed-r.inFlight)
		}
		reason := s.stop(r)
		s.outputs = append(s.outputs, Output{ID: r.ID, Number: r.output, Reason: reason, mark: &r.mark})
		if reason != NotFinished {
			if r.running {
				left = true
			} else {
				s.dequeue(r)
			}
			s.finish(r)
		}
	}
	if left {
		s.running = slices.DeleteFunc(s.running, func(r *request) bool { return r.finished })
	}
	s.batches = append(s.batches, b)
	return s.outputs
}

// stop says whether r is complete: a stop token goes before the limits.
func (s *Scheduler) stop(r *request) Reason {
	switch {
	case r.StopAt > 0 && r.output == r.StopAt:
		return Stop
	case r.output >= r.MaxTokens || r.tokens() >= s.cfg.MaxModelLen:
		return Length
	}
	return NotFinished
}
