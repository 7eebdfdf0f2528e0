package stats

import (
	"slices"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Stream summarizes requests as they end, so that a run need not keep them. Its percentiles are exact up to some hundred
// thousand requests and within 0.1 % beyond. It knows nothing of the order in which requests were sent, so the steady
// window, the drain and the arrivals of its Summary are empty.
type Stream struct {
	method                                                 Method
	sum                                                    Summary
	lagged                                                 bool // a request left later than it was meant to
	ttft, tpot, e2el, queue, serviceTTFT, serviceE2EL, lag record.Gaps
}

// NewStream returns an empty Stream.
func NewStream(m Method) *Stream { return &Stream{method: m} }

// Add counts one request that has ended.
func (c *Stream) Add(r *record.Record) {
	s := &c.sum
	s.Requests++
	if r.Preemptions > 0 {
		s.Preempted++
	}
	c.lag.Add(r.Lag(), 1)
	if !r.Completed() {
		s.Failed++
		s.count(r.Outcome)
		return
	}
	s.Completed++
	s.PromptTokens += r.Prompt
	s.OutputTokens += r.Output
	note := func(to *record.Gaps, v units.Span, ok bool) {
		if ok {
			to.Add(v, 1)
		}
	}
	if r.Lag() != 0 && !c.lagged { // up to here, service times were latencies
		c.lagged, c.serviceTTFT, c.serviceE2EL = true, c.ttft.Clone(), c.e2el.Clone()
	}
	ttft, hasTTFT := r.TTFT()
	e2el, hasE2EL := r.E2EL()
	tpot, hasTPOT := r.TPOT()
	queue, hasQueue := r.Queue()
	note(&c.ttft, ttft, hasTTFT)
	note(&c.e2el, e2el, hasE2EL)
	note(&c.tpot, tpot, hasTPOT)
	note(&c.queue, queue, hasQueue)
	if c.lagged {
		note(&c.serviceTTFT, ttft-r.Lag(), hasTTFT)
		note(&c.serviceE2EL, e2el-r.Lag(), hasE2EL)
	}
}

// Summary closes the stream over the run that the requests belong to.
func (c *Stream) Summary(run *record.Run) Summary {
	s, m := c.sum, c.method
	s.Engine, s.Warnings = run.Engine, run.Warnings
	slices.SortStableFunc(s.Failures, func(a, b Failures) int { return b.Count - a.Count })
	for _, g := range []*record.Gaps{&c.ttft, &c.tpot, &c.e2el, &c.queue, &c.serviceTTFT, &c.serviceE2EL, &c.lag} {
		g.Settle()
	}
	s.TTFT, s.TPOT, s.E2EL, s.Queue, s.Lag = ofOwn(m, &c.ttft), ofOwn(m, &c.tpot), ofOwn(m, &c.e2el), ofOwn(m, &c.queue), ofOwn(m, &c.lag)
	s.ServiceTTFT, s.ServiceE2EL = s.TTFT, s.E2EL
	if c.lagged {
		s.ServiceTTFT, s.ServiceE2EL = ofOwn(m, &c.serviceTTFT), ofOwn(m, &c.serviceE2EL)
	}
	s.ITL = OfGaps(m, run.Gaps)
	s.LongestGap = run.Gaps.Max

	s.Duration = max(0, run.End.Sub(run.Start))
	s.RequestThroughput = rate(s.Completed, s.Duration)
	s.OutputThroughput = rate(int(s.OutputTokens), s.Duration)
	s.TotalThroughput = rate(int(s.PromptTokens+s.OutputTokens), s.Duration)
	if run.Engine.Queries > 0 {
		s.PrefixHitRate = float64(run.Engine.Hits) / float64(run.Engine.Queries)
	}
	return s
}
