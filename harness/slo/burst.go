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
	PeakQueue             int        // requests that were meant to be sent and that the engine had not begun, at most
	QueueBefore           int        // their 99th percentile before the burst, as each request found it
	Recovered             units.Span // after the end of the burst, see Weather
	Recovers              bool
}

// Weather holds a run against a burst. It has recovered at the first moment after the burst at which the queue is back
// at or below its 99th percentile of before, and from which on every request of the next second meets the TTFT target.
// The queue is everything between the client and the engine's first step for a request, wherever it waits.
func Weather(run *record.Run, b Burst, t Target) Weathered {
	var w Weathered
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

	queue := queueOf(run)
	var found []int
	for _, q := range queue {
		w.PeakQueue = max(w.PeakQueue, q.depth)
		if q.joins && q.at < b.From {
			found = append(found, q.depth)
		}
	}
	if n := len(found); n > 0 {
		slices.Sort(found)
		w.QueueBefore = found[(n*99+99)/100-1]
	}
	late := lateSends(run, t)
	depth := 0 // at the end of the burst
	candidates := []queued{{at: b.To}}
	for _, q := range queue {
		if q.at <= b.To {
			depth = q.depth
		} else {
			candidates = append(candidates, q)
		}
	}
	candidates[0].depth = depth
	for _, q := range candidates {
		if q.depth <= w.QueueBefore && !anyWithin(late, q.at, q.at.Add(units.Second)) {
			w.Recovered, w.Recovers = q.at.Sub(b.To), true
			break
		}
	}
	return w
}

// queued is the queue after a request joined or left it.
type queued struct {
	at    units.Time
	depth int
	joins bool
}

// queueOf is the queue over time. Where the backend cannot see when the engine begins, a request leaves with its first
// token.
func queueOf(run *record.Run) []queued {
	joins, leaves := make([]units.Time, 0, len(run.Requests)), make([]units.Time, 0, len(run.Requests))
	for i := range run.Requests {
		r := &run.Requests[i]
		left := r.Admitted
		if left == units.Never {
			left = r.First
		}
		if left == units.Never {
			continue // never served
		}
		joins, leaves = append(joins, r.Intended), append(leaves, left)
	}
	slices.Sort(joins)
	slices.Sort(leaves)
	steps := make([]queued, 0, 2*len(joins))
	for depth := 0; len(leaves) > 0; {
		if len(joins) > 0 && joins[0] <= leaves[0] {
			depth++
			steps, joins = append(steps, queued{joins[0], depth, true}), joins[1:]
		} else {
			depth--
			steps, leaves = append(steps, queued{leaves[0], depth, false}), leaves[1:]
		}
	}
	return steps
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
