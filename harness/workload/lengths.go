package workload

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Lengths is a distribution of token counts: Fixed, Uniform, LogNormal or Empirical.
type Lengths interface {
	fmt.Stringer
	draw(d *draw) units.Tokens
	validate() error
}

// Fixed is always the same length.
type Fixed units.Tokens

func (l Fixed) draw(*draw) units.Tokens { return units.Tokens(l) }
func (l Fixed) String() string          { return strconv.Itoa(int(l)) }
func (l Fixed) validate() error {
	if l < 1 {
		return fmt.Errorf("length %d, want at least 1 token", int(l))
	}
	return nil
}

// Uniform is every length from Min to Max, both included, equally often.
type Uniform struct{ Min, Max units.Tokens }

func (l Uniform) draw(d *draw) units.Tokens {
	return l.Min + units.Tokens(d.Int64N(int64(l.Max-l.Min)+1))
}
func (l Uniform) String() string { return fmt.Sprintf("uniform:%d,%d", l.Min, l.Max) }
func (l Uniform) validate() error {
	if l.Min < 1 || l.Max < l.Min {
		return fmt.Errorf("%v, want 1 ≤ min ≤ max", l)
	}
	return nil
}

// LogNormal has the given mean and standard deviation before it is clipped to Min..Max and rounded.
type LogNormal struct {
	Mean, SD float64
	Min, Max units.Tokens
}

func (l LogNormal) draw(d *draw) units.Tokens {
	if d.logNormal != l {
		ratio := l.SD / l.Mean
		variance := ln(1 + float64(ratio*ratio))
		d.logNormal, d.mu, d.sigma = l, ln(l.Mean)-float64(variance/2), math.Sqrt(variance)
	}
	x := exp(d.mu + float64(d.sigma*d.normal()))
	return min(max(units.Tokens(math.Round(min(x, float64(l.Max)))), l.Min), l.Max)
}

func (l LogNormal) String() string {
	return fmt.Sprintf("lognormal:%g,%g,%d,%d", l.Mean, l.SD, l.Min, l.Max)
}

func (l LogNormal) validate() error {
	if !(l.Mean > 0) || !(l.SD >= 0) || math.IsInf(l.Mean+l.SD, 0) || l.Min < 1 || l.Max < l.Min {
		return fmt.Errorf("%v, want mean > 0, sd ≥ 0, 1 ≤ min ≤ max", l)
	}
	return nil
}

// Empirical interpolates linearly between measured quantiles: Q[i] is the length below which a share of
// i/(len(Q)−1) of the requests lies.
type Empirical struct {
	Name string // where it was measured
	Q    []float64
}

func (l Empirical) draw(d *draw) units.Tokens {
	pos := float64(d.uniform() * float64(len(l.Q)-1))
	i := int(pos)
	f := pos - float64(i)
	x := l.Q[i] + float64(f*(l.Q[min(i+1, len(l.Q)-1)]-l.Q[i]))
	return max(1, units.Tokens(math.Round(x)))
}
func (l Empirical) String() string { return "empirical:" + l.Name }
func (l Empirical) validate() error {
	if len(l.Q) < 2 {
		return fmt.Errorf("%v has %d quantiles, want at least 2", l, len(l.Q))
	}
	for i, q := range l.Q {
		if !(q >= 0) || math.IsInf(q, 0) || i > 0 && q < l.Q[i-1] {
			return fmt.Errorf("%v: quantile %d is %g, want them ascending", l, i, q)
		}
	}
	return nil
}

// maxLength bounds a length that a user asks for: beyond any context window.
const maxLength = 1 << 30

// ParseLengths reads a length as users write it: 512, uniform:MIN,MAX or lognormal:MEAN,SD,MIN,MAX.
func ParseLengths(s string) (Lengths, error) {
	kind, rest, isDistribution := strings.Cut(strings.TrimSpace(s), ":")
	if !isDistribution {
		n, err := strconv.Atoi(kind)
		if err != nil || n < 1 || n > maxLength {
			return nil, fmt.Errorf("length %q, want a whole number from 1 to %d, or lognormal:mean,sd,min,max", s, maxLength)
		}
		return Fixed(n), nil
	}
	var v []float64
	for _, field := range strings.Split(rest, ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
		if err != nil || math.IsNaN(x) || math.Abs(x) > maxLength {
			return nil, fmt.Errorf("length %q: %q is not a number up to %d", s, field, maxLength)
		}
		v = append(v, x)
	}
	var l Lengths
	switch {
	case kind == "lognormal" && len(v) == 4 && whole(v[2], v[3]):
		l = LogNormal{Mean: v[0], SD: v[1], Min: units.Tokens(v[2]), Max: units.Tokens(v[3])}
	case kind == "uniform" && len(v) == 2 && whole(v...):
		l = Uniform{Min: units.Tokens(v[0]), Max: units.Tokens(v[1])}
	default:
		return nil, fmt.Errorf("length %q, want N, lognormal:mean,sd,min,max or uniform:min,max with whole min and max", s)
	}
	return l, l.validate()
}

func whole(v ...float64) bool {
	for _, x := range v {
		if x != math.Trunc(x) {
			return false
		}
	}
	return true
}
