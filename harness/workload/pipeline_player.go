package workload

import (
	"slices"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// pipelinePlayer drives a dispatch as a Player. What the dispatch would do by itself depends on answers that may still
// come, so Next looks ahead on a copy, and only Send and Done move the real one.
type pipelinePlayer struct {
	rows    []Request
	batchOf []int32 // by row, while it is out; else none
	sends   []uint8 // by row, how often it was sent, 255 = more
	tries   []uint8 // by row, how often its request failed since its task began
	real    *dispatch
	ahead   dispatch
	at      units.Time // what Next says, if known
	ok      bool
	known   bool
}

const none = -1

func newPipelinePlayer(p Pipeline) *pipelinePlayer {
	next := p.Rows.rows(p.Seed)
	rows := make([]Request, 0, p.Rows.Len())
	for {
		r, ok := next()
		if !ok {
			break
		}
		rows = append(rows, r)
	}
	n := len(rows)
	return &pipelinePlayer{rows: rows, batchOf: slices.Repeat([]int32{none}, n), sends: make([]uint8, n), tries: make([]uint8, n), real: newDispatch(p)}
}

func (p *pipelinePlayer) Next() (units.Time, bool) {
	if p.known {
		return p.at, p.ok
	}
	d := p.real
	if len(d.events) > 0 && d.events[0].what != rowsLeave {
		p.ahead.copyFrom(d)
		d = &p.ahead
	}
	p.at, p.ok, p.known = units.Never, d.untilRows(), true
	if p.ok {
		p.at = d.events[0].at
	}
	return p.at, p.ok
}

func (p *pipelinePlayer) Send() Request {
	if !p.real.untilRows() {
		panic("workload: Send, but nothing is due")
	}
	p.known = false
	e := &p.real.events[0]
	p.real.account(e.at)
	if p.real.idle.since == units.Never {
		p.real.idle.since = e.at
	}
	p.real.now = max(p.real.now, e.at)
	p.real.actors[e.actor].out++
	r := p.rows[e.from]
	r.At, r.Replica = e.at, int(e.actor)
	p.batchOf[e.from] = e.batch
	p.sends[e.from] += min(1, 255-p.sends[e.from])
	if e.from++; e.from == e.to {
		p.real.events = p.real.events[1:]
	}
	return r
}

func (p *pipelinePlayer) Done(id int, at units.Time) {
	p.known = false
	p.real.upTo(at)
	b := p.batchOf[id]
	if b == none || p.real.stopped() { // nobody waits for it any more
		return
	}
	p.batchOf[id] = none
	p.real.answered(b)
}
