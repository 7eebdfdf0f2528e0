package slo

import (
	"slices"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Burst is the part of a run in which the load was higher than usual.
type Burst struct{ From, To units.Time }

// Weathered says how a run came through a burst.
type Weathered struct {
	Before, During, After stats.Dist // TTFT of the requests sent then
	PeakQueue             int
	QueueBefore           int        // 99th percentile of the queue before the burst
	Recovered             units.Span // after the end of the burst, see Weather
	Recovers              bool
}

// Weather holds a run against a burst. It has recovered at the first moment after the burst at which the queue is back
// at or below its 99th percentile of before, and from which on every request of the next second meets the TTFT target.
func Weather(run *record.Run, b Burst, t Target) Weathered {
	w := Weathered{PeakQueue: run.Engine.WaitingPeak}
	var before, during, after []units.Span
	for i := range run.Requests {
		r := &run.Requests[i]
		ttft, ok := r.TTFT()
		switch {
		case !ok:
		case r.Intended < b.From:
			before = append(before, ttft)
		case r.Intended < b.To:
			during = append(during, ttft)
		default:
			after = append(after, ttft)
		}
	}
	w.Before, w.During, w.After = stats.Of(stats.NearestRank, before), stats.Of(stats.NearestRank, during), stats.Of(stats.NearestRank, after)
	var queue []int
	for _, s := range run.Samples {
		if s.At < b.From {
			queue = append(queue, s.Waiting)
		}
	}
	if n := len(queue); n > 0 {
		slices.Sort(queue)
		w.QueueBefore = queue[(n*99+99)/100-1]
	}
	late := lateSends(run, t)
	for _, s := range run.Samples {
		if s.At < b.To || s.Waiting > w.QueueBefore || anyWithin(late, s.At, s.At.Add(units.Second)) {
			continue
		}
		w.Recovered, w.Recovers = s.At.Sub(b.To), true
		break
	}
	return w
}

// lateSends are the send times of the requests that missed the TTFT target or were lost, ascending.
func lateSends(run *record.Run, t Target) []units.Time {
	var late []units.Time
	limit := units.FromDuration(t.TTFT)
	for i := range run.Requests {
		r := &run.Requests[i]
		ttft, ok := r.TTFT()
		if !ok || limit > 0 && ttft > limit {
			late = append(late, r.Intended)
		}
	}
	slices.Sort(late)
	return late
}

func anyWithin(sorted []units.Time, from, to units.Time) bool {
	i, _ := slices.BinarySearch(sorted, from)
	return i < len(sorted) && sorted[i] < to
}
