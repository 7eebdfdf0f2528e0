package backtest

import (
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/memory"
)

// A fitRow is one start-up with what its planned KV cache changes by when a figure does.
type fitRow struct {
	source string
	dense  bool    // counts among those whose error is summed up
	error  float64 // planned − printed, GiB
	slope  []float64
}

// leftOut is the error that each source's dense start-ups have when the figures are fitted to those of all the other
// sources, on any number of ranks. A figure that only the left-out source shows takes the value of the one that it refines.
func leftOut(rows []fitRow) AbsoluteError {
	fitted := memory.Fitted()
	var errs []float64
	for _, source := range sources(rows) {
		change := refit(rows, source, fitted)
		for _, r := range rows {
			if r.source == source && r.dense {
				errs = append(errs, math.Abs(r.after(change)))
			}
		}
	}
	return absolute(errs)
}

func sources(rows []fitRow) []string {
	var all []string
	for _, r := range rows {
		all = append(all, r.source)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// after is the row's error with changed figures, to first order.
func (r fitRow) after(change []float64) float64 {
	e := r.error
	for i, s := range r.slope {
		e += float64(s * change[i])
	}
	return e
}

// refit minimizes the sum of absolute errors without one source: least squares, over and over, each row weighted by
// the inverse of the error that it was left with. Few sources cannot tell every figure from every other, so a figure
// is drawn to the one that it refines: to be off by as much as that one's size costs like one row's 0.1 GiB.
func refit(rows []fitRow, without string, fitted memory.Fit) []float64 {
	n := len(fitted)
	change := make([]float64, n)
	seen := make([]bool, n)
	like := refines()
	for range 40 {
		normal := make([][]float64, n)
		for i := range normal {
			normal[i] = make([]float64, n+1)
			normal[i][i] = 1e-9
		}
		for _, r := range rows {
			if r.source == without {
				continue
			}
			weight := 1 / max(math.Abs(r.after(change)), 0.005)
			for i, si := range r.slope {
				seen[i] = seen[i] || math.Abs(si) > 1e-6
			}
			add(normal, r.slope, r.error, weight)
		}
		for i, j := range like {
			if i != j {
				slope := make([]float64, n)
				slope[i], slope[j] = 1/fitted[j], -1/fitted[j]
				add(normal, slope, (fitted[i]-fitted[j])/fitted[j], 0.1)
			}
		}
		change = solve(normal)
	}
	for i := range change {
		if !seen[i] && like[i] == i {
			change[i] = -fitted[i] // nobody else saw it
		}
		change[i] = max(change[i], -fitted[i]) // nothing takes less than no memory
	}
	return change
}

// add puts one row into the normal equations.
func add(normal [][]float64, slope []float64, err, weight float64) {
	for i, si := range slope {
		for j, sj := range slope {
			normal[i][j] += float64(weight * float64(si*sj))
		}
		normal[i][len(slope)] -= float64(weight * float64(si*err))
	}
}

// refines says for each figure which one it refines, itself if none.
func refines() []int {
	all := memory.Figures()
	like := make([]int, len(all))
	for i, figure := range all {
		for j, other := range all {
			if other.Name == figure.Like {
				like[i] = j
			}
		}
	}
	return like
}

// solve eliminates: a holds the equations with the right side as its last column.
func solve(a [][]float64) []float64 {
	n := len(a)
	for c := range n {
		pivot := c
		for r := c + 1; r < n; r++ {
			if math.Abs(a[r][c]) > math.Abs(a[pivot][c]) {
				pivot = r
			}
		}
		a[c], a[pivot] = a[pivot], a[c]
		for r := range n {
			if r != c && a[r][c] != 0 {
				f := a[r][c] / a[c][c]
				for k := c; k <= n; k++ {
					a[r][k] -= float64(f * a[c][k])
				}
			}
		}
	}
	x := make([]float64, n)
	for i := range x {
		x[i] = a[i][n] / a[i][i]
	}
	return x
}

// fitRowOf measures the slopes of one start-up; false where it prints no KV cache.
func (s start) fitRowOf(d deploy.Deployment, o MemoryOutcome) (fitRow, bool) {
	if o.KVPrinted == nil {
		return fitRow{}, false
	}
	source, _, _ := strings.Cut(s.cell("source"), " @")
	if name, _, ok := strings.Cut(source, " "); ok && strings.Contains(name, "/") {
		source = name
	}
	if source == "" {
		source = s.cell("gpu") // one machine's own starts
	}
	r := fitRow{source: source, dense: o.Class == "dense", error: o.KVPredicted - *o.KVPrinted}
	fitted := memory.Fitted()
	base := kvOf(d, fitted)
	for i, v := range fitted {
		changed := fitted
		step := 0.01 * v
		changed[i] += step
		r.slope = append(r.slope, (kvOf(d, changed)-base)/step)
	}
	return r, true
}

func kvOf(d deploy.Deployment, fit memory.Fit) float64 {
	p, err := memory.ForFit(d, fit)
	var refused *failure.Error
	if err != nil && !errors.As(err, &refused) {
		return 0
	}
	return p.KVCache.GiB()
}
