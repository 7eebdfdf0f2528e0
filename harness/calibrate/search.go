package calibrate

import (
	"cmp"
	"math"
	"slices"
)

// search minimises f from x by trying each coordinate up and down by a factor, with ever smaller factors: slow, but
// it needs no derivative, takes any bound that f expresses as +Inf, and gives the same answer everywhere.
func search(x []float64, f func([]float64) float64) ([]float64, float64) {
	best := f(x)
	for _, factor := range []float64{1.5, 1.2, 1.08, 1.03} {
		for range 3 {
			improved := false
			for i := range x {
				for _, by := range []float64{factor, 1 / factor} {
					old := x[i]
					x[i] = old * by
					if got := f(x); got < best-1e-6 {
						best, improved = got, true
						break
					}
					x[i] = old
				}
			}
			if !improved {
				break
			}
		}
	}
	return x, best
}

// median returns the middle of vs, 0 for none. It reorders vs.
func median(vs []float64) float64 { return quantile(vs, 0.5) }

// quantile interpolates linearly. It reorders vs.
func quantile(vs []float64, q float64) float64 {
	if len(vs) == 0 {
		return 0
	}
	slices.SortFunc(vs, cmp.Compare)
	at := q * float64(len(vs)-1)
	i := int(at)
	if i+1 == len(vs) {
		return vs[i]
	}
	return vs[i] + float64((at-float64(i))*(vs[i+1]-vs[i]))
}

// meanAbsLog is the mean of |log(predicted ÷ measured)| over n pairs.
func meanAbsLog(n int, pair func(int) (predicted, measured float64)) float64 {
	if n == 0 {
		return 0
	}
	sum := 0.0
	for i := range n {
		p, m := pair(i)
		if p <= 0 || m <= 0 {
			return math.Inf(1)
		}
		sum += math.Abs(math.Log(p / m))
	}
	return sum / float64(n)
}
