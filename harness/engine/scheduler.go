package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Errors of Submit and Add. Both mean that the request can never be served; a deployment in which a request cannot
// be served is a result, so callers record them.
var (
	ErrPrompt     = errors.New("prompt is empty or leaves no room for an output token within max-model-len")
	ErrNeverFits  = errors.New("request needs more KV blocks than the cache has")
	errDuplicates = errors.New("request ID is in use")
)

// request is one request in the scheduler's hands.
type request struct {
	Request
	text
	mark
	output    units.Tokens // output tokens known to the scheduler
	computed  units.Tokens // leading positions whose KV is, or after the step in flight will be, in the cache
	inFlight  units.Tokens // scheduled in steps whose output was not processed yet
	stale     units.Tokens // of them, those of before a preemption
	expected  units.Tokens // sampled tokens in flight that are not known yet (vLLM: output placeholders)
	blocks    []blockID
	cached    int // how many of blocks are registered in the prefix cache
	preempted int // how often

	nextDecode int // pipeline parallel: not scheduled before this schedule() call
	row        int // index in the batch being scheduled, if scheduledAt is now
	scheduled  int // number of the schedule() call that last took it
	chunk      bool
	running    bool
	deferred   bool // set aside in the waiting queue for another reason than capacity
	finished   bool
}

// mark is when a request's last token came: in which processed step that had output, and when clients saw it.
type mark struct {
	turn int
	seen units.Time
}

func (r *request) tokens() units.Tokens { return r.Prompt + r.output }

// before is the order of the priority policy.
func (r *request) before(o *request) bool {
	if r.Request.Priority != o.Request.Priority {
		return r.Request.Priority < o.Request.Priority
	}
	if r.Arrival != o.Arrival {
		return r.Arrival < o.Arrival
	}
	return r.ID < o.ID
}

// Scheduler decides what each step computes, as vLLM's Scheduler and KVCacheManager do. It knows no time: Engine is a
// Scheduler with a clock, and whoever wants to look at single decisions drives it directly:
//
//	for s.HasWork() {
//		batch := s.Schedule()
//		outputs := s.Update(batch)
//	}
type Scheduler struct {
	cfg      Config
	pool     *pool
	requests map[RequestID]*request
	running  []*request // in order of admission
	waiting  queue
	aside    queue // up to 0.30: deferred requests wait here
	deferred int
	spare    []*request // finished ones, to be used again
	batches  []*Batch

	calls     int  // of Schedule
	unsent    bool // finished requests that the workers were not told of
	executed  int  // steps with tokens
	prefillAt int  // the last of them that carried prefill
	capacity  bool // the last unheld waiting pass ended for want of room
	hits      []blockID
	outputs   []Output
	stats     Counters
}

// Counters are the scheduler's running totals.
type Counters struct {
	Preemptions                 int
	Evictions                   int          // prefix cache: blocks that were handed out while they were cached
	Requests                    int          // prefix cache: admissions counted
	Queries, Hits               units.Tokens // at first admissions
	ResumedRequests             int
	ResumedQueries, ResumedHits units.Tokens // at admissions after a preemption
}

// NewScheduler returns a scheduler with an empty cache.
func NewScheduler(cfg Config) (*Scheduler, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return newScheduler(cfg), nil
}

func newScheduler(cfg Config) *Scheduler {
	s := &Scheduler{
		cfg:      cfg,
		pool:     newPool(cfg.NumBlocks, cfg.EnablePrefixCaching, cfg.Rules == V023),
		requests: make(map[RequestID]*request),
	}
	s.prefillAt = -cfg.PrefillScheduleInterval
	s.waiting.priority = cfg.Policy == Priority
	s.aside.priority = s.waiting.priority
	return s
}

// Add puts a request at the tail of the waiting queue. MaxTokens is clipped to what max-model-len leaves.
func (s *Scheduler) Add(q Request) error {
	if err := s.cfg.check(q); err != nil {
		return err
	}
	if s.requests[q.ID] != nil {
		return fmt.Errorf("request %d: %w", q.ID, errDuplicates)
	}
	s.add(q)
	return nil
}

func (s *Scheduler) add(q Request) {
	if s.requests[q.ID] != nil {
		panic(fmt.Sprintf("engine: two requests %d", q.ID))
	}
	r := s.newRequest()
	r.Request, r.id, r.shared = q, q.ID, q.Shared
	s.requests[q.ID] = r
	s.waiting.push(r)
}

// check says why a request can never be served.
func (c Config) check(q Request) error {
	if q.Prompt < 1 || q.Prompt >= c.MaxModelLen {
		return fmt.Errorf("request %d: prompt = %d tokens, max-model-len %d: %w", q.ID, q.Prompt, c.MaxModelLen, ErrPrompt)
	}
	if q.MaxTokens < 1 {
		return fmt.Errorf("request %d: max_tokens = %d, want > 0: %w", q.ID, q.MaxTokens, ErrPrompt)
	}
	longest := min(q.Prompt+q.MaxTokens-1, c.MaxModelLen-1)
	if need := units.CeilDiv(longest, c.BlockSize); units.Blocks(need) > c.NumBlocks-1 {
		return fmt.Errorf("request %d: %d tokens need %d blocks of %d: %w", q.ID, longest, need, c.NumBlocks-1, ErrNeverFits)
	}
	var shared units.Tokens
	for _, g := range q.Shared {
		shared += g.Len
	}
	if shared > q.Prompt {
		return fmt.Errorf("request %d: %d shared tokens in a prompt of %d: %w", q.ID, shared, q.Prompt, ErrPrompt)
	}
	return nil
}

func (s *Scheduler) newRequest() *request {
	if k := len(s.spare) - 1; k >= 0 {
		r := s.spare[k]
		s.spare = s.spare[:k]
		*r = request{blocks: r.blocks[:0], text: text{hashes: r.hashes[:0]}}
		return r
	}
	return &request{}
}

// Abort removes a request and frees its blocks at once; false if it is not here (any more).
func (s *Scheduler) Abort(id RequestID) bool {
	r := s.requests[id]
	if r == nil {
		return false
	}
	if r.running {
		s.running = slices.DeleteFunc(s.running, func(o *request) bool { return o == r })
	} else {
		s.dequeue(r)
	}
	s.finish(r)
	return true
}

// HasWork says whether vLLM's core loop would call Schedule again: also once more, empty, after the last request.
func (s *Scheduler) HasWork() bool { return len(s.requests) > 0 || s.unsent }

// Unfinished counts the requests that are running or waiting.
func (s *Scheduler) Unfinished() int { return len(s.requests) }

// dequeue takes a waiting request out of whichever queue holds it.
func (s *Scheduler) dequeue(r *request) {
	if !s.waiting.remove(r) {
		s.aside.remove(r)
	}
	if r.deferred {
		r.deferred = false
		s.deferred--
	}
}

// finish frees what r holds. The struct is used again once no step in flight refers to it.
func (s *Scheduler) finish(r *request) {
	s.pool.release(r.blocks)
	r.blocks = r.blocks[:0]
	r.finished, r.running = true, false
	s.unsent = true
	delete(s.requests, r.ID)
	if r.inFlight == 0 {
		s.spare = append(s.spare, r)
	}
}

// Counters returns the running totals.
func (s *Scheduler) Counters() Counters {
	c := s.stats
	c.Evictions = s.pool.evicts
	return c
}

// Waiting counts all waiting requests, Deferred those of them that wait for another reason than capacity.
func (s *Scheduler) Waiting() int  { return s.waiting.len() + s.aside.len() }
func (s *Scheduler) Deferred() int { return s.deferred }

// Running counts the requests that hold a seat.
func (s *Scheduler) Running() int { return len(s.running) }

func (s *Scheduler) now() (running, waiting int, used units.Blocks) {
	used, _ = s.Used()
	return s.Running(), s.Waiting(), used
}

// Used counts blocks that requests hold, of a total that excludes the null block.
func (s *Scheduler) Used() (used, total units.Blocks) {
	total = s.cfg.NumBlocks - 1
	return total - s.pool.free, total
}

// State is a copy of what the scheduler holds, for tests and for looking at single steps.
type State struct {
	Running, Waiting []RequestID
	Deferred         map[RequestID]bool // of Waiting
	Blocks           map[RequestID][]int
	Computed         map[RequestID]int
	Expected         map[RequestID]int // sampled tokens in flight (vLLM: output placeholders)
	Free             []int             // in the order in which blocks will be handed out
	Usage            float64
}

// State copies out the scheduler's state.
func (s *Scheduler) State() State {
	st := State{Deferred: map[RequestID]bool{}, Blocks: map[RequestID][]int{}, Computed: map[RequestID]int{}, Expected: map[RequestID]int{}}
	for _, r := range s.running {
		st.Running = append(st.Running, r.ID)
	}
	for _, r := range append(s.waiting.ordered(), s.aside.ordered()...) {
		st.Waiting = append(st.Waiting, r.ID)
		if r.deferred {
			st.Deferred[r.ID] = true
		}
	}
	for id, r := range s.requests {
		for _, b := range r.blocks {
			st.Blocks[id] = append(st.Blocks[id], int(b))
		}
		st.Computed[id] = int(r.computed)
		st.Expected[id] = int(r.expected)
	}
	st.Free = s.pool.freeList()
	used, total := s.Used()
	st.Usage = float64(used) / float64(total)
	return st
}
