package serve

import (
	"sync"

	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// A call is one HTTP request for text while the engine works on it. The replica that serves it pushes what happened,
// the connection's goroutine pulls.
type call struct {
	g      *generation
	seqs   []sequence // by choice: prompt by prompt, n for each
	groups []group    // by prompt
	served *replica

	mu    sync.Mutex
	queue []delivery
	open  int      // sequences that are not finished
	fault *refusal // the engine died, or a limit was met behind the start of a stream
	wake  chan struct{}
}

// A group is the n sequences of one prompt, which some metrics see as one request.
type group struct {
	open    int // sequences that are not finished
	longest int // output tokens of the longest of them
}

// A delivery says that sequence seq has so many tokens now, and whether that was all.
type delivery struct {
	seq    int
	tokens int
	finish finish
}

type finish uint8

const (
	going finish = iota
	stopped
	lengthReached
	aborted
)

// words are as clients and metrics see them.
func (f finish) String() string {
	return [...]string{"", "stop", "length", "abort"}[f]
}

// A sequence is one engine request. Its fields belong to the replica, under its lock, until the call is complete.
type sequence struct {
	call   *call
	index  int
	id     engine.RequestID
	prompt *prompt
	script script
	blocks []units.Segment

	arrival, queued, scheduled units.Time
	first, last                units.Time // token stamps of the core
	hits                       units.Tokens
	tokens                     int
	preempted, untold          int // preemptions in all, and those not yet in the metrics
	started, over              bool
	finish                     finish
}

func newCall(s *Server, g *generation) *call {
	c := &call{g: g, seqs: make([]sequence, len(g.prompts)*g.n), groups: make([]group, len(g.prompts)), wake: make(chan struct{}, 1)}
	for i := range c.groups {
		c.groups[i].open = g.n
	}
	for i := range c.seqs {
		p := &g.prompts[i/g.n]
		c.seqs[i] = sequence{call: c, index: i, prompt: p}
		if i%g.n == 0 {
			c.seqs[i].script = newScript(s.tokenizer, g.stops, p.maxTokens)
			c.seqs[i].blocks = segments(p.ids, s.blockSize, g.salt)
		} else {
			c.seqs[i].script, c.seqs[i].blocks = c.seqs[i-1].script, c.seqs[i-1].blocks
		}
	}
	c.open = len(c.seqs)
	return c
}

// push tells of progress. A call that does not stream hears of ends alone.
func (c *call) push(q *sequence) {
	if !c.g.stream && q.finish == going {
		return
	}
	c.mu.Lock()
	c.queue = append(c.queue, delivery{q.index, q.tokens, q.finish})
	if q.finish != going {
		c.open--
	}
	c.mu.Unlock()
	c.signal()
}

// fail ends the call with an error.
func (c *call) fail(e *refusal) {
	c.mu.Lock()
	if c.open > 0 {
		c.fault, c.open = e, 0
	}
	c.mu.Unlock()
	c.signal()
}

func (c *call) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// pull takes what was pushed, into the memory of the pull before; over says that nothing will follow.
func (c *call) pull(into []delivery) (ds []delivery, over bool, fault *refusal) {
	c.mu.Lock()
	ds, c.queue = c.queue, into[:0]
	over, fault = c.open == 0, c.fault
	c.mu.Unlock()
	return ds, over, fault
}

// segments names a prompt's full blocks so that two prompts share a name exactly where all their tokens up to there
// are the same, under the same salt.
func segments(ids []int, blockSize int, salt string) []units.Segment {
	blocks := len(ids) / blockSize
	if blocks == 0 {
		return nil
	}
	h := uint64(14695981039346656037)
	for i := range len(salt) {
		h = (h ^ uint64(salt[i])) * 1099511628211
	}
	all := make([]units.Segment, blocks)
	for b := range all {
		for _, id := range ids[b*blockSize : (b+1)*blockSize] {
			h = (h ^ uint64(id)) * 0x9e3779b97f4a7c15
			h ^= h >> 29
		}
		all[b] = units.Segment{Source: h, From: units.Tokens(b * blockSize), Len: units.Tokens(blockSize)}
	}
	return all
}
