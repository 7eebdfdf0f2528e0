package sim

import (
	"fmt"

	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// maxSamples bounds the gauge samples that a run keeps: beyond it every other one goes and the distance doubles.
const maxSamples = 2048

// recorder turns events into the Run.
type recorder struct {
	run    *record.Run
	index  []int32        // 1 + position in run.Requests, by request ID
	thrown []units.Tokens // by position: computed tokens that the last preemption threw away
	done   int
	last   units.Time

	every units.Span // between samples
	next  units.Time
}

// maxID bounds request IDs, which index a slice.
const maxID = 1 << 30

func (c *recorder) sent(q workload.Request, now units.Time) error {
	if q.ID < 0 || q.ID > maxID {
		return fmt.Errorf("sim: request ID %d, want 0 to %d", q.ID, maxID)
	}
	for q.ID >= len(c.index) {
		c.index = append(c.index, 0)
	}
	if c.index[q.ID] != 0 {
		return fmt.Errorf("sim: request ID %d was sent twice", q.ID)
	}
	if len(c.run.Requests) == 0 {
		c.run.Start = q.At
	}
	c.run.Requests = append(c.run.Requests, record.Record{
		ID: q.ID, Stage: q.Stage, Replica: q.Replica, Intended: q.At, Sent: now,
		Admitted: units.Never, First: units.Never, Last: units.Never, Prompt: q.Prompt, Outcome: failure.Unknown,
	})
	c.thrown = append(c.thrown, 0)
	c.index[q.ID] = int32(len(c.run.Requests))
	return nil
}

func (c *recorder) at(id int) (*record.Record, int) {
	k := int(c.index[id]) - 1
	return &c.run.Requests[k], k
}

func (c *recorder) rejected(id int, err error) {
	r, _ := c.at(id)
	r.Outcome, r.Detail = failure.Rejected, err.Error()
	c.done++
}

// event notes one event; it returns the request's ID when its answer is complete.
func (c *recorder) event(e *engine.Event) (int, bool) {
	if e.Kind == engine.Step {
		if e.Count > 0 {
			c.run.Gaps.Add(e.Gap, int64(e.Count))
		}
		c.last = max(c.last, e.Seen, e.At)
		return 0, false
	}
	r, k := c.at(int(e.Request))
	switch e.Kind {
	case engine.Admitted:
		r.Admitted, r.Cached = e.At, e.Tokens
	case engine.Preempted:
		r.Preemptions++
		c.run.Engine.Preemptions++
		c.thrown[k] = e.Tokens
	case engine.Resumed:
		again := max(0, c.thrown[k]-e.Tokens)
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
		c.done++
		return r.ID, true
	}
	return 0, false
}

// sample notes an engine's gauges now and then.
func (c *recorder) sample(replica int, now units.Time, g engine.Gauge) {
	if now < c.next {
		return
	}
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
	e := &c.run.Engine
	c.run.End = max(c.run.End, c.run.Start)
	span := c.run.End.Sub(c.run.Start).Seconds()
	for i := range replicas {
		g := replicas[i].Gauge()
		e.Steps += g.Steps
		e.BusyTime += g.Busy
		e.Queries += g.Queries
		e.Hits += g.Hits
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
