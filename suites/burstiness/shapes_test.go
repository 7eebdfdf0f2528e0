package burstiness

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// A shape is a burst over a base rate.
type shape struct {
	name    string
	burst   slo.Burst
	profile func(base float64) workload.Profile
}

func seconds(from, to float64) slo.Burst {
	return slo.Burst{From: units.Time(units.Seconds(from)), To: units.Time(units.Seconds(to))}
}

func shapes() []shape {
	steps := func(s ...workload.Point) func(float64) workload.Profile {
		return func(base float64) workload.Profile { return workload.Steps(base, s...) }
	}
	return []shape{
		{"burst_5x_spike", seconds(30, 40), steps(workload.Point{T: 30, X: 1}, workload.Point{T: 10, X: 5}, workload.Point{T: 60, X: 1})},
		{"burst_10x_spike", seconds(30, 35), steps(workload.Point{T: 30, X: 1}, workload.Point{T: 5, X: 10}, workload.Point{T: 60, X: 1})},
		{"burst_oscillating", seconds(0, 95), func(base float64) workload.Profile {
			return workload.Sine(base, 0.5, 3, 20*time.Second, 5)
		}},
		{"burst_ramp_drop", seconds(0, 70), func(base float64) workload.Profile {
			return workload.Profile{Base: base, Points: []workload.Point{{T: 0, X: 1}, {T: 60, X: 4}, {T: 70, X: 4}, {T: 70, X: 0.5}, {T: 100, X: 0.5}}}
		}},
	}
}

func (s shape) at(base float64) workload.Load {
	p := s.profile(base)
	p.Name = s.name
	chat := workload.BatchChat(0)
	return chat.At(p)
}

// bound is how long the work above the capacity takes with what the load after the burst leaves of it, plus 2 s.
func (s shape) bound(base, capacity float64) units.Span {
	points := s.profile(base).Points
	excess, over := 0.0, s.burst.To.Seconds()
	for i := 1; i < len(points) && points[i].T <= over; i++ { // by trapezoids between the points, clipped at the capacity
		above := func(x float64) float64 { return max(0, float64(x*base)-capacity) }
		excess += (points[i].T - points[i-1].T) * (above(points[i].X) + above(points[i-1].X)) / 2
	}
	after := float64(points[len(points)-1].X * base)
	return units.Seconds(excess/(capacity-after) + 2)
}

// recovers promises that nothing is lost and the queue and the TTFT are back in time.
func (s shape) recovers(within units.Span) suite.Want {
	return suite.All(suite.Completes(), suite.Want{Says: fmt.Sprintf("recovers within %.3gs of the burst", within.Seconds()), Check: func(r suite.Result) error {
		if w := slo.Weather(r.Run, s.burst, target); !w.Recovers || w.Recovered > within {
			return fmt.Errorf("recovered %v, after %v", w.Recovers, w.Recovered)
		}
		return nil
	}})
}

// tooSlow is the twin: everything completes, but not in time.
func (s shape) tooSlow(within units.Span) suite.Want {
	in := s.recovers(within)
	return suite.All(suite.Completes(), suite.Misses(50), suite.Want{Says: "does not recover in time", Check: func(r suite.Result) error {
		if in.Check(r) == nil {
			return errors.New("it does")
		}
		return nil
	}})
}

// columns of a burst: the shape's rows have a before, a during and an after.
func columns() []suite.Column {
	base := suite.Rate("base", "", func(r suite.Result) float64 {
		if p, ok := r.Case.Play.(workload.Load).Arrivals.(workload.Profile); ok {
			return p.Base
		}
		return math.NaN()
	})
	var weathered sync.Map // by run: five columns ask for the same
	weather := func(r suite.Result) (w slo.Weathered, hasBurst bool) {
		i := slices.IndexFunc(shapes(), func(s shape) bool { return strings.HasPrefix(r.Case.Name, s.name) })
		if known, ok := weathered.Load(r.Run); ok {
			return known.(slo.Weathered), i >= 0
		}
		var b slo.Burst
		if i >= 0 {
			b = shapes()[i].burst
		}
		w = slo.Weather(r.Run, b, target)
		weathered.Store(r.Run, w)
		return w, i >= 0
	}
	ofBurst := func(of func(slo.Weathered) stats.Dist) func(suite.Result) stats.Dist {
		return func(r suite.Result) stats.Dist {
			if w, ok := weather(r); ok {
				return of(w)
			}
			return stats.Dist{}
		}
	}
	return []suite.Column{
		suite.Count("ok", "", func(r suite.Result) int { return r.Summary.Completed }),
		suite.Count("lost", "lost-requests", func(r suite.Result) int { return r.Summary.Failed }),
		base,
		suite.Rate("sent", "", func(r suite.Result) float64 { return r.Summary.ArrivalRate }),
		{Name: "cv", Of: func(r suite.Result) float64 { return r.Summary.ArrivalCV }},
		suite.Share("met SLO", "slo-met-%", suite.Higher, func(r suite.Result) float64 { return r.Verdict.Share }),
		suite.Rate("goodput", "goodput/s", func(r suite.Result) float64 { return r.Verdict.GoodputPerSec }),
		suite.Count("queue", "queue-peak", func(r suite.Result) int {
			w, _ := weather(r)
			return w.PeakQueue
		}),
		suite.Percentile("before", "", ofBurst(func(w slo.Weathered) stats.Dist { return w.Before }), suite.P99),
		suite.Percentile("during", "ttft-during-p99-ns", ofBurst(func(w slo.Weathered) stats.Dist { return w.During }), suite.P99),
		suite.Percentile("after", "ttft-after-p99-ns", ofBurst(func(w slo.Weathered) stats.Dist { return w.After }), suite.P99),
		suite.Percentile("recovers", "recovery-ns", ofBurst(func(w slo.Weathered) stats.Dist {
			if !w.Recovers {
				return stats.Dist{}
			}
			return stats.Dist{N: 1, P99: w.Recovered}
		}), suite.P99),
		suite.Share("KV peak", "kv-usage-peak-%", suite.Lower, func(r suite.Result) float64 { return r.Run.Engine.UsagePeak }),
		suite.Count("preempted", "preemptions", func(r suite.Result) int { return r.Run.Engine.Preemptions }),
	}
}
