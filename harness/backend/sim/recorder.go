package sim

import (
	"fmt"
	"math"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// maxSamples bounds the gauge samples that a run keeps: beyond it every other one goes and the distance doubles.
const maxSamples = 2048

// recorder turns events into the Run. It looks up requests by ID in pages, so that what is long over costs nothing, and
// keeps twelve bytes of a request that waits for its admission: of an overloaded server millions do.
type recorder struct {
	run   *record.Run
	each  func(*record.Record) // takes records as they end, instead of keeping them in run
	pages []page
	open  []record.Record // those that were admitted, and, if all are kept, all
	spare []int32         // places in it to be used again
	sends int
	done  int
	vain  int // preemptions since an answer was last complete

	thrown map[engine.RequestID]units.Tokens // what a preemption threw away, until the request is resumed

	every units.Span // between samples
	next  units.Time
}

// page is about 4,096 consecutive IDs; ids is nil when all of them were sent and have ended.
type page struct {
	ids  *ids
	ends int
}

const pageSize = 4096

type ids struct {
	state  [pageSize]int64 // 0 = not sent; below 0: −1 − place in open; above: 1 + when it was sent
	prompt [pageSize]int32 // of those above
}

// maxID bounds request IDs, which index pages.
const maxID = 1 << 40

func (c *recorder) sent(q workload.Request, now units.Time) error {
	if q.ID < 0 || q.ID > maxID {
		return fmt.Errorf("sim: request ID %d, want 0 to %d", q.ID, maxID)
	}
	n := q.ID / pageSize
	for n >= len(c.pages) {
		c.pages = append(c.pages, page{})
	}
	if c.pages[n].ids == nil {
		c.pages[n].ids = &ids{}
	}
	p := c.pages[n].ids
	if p.state[q.ID%pageSize] != 0 {
		return fmt.Errorf("sim: request ID %d was sent twice", q.ID)
	}
	if c.sends == 0 {
		c.run.Start = q.At
	}
	c.sends++
	if c.each != nil && q.At == now && q.Stage == 0 && q.Replica == 0 && q.Prompt <= math.MaxInt32 {
		p.state[q.ID%pageSize], p.prompt[q.ID%pageSize] = int64(now)+1, int32(q.Prompt)
		return nil
	}
	c.begin(p, record.Record{ID: q.ID, Stage: q.Stage, Replica: q.Replica, Intended: q.At, Sent: now, Prompt: q.Prompt})
	return nil
}

// begin gives a request a place in open.
func (c *recorder) begin(p *ids, r record.Record) *record.Record {
	r.Admitted, r.First, r.Last, r.Outcome = units.Never, units.Never, units.Never, failure.Unknown
	k := len(c.open)
	if i := len(c.spare) - 1; i >= 0 {
		k, c.spare = int(c.spare[i]), c.spare[:i]
		c.open[k] = r
	} else {
		if k == cap(c.open) {
			c.open = slices.Grow(c.open, max(someRecords, k/2))
		}
		c.open = append(c.open, r)
	}
	p.state[r.ID%pageSize] = -1 - int64(k)
	return &c.open[k]
}

const someRecords = 256

// of is the record of a request that was sent, until the next one is begun.
func (c *recorder) of(id int) *record.Record {
	p := c.pages[id/pageSize].ids
	s := p.state[id%pageSize]
	if s < 0 {
		return &c.open[-1-s]
	}
	at := units.Time(s - 1)
	return c.begin(p, record.Record{ID: id, Intended: at, Sent: at, Prompt: units.Tokens(p.prompt[id%pageSize])})
}

// ended takes leave of a request.
func (c *recorder) ended(id int) {
	c.done++
	if c.each == nil {
		return
	}
	p := &c.pages[id/pageSize]
	k := int32(-1 - p.ids.state[id%pageSize])
	c.each(&c.open[k])
	c.spare = append(c.spare, k)
	if p.ends++; p.ends == pageSize {
		*p = page{}
	}
}

func (c *recorder) rejected(id int, err error) {
	r := c.of(id)
	r.Outcome, r.Detail = failure.Rejected, err.Error()
	c.ended(id)
}

// event notes one event; it returns the request's ID when its answer is complete.
func (c *recorder) event(e *engine.Event) (int, bool) {
	switch e.Kind {
	case engine.Queued:
		return 0, false
	case engine.Step:
		switch {
		case e.Steps == 1 && e.Count > 0:
			c.run.Gaps.Add(e.Gap, int64(e.Count))
		case e.Count > 0:
			c.run.Gaps.AddRising(e.Gap-e.Rise*units.Span(e.Steps-1), e.Rise, int(e.Steps), int64(e.Count))
		}
		return 0, false
	}
	r := c.of(int(e.Request))
	switch e.Kind {
	case engine.Admitted:
		r.Admitted, r.Cached = e.At, e.Tokens
	case engine.Preempted:
		r.Preemptions++
		c.vain++
		c.run.Engine.Preemptions++
		c.thrown[e.Request] = e.Tokens
	case engine.Resumed:
		again := max(0, c.thrown[e.Request]-e.Tokens)
		delete(c.thrown, e.Request)
		r.Recomputed += again
		c.run.Engine.Recomputed += again
	case engine.First:
		r.First = e.Seen
	case engine.Late:
		r.LongestGap = max(r.LongestGap, e.Gap)
		c.run.Gaps.Add(e.Gap, 1)
	case engine.Finished:
		r.Last, r.Output, r.Outcome = e.Seen, e.Tokens, failure.None
		c.run.End = max(c.run.End, e.Seen)
		id := r.ID
		c.vain = 0
		c.ended(id)
		return id, true
	}
	return 0, false
}

// sample notes an engine's gauges now and then.
func (c *recorder) sample(replica int, now units.Time, e *engine.Engine) {
	if now < c.next {
		return
	}
	g := e.Gauge()
	c.run.Samples = append(c.run.Samples, record.Sample{
		At: now, Replica: replica, Running: g.Running.Now, Waiting: g.Waiting.Now, Usage: float64(g.Used.Now) / float64(g.Total),
	})
	if len(c.run.Samples) >= maxSamples {
		kept := c.run.Samples[:0]
		for i, x := range c.run.Samples {
			if i%2 == 0 {
				kept = append(kept, x)
			}
		}
		c.run.Samples = kept
		c.every = max(2*c.every, now.Sub(c.run.Samples[0].At)/(maxSamples/2))
	}
	c.next = now.Add(c.every)
}

// finish closes the books: engine totals, and means over the time from the first request to the last token.
func (c *recorder) finish(replicas []replica) {
	c.run.Gaps.Settle()
	if c.each == nil {
		c.run.Requests = c.open
	}
	e := &c.run.Engine
	c.run.End = max(c.run.End, c.run.Start)
	span := c.run.End.Sub(c.run.Start).Seconds()
	for i := range replicas {
		g := replicas[i].Gauge()
		e.Steps += g.Steps
		e.BusyTime += g.Busy
		e.Queries += g.Queries
		e.Hits += g.Hits
		e.Evictions += g.Evictions
		e.UsagePeak = max(e.UsagePeak, float64(g.Used.Peak)/float64(g.Total))
		e.RunningPeak = max(e.RunningPeak, g.Running.Peak)
		e.WaitingPeak = max(e.WaitingPeak, g.Waiting.Peak)
		if span > 0 {
			e.RunningMean += g.Running.AreaAt(c.run.End) / span
			e.WaitingMean += g.Waiting.AreaAt(c.run.End) / span
			e.UsageMean += g.Used.AreaAt(c.run.End) / span / float64(g.Total) / float64(len(replicas))
		}
	}
}
