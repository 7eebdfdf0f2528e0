// Package stats says how a run is summarized: what counts, from when, and which value is a percentile.
//
//	s := stats.Summarize(run)
//	fmt.Println(s.RequestThroughput, s.TTFT.P99)
//
// Latencies count from when a request was meant to be sent, over completed requests; failures are counted beside them.
// Throughput is over the time from the first intended send to the last token. Percentiles are exact.
package stats

import (
	"math"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Summary is a run in figures.
type Summary struct {
	Requests, Completed, Failed int
	Failures                    []Failures // by class, the most frequent first
	Preempted                   int        // requests that were preempted at least once

	PromptTokens, OutputTokens units.Tokens // of completed requests
	Duration                   units.Span   // first intended send to last token
	RequestThroughput          float64      // completed requests a second
	OutputThroughput           float64      // their output tokens a second
	TotalThroughput            float64      // prompt and output tokens a second
	Steady                     Window
	DrainTail                  units.Span // from the last send to the last token

	TTFT, TPOT, ITL, E2EL, Queue Dist
	ServiceTTFT, ServiceE2EL     Dist // the same from when the request really left
	Lag                          Dist // by how much later that was
	LongestGap                   units.Span

	ArrivalRate, ArrivalCV float64 // as achieved: intended sends a second, and how unevenly
	PrefixHitRate          float64 // of the prompt tokens asked of the cache
	Engine                 record.Engine
	Warnings               []string
}

// Failures counts the requests that ended in one way.
type Failures struct {
	Class failure.Class
	Count int
}

// Window is throughput without warm-up and drain: from the completion of the first tenth of the requests to the
// completion of nine tenths. It is empty below 20 completed requests.
type Window struct {
	From, To                                             units.Time
	RequestThroughput, OutputThroughput, TotalThroughput float64
}

// Summarize reads percentiles by nearest rank.
func Summarize(run *record.Run) Summary { return SummarizeBy(NearestRank, run) }

// SummarizeBy reads percentiles by m; Linear is for comparisons with figures that were published that way.
func SummarizeBy(m Method, run *record.Run) Summary {
	c := NewStream(m)
	for _, g := range []*record.Gaps{&c.ttft, &c.tpot, &c.e2el, &c.queue} {
		g.Grow(len(run.Requests))
	}
	for i := range run.Requests {
		c.Add(&run.Requests[i])
	}
	s := c.Summary(run)
	s.Steady = steady(run.Requests, s.Completed)
	s.ArrivalRate, s.ArrivalCV = arrivals(run.Requests)
	if n := len(run.Requests); n > 0 {
		s.DrainTail = max(0, run.End.Sub(run.Requests[n-1].Intended))
	}
	return s
}

func (s *Summary) count(c failure.Class) {
	for i := range s.Failures {
		if s.Failures[i].Class == c {
			s.Failures[i].Count++
			return
		}
	}
	s.Failures = append(s.Failures, Failures{c, 1})
}

func rate(n int, over units.Span) float64 {
	if over <= 0 {
		return 0
	}
	return float64(n) / over.Seconds()
}

func steady(requests []record.Record, completed int) Window {
	if completed < 20 {
		return Window{}
	}
	ends := make([]units.Time, 0, completed)
	for i := range requests {
		if requests[i].Completed() {
			ends = append(ends, requests[i].Last)
		}
	}
	slices.Sort(ends)
	w := Window{From: ends[completed/10], To: ends[completed*9/10]}
	n, prompt, output := 0, 0, 0
	for i := range requests {
		r := &requests[i]
		if r.Completed() && r.Last > w.From && r.Last <= w.To {
			n++
			prompt += int(r.Prompt)
			output += int(r.Output)
		}
	}
	over := w.To.Sub(w.From)
	w.RequestThroughput, w.OutputThroughput, w.TotalThroughput = rate(n, over), rate(output, over), rate(prompt+output, over)
	return w
}

// arrivals are the rate and the coefficient of variation of the gaps between intended sends.
func arrivals(requests []record.Record) (perSecond, cv float64) {
	n := len(requests)
	if n < 2 {
		return 0, 0
	}
	at := make([]units.Time, n)
	for i := range requests {
		at[i] = requests[i].Intended
	}
	slices.Sort(at)
	mean := at[n-1].Sub(at[0]).Seconds() / float64(n-1)
	if mean <= 0 {
		return 0, 0
	}
	squares := 0.0
	for i := 1; i < n; i++ {
		d := at[i].Sub(at[i-1]).Seconds() - mean
		squares += float64(d * d)
	}
	return 1 / mean, math.Sqrt(squares/float64(n-1)) / mean
}
