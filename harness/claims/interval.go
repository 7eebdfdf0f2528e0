package claims

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// interval is every value that a printed number can stand for.
type interval struct{ lo, hi float64 }

func point(x float64) interval { return interval{x, x} }

// printed reads a number as people print it: 16,407 or 0.8 or 17.4. Unless it is exact, it stands for all that
// round to it.
func printed(s string, exact bool) (interval, error) {
	plain := strings.ReplaceAll(s, ",", "")
	x, err := strconv.ParseFloat(plain, 64)
	if err != nil {
		return interval{}, fmt.Errorf("%q is not a number", s)
	}
	if exact {
		return point(x), nil
	}
	decimals := 0
	if i := strings.IndexByte(plain, '.'); i >= 0 {
		decimals = len(plain) - i - 1
	}
	half := float64(0.5 * math.Pow10(-decimals))
	return interval{x - half, x + half}, nil
}

func (a interval) middle() float64 { return (a.lo + a.hi) / 2 }

func (a interval) apply(op string, b interval) (interval, error) {
	switch op {
	case "+":
		return interval{a.lo + b.lo, a.hi + b.hi}, nil
	case "-":
		return interval{a.lo - b.hi, a.hi - b.lo}, nil
	case "*":
		return hull(a.lo*b.lo, a.lo*b.hi, a.hi*b.lo, a.hi*b.hi), nil
	case "/":
		if b.lo <= 0 && b.hi >= 0 {
			return interval{}, fmt.Errorf("division by zero")
		}
		return hull(a.lo/b.lo, a.lo/b.hi, a.hi/b.lo, a.hi/b.hi), nil
	}
	return interval{}, fmt.Errorf("operator %q, want + - * /", op)
}

func hull(x ...float64) interval {
	h := point(x[0])
	for _, v := range x {
		h.lo, h.hi = min(h.lo, v), max(h.hi, v)
	}
	return h
}

// agrees says whether some reading of a computed value satisfies some reading of the claim, where the relation
// reads "computed rel claim". Equality of exact
// values allows for the rounding of floating point.
func (claim interval) agrees(rel Relation, computed interval) bool {
	slack := float64(1e-9 * max(math.Abs(claim.hi), math.Abs(computed.hi)))
	switch rel {
	case AtLeast:
		return computed.hi >= claim.lo-slack
	case AtMost:
		return computed.lo <= claim.hi+slack
	case Above:
		return computed.hi > claim.lo+slack
	case Below:
		return computed.lo < claim.hi-slack
	}
	return computed.lo <= claim.hi+slack && computed.hi >= claim.lo-slack
}

// within says whether one of our figures satisfies the claim, given how far our models may be off.
func (claim interval) within(rel Relation, share, ours float64) bool {
	if rel == Equals {
		return math.Abs(ours-float64(claim.middle())) <= float64(share*math.Abs(claim.middle()))+float64((claim.hi-claim.lo)/2)
	}
	return claim.agrees(rel, point(ours))
}
