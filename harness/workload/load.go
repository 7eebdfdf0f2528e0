package workload

import (
	"errors"
	"fmt"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Load is a Workload: rows that leave when the arrivals say.
type Load struct {
	Rows     Source
	Arrivals Arrivals // nil: a trace or list at its own times, anything else at once
	Seed     uint64
}

// recorded rows have send times of their own, in ascending order.
type recorded interface{ recorded() []units.Time }

// Seeded returns the same load, drawn from another seed.
func (l Load) Seeded(seed uint64) Load { l.Seed = seed; return l }

func (l Load) arrivals() Arrivals {
	if l.Arrivals != nil {
		return l.Arrivals
	}
	switch l.Rows.(type) {
	case recorded, *TraceFile:
		return Replay{}
	}
	return AllAtOnce{}
}

func (l Load) String() string {
	return fmt.Sprintf("%v · %v · seed %d", l.Rows, l.arrivals(), l.Seed)
}

// Validate says what is wrong with the description. Play panics on a load that is not valid.
func (l Load) Validate() error {
	if l.Rows == nil {
		return errors.New("workload: nothing is asked")
	}
	if err := l.Rows.validate(); err != nil {
		return fmt.Errorf("workload: %w", err)
	}
	if err := l.arrivals().validate(); err != nil {
		return fmt.Errorf("workload: arrivals: %w", err)
	}
	_, isTrace := l.Rows.(recorded)
	switch a := l.arrivals().(type) {
	case Replay:
		if _, isFile := l.Rows.(*TraceFile); isFile && a.Jitter > 0 {
			return errors.New("workload: jitter needs all rows of a trace at hand, want it read")
		} else if !isTrace && !isFile {
			return errors.New("workload: replay needs the rows of a trace")
		}
	case Profile:
	case Constant:
		return l.inTime(a.Rate)
	case Poisson:
		return l.inTime(a.Rate)
	case Gamma:
		return l.inTime(a.Rate)
	default:
		if l.Rows.Len() == 0 {
			return fmt.Errorf("workload: requests = 0, want > 0: %v never ends by itself", a)
		}
	}
	return nil
}

// inTime refuses a rate at which the requests would not all leave before time ends.
func (l Load) inTime(rate float64) error {
	switch n := float64(l.Rows.Len()); {
	case n == 0:
		return fmt.Errorf("workload: requests = 0, want > 0: %v never ends by itself", l.arrivals())
	case n/rate > maxSeconds/2:
		return fmt.Errorf("workload: %g requests at %g/s take longer than %.0f days", n, rate, maxSeconds/2/86400)
	}
	return nil
}

// Play returns a fresh client; all clients of a Load do the same.
func (l Load) Play() Player {
	if err := l.Validate(); err != nil {
		panic(err)
	}
	next := l.Rows.rows(l.Seed)
	switch a := l.arrivals().(type) {
	case Closed:
		p := &closedPlayer{next: next, due: make([]units.Time, a.InFlight)}
		p.fetch()
		return p
	case Replay:
		if _, isFile := l.Rows.(*TraceFile); isFile {
			var at units.Time
			row := func() (Request, bool) {
				r, ok := next()
				at = r.At
				return r, ok
			}
			return newOpenPlayer(row, func() (units.Time, bool) { return a.scaled(at), true })
		}
		times := a.times(l.Rows.(recorded).recorded(), l.Seed)
		i := 0
		return newOpenPlayer(next, func() (units.Time, bool) {
			if i >= len(times) {
				return units.Never, false
			}
			i++
			return times[i-1], true
		})
	default:
		return newOpenPlayer(next, newClock(a, l.Seed, l.Rows.Len() > 0))
	}
}

// openPlayer sends at the times of its clock, whatever the server does.
type openPlayer struct {
	next func() (Request, bool)
	tick clock
	req  Request // what leaves next, if ok
	ok   bool
}

func newOpenPlayer(next func() (Request, bool), tick clock) *openPlayer {
	p := &openPlayer{next: next, tick: tick}
	p.fetch()
	return p
}

func (p *openPlayer) fetch() {
	if p.req, p.ok = p.next(); p.ok {
		p.req.At, p.ok = p.tick()
	}
}

func (p *openPlayer) Next() (units.Time, bool) {
	if !p.ok {
		return units.Never, false
	}
	return p.req.At, true
}

func (p *openPlayer) Send() Request {
	if !p.ok {
		panic("workload: Send, but nothing is due")
	}
	r := p.req
	p.fetch()
	return r
}

func (p *openPlayer) Done(int, units.Time) {}

// Reacts says whether what p sends depends on what it is told of answers.
func Reacts(p Player) bool {
	_, open := p.(*openPlayer)
	return !open
}

// closedPlayer sends the next row when an answer is complete.
type closedPlayer struct {
	next func() (Request, bool)
	req  Request
	ok   bool
	due  []units.Time // free seats, by the time they became free; at most as many as may be in flight
}

func (p *closedPlayer) fetch() { p.req, p.ok = p.next() }

func (p *closedPlayer) Next() (units.Time, bool) {
	if !p.ok || len(p.due) == 0 {
		return units.Never, false
	}
	return p.due[0], true
}

func (p *closedPlayer) Send() Request {
	at, ok := p.Next()
	if !ok {
		panic("workload: Send, but nothing is due")
	}
	p.due = p.due[1:]
	r := p.req
	r.At = at
	p.fetch()
	return r
}

// Done keeps due ascending: front ends may report answers slightly out of order.
func (p *closedPlayer) Done(_ int, at units.Time) {
	i := len(p.due)
	for i > 0 && p.due[i-1] > at {
		i--
	}
	p.due = slices.Insert(p.due, i, at)
}
