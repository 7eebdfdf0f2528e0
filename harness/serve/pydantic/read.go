package pydantic

import (
	"math"
	"strconv"
	"strings"
)

// Integer is the value of a field that an Integer rule accepted; beyond the range of int it is the nearest int. Null is 0.
func (v *Value) Integer() int {
	switch v.Kind {
	case Null:
		return 0
	case Bool:
		if v.Truth {
			return 1
		}
		return 0
	case Number:
		return clamp(v.Float)
	}
	digits := v.Text
	if v.Kind == String {
		digits, _ = integerText(digits)
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		if strings.HasPrefix(digits, "-") {
			return math.MinInt
		}
		return math.MaxInt
	}
	return n
}

func clamp(f float64) int {
	switch {
	case f >= math.MaxInt:
		return math.MaxInt
	case f <= math.MinInt:
		return math.MinInt
	}
	return int(f)
}

// Number is the value of a field that a FloatRule accepted.
func (v *Value) Number() float64 {
	if v.Kind == String {
		f, _ := floatText(v.Text)
		return f
	}
	return v.Float
}

// Boolean is the value of a field that a Boolean rule accepted.
func (v *Value) Boolean() bool {
	switch v.Kind {
	case String:
		truth, _ := booleanText(v.Text)
		return truth
	case Int, Number:
		return v.Float != 0
	}
	return v.Truth
}

// IsList says whether the value is a list whose every element has the kind.
func (v *Value) IsList(kind Kind) bool {
	if v.Kind != List {
		return false
	}
	if v.Ints != nil {
		return kind == Int
	}
	for i := range v.Items {
		if v.Items[i].Kind != kind {
			return false
		}
	}
	return true
}
