package serve

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// A replica is one engine with its clock, its calls and its metrics. Whoever holds the lock moves the engine: the
// connection that submits, the one that hangs up, the scrape, and the driver for what happens by itself.
type replica struct {
	server         *Server
	number         int
	config         engine.Config
	deployment     *deploy.Deployment // resolved
	blockSizeGiven bool
	load           atomic.Int64 // unfinished sequences, for the router

	mu      sync.Mutex
	engine  *engine.Engine
	live    map[engine.RequestID]*sequence
	nextID  engine.RequestID
	due     []engine.Event // happened, but clients see it later; in order of Seen
	dueHead int
	planned units.Time // when the driver will look next
	network units.Span // from the front end to the client, both ways; the engine's events leave it out
	metrics engineMetrics
	batch   units.Tokens // tokens that the step being told has brought
	dead    bool

	kick chan struct{}
}

// submit hands a call's sequences to the engine.
func (r *replica) submit(c *call) *refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		return engineDead()
	}
	now := r.server.now()
	r.advance(now)
	c.served = r
	for i := range c.seqs {
		q := &c.seqs[i]
		r.nextID++
		q.id, q.arrival = r.nextID, now
		request := engine.Request{
			ID: q.id, Prompt: units.Tokens(len(q.prompt.ids)), MaxTokens: units.Tokens(q.prompt.maxTokens),
			StopAt: units.Tokens(q.script.tokens), Shared: q.blocks, Priority: c.g.priority, Arrival: now,
		}
		if err := r.engine.Submit(now, request); err != nil {
			// vLLM keeps such a request waiting for ever: its blocks never fit. So does this.
			continue
		}
		r.live[q.id] = q
		if watch := r.server.cfg.Watch; watch != nil {
			watch(Watched{Replica: r.number, Engine: r.config, At: now, Submitted: &request})
		}
	}
	r.advance(now)
	r.rearm()
	return nil
}

// cancel takes a call's unfinished sequences out, as when its client has gone.
func (r *replica) cancel(c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.server.now()
	if !r.dead {
		r.advance(now)
	}
	for i := range c.seqs {
		q := &c.seqs[i]
		if !q.over {
			r.retire(q)
			if !r.dead {
				r.engine.Cancel(now, q.id)
			}
		}
	}
	if !r.dead {
		r.advance(now)
		r.rearm()
	}
}

// retire takes a sequence out of the counts that admission looks at.
func (r *replica) retire(q *sequence) {
	q.over = true
	delete(r.live, q.id)
	r.load.Add(-1)
	r.server.unfinished.Add(-1)
	if !q.started {
		r.server.queuedTokens.Add(-int64(len(q.prompt.ids)))
	}
}

// advance moves the engine to now and tells what clients have seen by then.
func (r *replica) advance(now units.Time) {
	events := r.engine.Advance(now)
	if watch := r.server.cfg.Watch; watch != nil {
		watch(Watched{Replica: r.number, Engine: r.config, At: now, Events: events, Gauge: r.engine.Gauge()})
	}
	r.due = append(r.due, events...)
	for r.dueHead < len(r.due) && r.arrives(&r.due[r.dueHead]) <= now {
		ev := &r.due[r.dueHead]
		r.dueHead++
		switch ev.Kind {
		case engine.Queued, engine.Admitted, engine.Resumed, engine.Preempted, engine.Cancelled:
			r.note(ev) // nobody sees these, so they wait for no one but their turn
		case engine.Step:
			r.metrics.step(r.batch)
			r.batch = 0
		case engine.Finished:
		default:
			end := engine.NotFinished
			if r.dueHead < len(r.due) {
				if next := &r.due[r.dueHead]; next.Kind == engine.Finished && next.Request == ev.Request {
					end = next.Reason
				}
			}
			r.token(ev, end)
		}
	}
	if r.dueHead == len(r.due) {
		r.due, r.dueHead = r.due[:0], 0
	} else if r.dueHead > 4096 {
		r.due = r.due[:copy(r.due, r.due[r.dueHead:])]
		r.dueHead = 0
	}
}

// arrives is when an event is at the client. What clients do not see waits for nothing but its turn.
func (r *replica) arrives(ev *engine.Event) units.Time {
	if ev.Seen == 0 {
		return 0
	}
	return ev.Seen.Add(r.network)
}

// note is for what clients do not see.
func (r *replica) note(ev *engine.Event) {
	q := r.live[ev.Request]
	if q == nil {
		return
	}
	switch ev.Kind {
	case engine.Queued:
		q.queued = ev.At
	case engine.Admitted:
		q.scheduled, q.hits = ev.At, ev.Tokens
	case engine.Preempted:
		q.preempted++
		q.untold++
	}
}

// token is for an output token that clients see now.
func (r *replica) token(ev *engine.Event, end engine.Reason) {
	q := r.live[ev.Request]
	if q == nil {
		return // its client has gone
	}
	q.tokens = int(ev.Tokens)
	r.batch++
	if q.untold > 0 {
		r.metrics.preemptions += q.untold
		q.untold = 0
	}
	if !q.started {
		q.started, q.first = true, ev.At
		r.server.queuedTokens.Add(-int64(len(q.prompt.ids)))
		r.batch += units.Tokens(len(q.prompt.ids)) - q.hits
		r.metrics.firstToken(q, ev.Seen)
	} else {
		r.metrics.nextToken(ev.At.Sub(q.last))
	}
	q.last = ev.At
	switch end {
	case engine.Stop:
		q.finish = stopped
	case engine.Length:
		q.finish = lengthReached
	}
	if q.finish != going {
		r.retire(q)
		r.metrics.finished(q, ev.Seen)
	}
	q.call.push(q)
}

// next is when something happens by itself.
func (r *replica) next() units.Time {
	if r.dead {
		return units.Never
	}
	next := units.Never
	if t, ok := r.engine.Next(); ok {
		next = t
	}
	if r.dueHead < len(r.due) {
		next = min(next, r.arrives(&r.due[r.dueHead]))
	}
	return next
}

// rearm wakes the driver if something happens before it means to look.
func (r *replica) rearm() {
	if r.next() < r.planned {
		select {
		case r.kick <- struct{}{}:
		default:
		}
	}
}

// kill is the death of the engine: every call ends with an error.
func (r *replica) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = true
	for _, q := range r.live {
		r.retire(q)
		q.call.fail(engineDead())
	}
}

// abortAll ends every sequence with what it has, as a server does that shuts down.
func (r *replica) abortAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		return
	}
	now := r.server.now()
	r.advance(now)
	for _, id := range slices.Sorted(maps.Keys(r.live)) {
		q := r.live[id]
		q.finish = aborted
		r.retire(q)
		r.engine.Cancel(now, id)
		r.metrics.finished(q, now)
		q.call.push(q)
	}
	r.advance(now)
	r.rearm()
}

// alive says whether the engine still runs.
func (r *replica) alive() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.dead
}
