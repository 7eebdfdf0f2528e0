package workload

import "github.com/testing-symbiote/symbiote/harness/units"

// pipelinePlayer drives a dispatch as a Player. What the dispatch would do by itself depends on answers that may still
// come, so Next looks ahead on a copy, and only Send and Done move the real one.
type pipelinePlayer struct {
	rows    []Request
	batchOf []int32 // by row, while it is out
	real    *dispatch
	ahead   dispatch
	at      units.Time // what Next says, if known
	ok      bool
	known   bool
}

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
	return &pipelinePlayer{rows: rows, batchOf: make([]int32, len(rows)), real: newDispatch(p)}
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
	if e.from++; e.from == e.to {
		p.real.events = p.real.events[1:]
	}
	return r
}

func (p *pipelinePlayer) Done(id int, at units.Time) {
	p.known = false
	p.real.upTo(at)
	p.real.answered(p.batchOf[id])
}
