package workload

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Arrivals is a rule for when requests leave: AllAtOnce, Constant, Poisson, Gamma, OnOff, Profile (from Steps,
// Ramp or Sine), Closed or Replay. Rates are requests a second.
type Arrivals interface {
	fmt.Stringer
	validate() error
}

// AllAtOnce sends everything at the start.
type AllAtOnce struct{}

// Constant sends one request every 1/Rate seconds, the first at 1/Rate.
type Constant struct{ Rate float64 }

// Poisson sends independently of the past: gaps are exponential.
type Poisson struct{ Rate float64 }

// Gamma draws gaps with the given coefficient of variation: 1 is Poisson, above is burstier. The shape is 1/CV²,
// which is what vLLM calls burstiness.
type Gamma struct{ Rate, CV float64 }

// OnOff alternates between periods of exponential length: OnRate in the one, OffRate in the other. It starts on.
type OnOff struct {
	On, Off         time.Duration // mean lengths
	OnRate, OffRate float64
	CV              float64 // of the gaps inside a period; 0 = 1
}

// Profile follows a rate that is piecewise linear in time. With a number of requests it holds the last rate until
// they are sent, without one it ends at its last point.
type Profile struct {
	Name   string
	Base   float64 // requests a second that a Point's X of 1 means
	Points []Point // ascending; two points at one time are a step
	CV     float64 // of the gaps, seen at a constant rate; 0 = 1 (Poisson)
}

// Point says that at T seconds the rate is X times the base.
type Point struct{ T, X float64 }

// Closed keeps InFlight requests under way: the next one is sent when one ends.
type Closed struct{ InFlight int }

// Replay sends the rows of a trace at their recorded times. RateScale 2 sends them twice as fast; 0 is 1. Jitter
// moves each by a random time up to it, which undoes a recorder's coarse clock; rows of one stamp keep their order.
type Replay struct {
	RateScale float64
	Jitter    time.Duration
}

func (AllAtOnce) String() string  { return "all at once" }
func (a Constant) String() string { return fmt.Sprintf("constant %.6g/s", a.Rate) }
func (a Poisson) String() string  { return fmt.Sprintf("poisson %.6g/s", a.Rate) }
func (a Gamma) String() string    { return fmt.Sprintf("gamma %.6g/s cv=%.6g", a.Rate, a.CV) }
func (a Closed) String() string   { return fmt.Sprintf("closed loop of %d", a.InFlight) }
func (a OnOff) String() string {
	s := fmt.Sprintf("on %v at %.6g/s, off %v at %.6g/s", a.On, a.OnRate, a.Off, a.OffRate)
	if a.CV != 0 && a.CV != 1 {
		s += fmt.Sprintf(" cv=%.6g", a.CV)
	}
	return s
}

func (a Profile) String() string {
	s := fmt.Sprintf("profile %s base %.6g/s", a.Name, a.Base)
	if a.Name == "" {
		var b strings.Builder
		for i, p := range a.Points {
			if i == 12 {
				fmt.Fprintf(&b, " …%d more", len(a.Points)-i)
				break
			}
			fmt.Fprintf(&b, " %.6gs:%.6g", p.T, float64(p.X*a.Base))
		}
		s = "profile" + b.String()
	}
	if a.CV != 0 && a.CV != 1 {
		s += fmt.Sprintf(" cv=%.6g", a.CV)
	}
	return s
}

func (a Replay) String() string {
	s := "replay"
	if a.RateScale != 0 && a.RateScale != 1 {
		s += fmt.Sprintf(" ×%.6g", a.RateScale)
	}
	if a.Jitter != 0 {
		s += fmt.Sprintf(" jitter %v", a.Jitter)
	}
	return s
}

// Steps is a profile of constant rates, one after the other: for so many seconds, so many times the base.
func Steps(base float64, steps ...Point) Profile {
	p := Profile{Base: base}
	t := 0.0
	for _, s := range steps {
		p.Points = append(p.Points, Point{t, s.X}, Point{t + s.T, s.X})
		t += s.T
	}
	return p
}

// Ramp goes from one multiple of the base to another in so many seconds.
func Ramp(base, from, to float64, over time.Duration) Profile {
	return Profile{Base: base, Points: []Point{{0, from}, {over.Seconds(), to}}}
}

// Sine swings between two multiples of the base, starting upwards from the middle. It is drawn with 64 straight
// pieces a period, which is within 0.1 % of the curve.
func Sine(base, low, high float64, period time.Duration, periods int) Profile {
	const pieces = 64
	p := Profile{Base: base}
	for i := range periods*pieces + 1 {
		s := math.Sin(2 * math.Pi * float64(i%pieces) / pieces)
		x := float64((low+high)/2) + float64((high-low)/2*s)
		p.Points = append(p.Points, Point{
			T: float64(i) * period.Seconds() / pieces,
			X: math.Round(x*1e9) / 1e9, // the same on every machine
		})
	}
	return p
}

// Burst returns p with gaps of another coefficient of variation.
func (a Profile) Burst(cv float64) Profile { a.CV = cv; return a }

// Duration is when the profile ends.
func (a Profile) Duration() units.Span {
	if len(a.Points) == 0 {
		return 0
	}
	return units.Seconds(a.Points[len(a.Points)-1].T)
}

// MeanRate is the average over the profile's duration.
func (a Profile) MeanRate() float64 {
	area := 0.0
	for i := 1; i < len(a.Points); i++ {
		p, q := a.Points[i-1], a.Points[i]
		area += float64((q.T - p.T) * (p.X + q.X) / 2)
	}
	if area == 0 {
		return 0
	}
	return float64(area*a.Base) / (a.Points[len(a.Points)-1].T - a.Points[0].T)
}

func (AllAtOnce) validate() error  { return nil }
func (a Constant) validate() error { return validRate("rate", a.Rate) }
func (a Poisson) validate() error  { return validRate("rate", a.Rate) }
func (a Gamma) validate() error {
	if err := validRate("rate", a.Rate); err != nil {
		return err
	}
	return validCV(a.CV)
}

func (a Closed) validate() error {
	if a.InFlight < 1 {
		return fmt.Errorf("requests in flight = %d, want at least 1", a.InFlight)
	}
	return nil
}

func (a Replay) validate() error {
	if a.RateScale != 0 {
		if err := validRate("rate scale", a.RateScale); err != nil {
			return err
		}
	}
	if a.Jitter < 0 {
		return fmt.Errorf("jitter %v, want ≥ 0", a.Jitter)
	}
	return nil
}

func (a OnOff) validate() error {
	if a.On <= 0 || a.Off <= 0 {
		return fmt.Errorf("periods on %v off %v, want both > 0", a.On, a.Off)
	}
	if float64(a.OnRate*a.On.Seconds())+float64(a.OffRate*a.Off.Seconds()) < 1e-3 {
		return fmt.Errorf("%v sends less than one request in 1,000 periods", a)
	}
	if a.OffRate != 0 {
		if err := validRate("rate while off", a.OffRate); err != nil {
			return err
		}
	}
	if a.CV != 0 {
		if err := validCV(a.CV); err != nil {
			return err
		}
	}
	return validRate("rate while on", a.OnRate)
}

func (a Profile) validate() error {
	if err := validRate("base rate", a.Base); err != nil {
		return err
	}
	if len(a.Points) < 2 {
		return fmt.Errorf("profile has %d points, want at least 2", len(a.Points))
	}
	positive := false
	for i, p := range a.Points {
		if !(p.T >= 0) || math.IsInf(p.T, 0) || p.T > maxSeconds || i > 0 && p.T < a.Points[i-1].T {
			return fmt.Errorf("profile point %d is at %gs, want times ascending from 0", i+1, p.T)
		}
		if !(p.X >= 0) || math.IsInf(p.X, 0) {
			return fmt.Errorf("profile point %d has rate %g, want ≥ 0", i+1, p.X)
		}
		positive = positive || p.X > 0
	}
	if !positive {
		return fmt.Errorf("profile is 0 everywhere, want a rate > 0 somewhere")
	}
	if a.CV != 0 {
		return validCV(a.CV)
	}
	return nil
}

// maxSeconds keeps instants inside what a units.Time holds.
const maxSeconds = 9e6

func validRate(what string, r float64) error {
	if !(r > 0) || r > 1e9 {
		return fmt.Errorf("%s = %g, want > 0 and at most 1e9", what, r)
	}
	return nil
}

func validCV(cv float64) error {
	if !(cv > 0) || cv > 100 {
		return fmt.Errorf("cv = %g, want > 0 and at most 100", cv)
	}
	return nil
}
