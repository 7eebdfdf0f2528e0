package workload

import (
	"math"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// A clock yields send times in ascending order; false when there are no more.
type clock func() (units.Time, bool)

// newClock is the schedule of open arrivals. hold says that the number of requests is bounded elsewhere, so a
// profile may go on at its last rate.
func newClock(a Arrivals, seed uint64, hold bool) clock {
	switch a := a.(type) {
	case AllAtOnce:
		return func() (units.Time, bool) { return 0, true }
	case Constant:
		n := 0.0
		return func() (units.Time, bool) { n++; return instant(n / a.Rate) }
	case Poisson:
		return renewal(a.Rate, 1, newDraw(seed, streamArrivals))
	case Gamma:
		return renewal(a.Rate, a.CV, newDraw(seed, streamArrivals))
	case OnOff:
		return a.clock(seed)
	case Profile:
		return a.clock(seed, hold)
	}
	panic("workload: no clock for these arrivals")
}

func instant(seconds float64) (units.Time, bool) {
	if !(seconds <= maxSeconds) {
		return units.Never, false
	}
	return units.Time(units.Seconds(seconds)), true
}

// unitGaps draws gaps of mean 1.
func unitGaps(cv float64, d *draw) func() float64 {
	if cv == 0 || cv == 1 {
		return d.exp
	}
	shape := 1 / float64(cv*cv)
	return func() float64 { return d.gamma(shape) }
}

func renewal(rate, cv float64, d *draw) clock {
	gap := unitGaps(cv, d)
	sum := 0.0
	return func() (units.Time, bool) { sum += gap(); return instant(sum / rate) }
}

// clock maps a renewal process of rate 1 through the inverse of the cumulated rate, so that bursts and profile are
// independent of each other.
func (a Profile) clock(seed uint64, hold bool) clock {
	gap := unitGaps(a.CV, newDraw(seed, streamArrivals))
	sum := 0.0  // arrivals wanted so far, in expectation
	done := 0.0 // the same at the start of the current piece
	i := 0      // piece i goes from Points[i] to Points[i+1]
	return func() (units.Time, bool) {
		sum += gap()
		for ; i+1 < len(a.Points); i++ {
			p, q := a.Points[i], a.Points[i+1]
			dt := q.T - p.T
			r0, r1 := float64(p.X*a.Base), float64(q.X*a.Base)
			area := float64(float64(dt*(r0+r1)) / 2)
			if sum-done > area || dt == 0 {
				done += area
				continue
			}
			return instant(p.T + within(sum-done, r0, (r1-r0)/dt, dt))
		}
		last := a.Points[len(a.Points)-1]
		if !hold || last.X == 0 {
			return units.Never, false
		}
		return instant(last.T + (sum-done)/float64(last.X*a.Base))
	}
}

// within solves r0·x + slope·x²/2 = area for x in 0..dt, in the form that loses no digits.
func within(area, r0, slope, dt float64) float64 {
	root := math.Sqrt(max(0, float64(r0*r0)+float64(2*float64(slope*area))))
	if r0+root == 0 {
		return dt
	}
	return min(2*area/(r0+root), dt)
}

// clock draws the lengths of the periods from a stream of their own, then maps a renewal process of rate 1 through
// the cumulated rate.
func (a OnOff) clock(seed uint64) clock {
	gap := unitGaps(a.CV, newDraw(seed, streamArrivals))
	phases := newDraw(seed, streamPhases)
	on := true
	start, left := 0.0, float64(phases.exp()*a.On.Seconds())
	sum, done := 0.0, 0.0
	return func() (units.Time, bool) {
		sum += gap()
		for start < maxSeconds {
			rate := a.OffRate
			if on {
				rate = a.OnRate
			}
			area := float64(rate * left)
			if sum-done <= area && rate > 0 {
				return instant(start + (sum-done)/rate)
			}
			done += area
			start += left
			on = !on
			mean := a.Off.Seconds()
			if on {
				mean = a.On.Seconds()
			}
			left = float64(phases.exp() * mean)
		}
		return units.Never, false
	}
}

func (a Replay) scaled(t units.Time) units.Time {
	if a.RateScale == 0 || a.RateScale == 1 {
		return t
	}
	return units.Time(math.Round(float64(t) / a.RateScale))
}

// times are the send times of recorded arrivals, in the order of the rows.
func (a Replay) times(recorded []units.Time, seed uint64) []units.Time {
	out := slices.Clone(recorded)
	for i, t := range out {
		out[i] = a.scaled(t)
	}
	if a.Jitter <= 0 {
		return out
	}
	d := newDraw(seed, streamJitter)
	width := int64(units.FromDuration(a.Jitter))
	for from := 0; from < len(out); {
		to := from + 1
		for to < len(out) && out[to] == out[from] {
			to++
		}
		for i := from; i < to; i++ {
			out[i] += units.Time(d.Int64N(width))
		}
		slices.Sort(out[from:to])
		from = to
	}
	for i := 1; i < len(out); i++ {
		out[i] = max(out[i], out[i-1])
	}
	return out
}
