package report

import (
	"math"
	"strconv"
	"strings"
)

// figure prints three significant digits, without an exponent, with commas between thousands.
func figure(x float64) string {
	if math.Abs(x) < 5e-7 {
		return "0"
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(x))))
	if digits >= 0 {
		return commas(strconv.FormatFloat(x, 'f', digits, 64))
	}
	scale := math.Pow10(-digits)
	return commas(strconv.FormatFloat(math.Round(x/scale)*scale, 'f', 0, 64))
}

// count prints a whole number in full.
func count(x float64) string { return commas(strconv.FormatFloat(math.Round(x), 'f', 0, 64)) }

func commas(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	whole, rest, dotted := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if dotted {
		whole += "." + rest
	}
	return sign + whole
}

// percent prints a figure that is in percent already.
func percent(x float64) string { return figure(x) + " %" }

// seconds prints a time in the unit that suits it.
func seconds(s float64) string {
	switch a := math.Abs(s); {
	case a >= 2*3600:
		return figure(s/3600) + " h"
	case a >= 600:
		return figure(s/60) + " min"
	case a >= 1:
		return figure(s) + " s"
	}
	return figure(s*1e3) + " ms"
}
