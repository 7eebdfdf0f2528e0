package golden

import (
	"math"
	"strconv"
)

// Number prints x with three significant digits and its unit: 7.93/s, 12.3k/s. What is not a number is printed as
// such, so that a table cannot hide it.
func Number(x float64, unit string) string {
	switch a := math.Abs(x); {
	case math.IsInf(x, 0):
	case a >= 999.5e6:
		return three(x/1e9) + "G" + unit
	case a >= 999.5e3:
		return three(x/1e6) + "M" + unit
	case a >= 9995:
		return three(x/1e3) + "k" + unit
	}
	return three(x) + unit
}

// Seconds prints a time in the unit that suits it: 830µs, 20.3ms, 1.21s, 12.5min, 14.0h.
func Seconds(s float64) string {
	switch a := math.Abs(s); {
	case a >= 2*3600:
		return three(s/3600) + "h"
	case a >= 600:
		return three(s/60) + "min"
	case a >= 0.9995:
		return three(s) + "s"
	case a >= 0.9995e-3:
		return three(s*1e3) + "ms"
	case a == 0:
		return "0s"
	}
	return three(s*1e6) + "µs"
}

// Percent prints a share of one: 99.2%.
func Percent(share float64) string { return three(share*100) + "%" }

// GiB prints bytes in GiB: 15.0GiB.
func GiB(bytes float64) string { return three(bytes/(1<<30)) + "GiB" }

// Count prints a whole number.
func Count[N ~int | ~int64](n N) string { return strconv.FormatInt(int64(n), 10) }

// three rounds to three significant digits and prints without an exponent.
func three(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) || x == 0 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	scientific := strconv.FormatFloat(x, 'e', 2, 64) // d.dde±dd: rounded once, in decimal
	rounded, _ := strconv.ParseFloat(scientific, 64)
	exponent, _ := strconv.Atoi(scientific[len(scientific)-3:])
	if scientific[len(scientific)-4] != 'e' { // a three-digit exponent
		exponent, _ = strconv.Atoi(scientific[len(scientific)-4:])
	}
	return strconv.FormatFloat(rounded, 'f', max(0, 2-exponent), 64)
}
