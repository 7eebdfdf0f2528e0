package engine

import (
	"slices"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Batch is what one call of Schedule decided. It stays valid until it was given to Update.
type Batch struct {
	Number    int // of the Schedule call, from 1
	Admitted  []Admission
	Preempted []Preemption
	Work      Work
	Waiting   int          // requests, right after the schedule
	Free      units.Blocks // likewise
	rows      []row
	cost      Cost       // once the Engine knows it
	end       units.Time // likewise: when the GPU is through with it

	// An aggregate's batch holds its decodes as a number.
	decodes int
	dropped int      // of them, requests that ended before their token came
	stale   []seat   // of them, requests that were preempted meanwhile
	singles []single // prompt chunks
}

type single struct {
	seat
	n     units.Tokens
	final bool // it ends the prompt, so it samples
}

// Admission is a request that entered running.
type Admission struct {
	ID      RequestID
	Hits    units.Tokens // of the prefix cache
	Resumed bool         // after a preemption
}

// Preemption is a request that lost its blocks, and how many computed tokens were thrown away with them.
type Preemption struct {
	ID       RequestID
	Computed units.Tokens
	mark     *mark // set if its last token came with the last step that had output
}

type row struct {
	r       *request
	n       units.Tokens
	samples bool
}

// Rows yields the scheduled requests in order, each with its number of tokens.
func (b *Batch) Rows(yield func(RequestID, units.Tokens) bool) {
	for _, w := range b.rows {
		if !yield(w.r.ID, w.n) {
			return
		}
	}
}

// pass is what is left of a step's budgets, and what holds for the whole of it.
type pass struct {
	tokens, input units.Tokens
	threshold     units.Tokens
	held          bool // no prefill in this step
	prefill       bool // the step carries prefill
}

func (p *pass) take(n units.Tokens) {
	p.tokens -= n
	p.input -= n
}

// Schedule decides the next step: the running requests first, in order, then new ones while budget and memory last.
func (s *Scheduler) Schedule() *Batch {
	s.calls++
	s.unsent = false
	b := s.newBatch()
	p := pass{tokens: s.cfg.MaxNumScheduledTokens, input: s.cfg.MaxNumBatchedTokens, threshold: s.threshold(), held: s.held()}
	s.scheduleRunning(b, &p)
	if len(b.Preempted) == 0 {
		s.admit(b, &p)
		if !p.held {
			s.capacity = s.Waiting() > s.deferred
		}
	}
	s.commit(b, &p)
	return b
}

// threshold is the long prefill threshold that holds in this step; 0 = off.
func (s *Scheduler) threshold() units.Tokens {
	t := s.cfg.LongPrefillTokenThreshold
	if s.cfg.Rules != V033 {
		return t
	}
	n := len(s.running) + s.Waiting()
	if n <= 1 {
		return 0
	}
	if s.cfg.LongPrefillTokenThresholdAdaptive {
		return max(t, s.cfg.MaxNumBatchedTokens/units.Tokens(n))
	}
	return t
}

// held says whether prefill waits in this step, so that prefills come in bursts prefill_schedule_interval apart.
func (s *Scheduler) held() bool {
	if s.cfg.PrefillScheduleInterval <= 1 || s.capacity || s.executed+1-s.prefillAt >= s.cfg.PrefillScheduleInterval {
		return false
	}
	return slices.ContainsFunc(s.running, func(r *request) bool { return !r.chunk })
}

func (s *Scheduler) scheduleRunning(b *Batch, p *pass) {
	for i := 0; i < len(s.running) && p.tokens > 0; {
		r := s.running[i]
		if s.skips(r, p) {
			i++
			continue
		}
		n := r.tokens() + r.expected - r.computed
		if p.threshold > 0 {
			n = min(n, p.threshold)
		}
		n = min(n, p.tokens, p.input, s.cfg.MaxModelLen-1-r.computed)
		if n <= 0 {
			i++
			continue
		}
		if !s.extend(r, n) && !s.preemptFor(r, n, &i, b, p) {
			if s.cfg.Policy == FCFS || s.cfg.Rules != V033 {
				return
			}
			continue // r is gone; the request that stands in its place may still get its blocks
		}
		r.row, r.scheduled = len(b.rows), s.calls
		b.rows = append(b.rows, row{r: r, n: n})
		p.prefill = p.prefill || r.chunk
		p.take(n)
		i++
	}
}

// skips says whether a running request must not be scheduled now.
func (s *Scheduler) skips(r *request, p *pass) bool {
	if r.expected > 0 && r.computed+2-r.expected >= r.Prompt+r.MaxTokens {
		return true // the tokens in flight certainly reach max_tokens
	}
	return s.calls < r.nextDecode || p.held && r.chunk
}

// preemptFor takes blocks from others until r has room for n tokens; false when r itself was preempted. The cursor i
// follows the requests that leave running before it.
func (s *Scheduler) preemptFor(r *request, n units.Tokens, i *int, b *Batch, p *pass) bool {
	for {
		v := len(s.running) - 1
		if s.cfg.Policy == Priority {
			for k, o := range s.running {
				w := s.running[v]
				if d := o.Request.Priority - w.Request.Priority; d > 0 || d == 0 && (o.Arrival > w.Arrival || o.Arrival == w.Arrival && k < v) {
					v = k
				}
			}
		}
		victim := s.running[v]
		s.running = slices.Delete(s.running, v, v+1)
		if v < *i {
			*i--
		}
		if victim.scheduled == s.calls {
			s.unschedule(b, victim, p)
		}
		b.Preempted = append(b.Preempted, Preemption{ID: victim.ID, Computed: victim.computed})
		s.preempt(victim)
		if victim == r {
			return false
		}
		if s.extend(r, n) {
			return true
		}
	}
}

// unschedule takes a victim's tokens back out of the step.
func (s *Scheduler) unschedule(b *Batch, r *request, p *pass) {
	p.take(-b.rows[r.row].n)
	b.rows = slices.Delete(b.rows, r.row, r.row+1)
	for k := r.row; k < len(b.rows); k++ {
		b.rows[k].r.row = k
	}
}

// preempt frees all blocks of a request that just left running and puts it at the head of the waiting queue. What was
// computed is thrown away; what is still in flight will be delivered, but counts for nothing.
func (s *Scheduler) preempt(r *request) {
	s.pool.release(r.blocks)
	r.blocks = r.blocks[:0]
	r.cached, r.computed, r.expected = 0, 0, 0
	r.stale = r.inFlight
	r.running, r.chunk = false, false
	r.preempted++
	s.stats.Preemptions++
	s.waiting.pushFront(r)
}

// admit is the waiting pass: it stops at the first request that does not fit.
func (s *Scheduler) admit(b *Batch, p *pass) {
	var aside []*request
	for p.tokens > 0 && len(s.running) < s.cfg.MaxNumActiveSeqs {
		q := s.head()
		if q == nil {
			break
		}
		r := q.peek()
		if r.stale > 0 {
			aside = append(aside, q.pop())
			continue
		}
		hits := s.lookup(r)
		n := r.tokens() - hits
		if p.threshold > 0 {
			n = min(n, p.threshold)
		}
		if p.held && hits < r.tokens()-1 || !s.cfg.EnableChunkedPrefill && n > p.tokens {
			break
		}
		n = min(n, p.tokens, p.input)
		if n <= 0 || !s.place(r, hits, n) {
			break
		}
		q.pop()
		s.enter(b, p, r, hits, n)
	}
	s.setAside(aside)
}

// head returns the queue whose head is tried next, nil when nothing waits.
func (s *Scheduler) head() *queue {
	switch {
	case s.aside.len() == 0 && s.waiting.len() == 0:
		return nil
	case s.aside.len() == 0:
		return &s.waiting
	case s.waiting.len() == 0 || s.cfg.Policy == FCFS || s.aside.peek().before(s.waiting.peek()):
		return &s.aside
	}
	return &s.waiting
}

// setAside returns requests that could not be tried to the front of their queue, in their order.
func (s *Scheduler) setAside(rs []*request) {
	q := &s.waiting
	if s.cfg.Rules != V033 {
		q = &s.aside
	}
	for i := len(rs) - 1; i >= 0; i-- {
		if !rs[i].deferred {
			rs[i].deferred = true
			s.deferred++
		}
		q.pushFront(rs[i])
	}
}

// enter moves a placed request into running.
func (s *Scheduler) enter(b *Batch, p *pass, r *request, hits, n units.Tokens) {
	if s.cfg.EnablePrefixCaching {
		if r.preempted > 0 {
			s.stats.ResumedRequests++
			s.stats.ResumedQueries += r.tokens()
			s.stats.ResumedHits += hits
		} else {
			s.stats.Requests++
			s.stats.Queries += r.tokens()
			s.stats.Hits += hits
		}
	}
	if r.deferred {
		r.deferred = false
		s.deferred--
	}
	r.running, r.computed = true, hits
	s.running = append(s.running, r)
	r.row, r.scheduled = len(b.rows), s.calls
	b.rows = append(b.rows, row{r: r, n: n})
	b.Admitted = append(b.Admitted, Admission{ID: r.ID, Hits: hits, Resumed: r.preempted > 0})
	p.prefill = p.prefill || hits < r.tokens()-1
	p.take(n)
}

// commit counts the scheduled tokens as computed, before the step has run, and sums up the work.
func (s *Scheduler) commit(b *Batch, p *pass) {
	w := &b.Work
	*w = Work{Admitted: len(b.Admitted), Running: len(s.running), Chunks: w.Chunks[:0]}
	for i := range b.rows {
		r, n := b.rows[i].r, b.rows[i].n
		r.computed += n
		r.inFlight += n
		w.Tokens += n
		known := r.tokens() + r.expected
		r.chunk = r.computed < known
		b.rows[i].samples = !r.chunk
		if !r.chunk {
			w.Sampled++
			if known+1 >= r.Prompt+r.MaxTokens || known+1 >= s.cfg.MaxModelLen {
				w.Finishing++
			}
			if s.cfg.AsyncScheduling {
				r.expected++
				r.nextDecode = s.calls + s.cfg.PipelineParallelSize
			}
		}
		if n == 1 {
			w.Decodes++
			w.DecodeContext += r.computed
		} else {
			w.Chunks = append(w.Chunks, Chunk{Tokens: n, Context: r.computed - n})
		}
	}
	b.Waiting, b.Free = s.Waiting(), s.pool.free
	if w.Tokens > 0 {
		s.executed++
		if p.prefill {
			s.prefillAt = s.executed
		}
	}
}

func (s *Scheduler) newBatch() *Batch {
	var b *Batch
	if k := len(s.batches) - 1; k >= 0 {
		b = s.batches[k]
		s.batches = s.batches[:k]
	} else {
		b = &Batch{}
	}
	b.Number = s.calls
	b.rows, b.Admitted, b.Preempted = b.rows[:0], b.Admitted[:0], b.Preempted[:0]
	return b
}
