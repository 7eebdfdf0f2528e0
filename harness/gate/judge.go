package gate

import (
	"fmt"
	"math"
	"path"
	"slices"

	"golang.org/x/perf/benchmath"
)

const (
	alpha = 0.01 // the chance of a false alarm that a noisy row may have, all of them together
	// widest is how far the interval of a change may reach to each side, in percent, for a row to be measurable at all.
	widest = 15
	// minAllocs and minBytes are the smallest differences of allocations worth a word.
	minAllocs, minBytes = 2, 64
	// minLive is how many runs of a live server are needed.
	minLive = 6
)

// pairing is a row that both sides have.
type pairing struct {
	key      Key
	old, new []float64
}

// judge compares the samples of a row. Only what needs no other row is decided here; see settle.
func judge(p pairing, class Class, better int, th Thresholds) Row {
	row := Row{Key: p.key, Class: class, OldN: len(p.old), NewN: len(p.new), Limit: th.limit(p.key, class), P: 1, Status: Same}
	var assume benchmath.Assumption = benchmath.AssumeNothing
	if class == Virtual {
		assume = benchmath.AssumeExact
	}
	thresholds := &benchmath.Thresholds{CompareAlpha: alpha}
	old, new := benchmath.NewSample(slices.Clone(p.old), thresholds), benchmath.NewSample(slices.Clone(p.new), thresholds)
	was, is := assume.Summary(old, 0.95), assume.Summary(new, 0.95)
	row.Old, row.New = was.Center, is.Center
	row.Delta = percent(was.Center, is.Center)
	if class == Virtual {
		row.P, row.Lo, row.Hi = 0, row.Delta, row.Delta
		if was.Lo != was.Hi || is.Lo != is.Hi {
			row.Status = Unstable
			row.Why = fmt.Sprintf("not deterministic: old %v to %v, new %v to %v", was.Lo, was.Hi, is.Lo, is.Hi)
		}
		return row
	}
	row.Lo, row.Hi = interval(p)
	row.P = assume.Compare(old, new).P
	row.Status, row.Why = measurable(row)
	if class != Allocation && row.Status == Same && row.Lo <= 0 && row.Hi >= 0 {
		row.P = 1 // whatever the test says, the change may be none
	}
	return row
}

// interval is the 95 % interval of the change in percent. Outputs are written in turns, so the samples of equal rank
// were measured side by side: their ratio does not feel what slows both, and its median is what the interval is of.
// Outputs that were not written in turns only get a wider one.
func interval(p pairing) (lo, hi float64) {
	if len(p.old) != len(p.new) {
		was := benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(p.old), &benchmath.DefaultThresholds), 0.95)
		is := benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(p.new), &benchmath.DefaultThresholds), 0.95)
		lo, hi = percent(was.Hi, is.Lo), percent(was.Lo, is.Hi)
	} else {
		var changes []float64
		for i := range p.old {
			changes = append(changes, percent(p.old[i], p.new[i]))
		}
		change := benchmath.AssumeNothing.Summary(benchmath.NewSample(changes, &benchmath.DefaultThresholds), 0.95)
		lo, hi = change.Lo, change.Hi
	}
	if math.IsNaN(lo) || math.IsNaN(hi) || math.IsInf(lo, 0) || math.IsInf(hi, 0) { // too few samples
		return -unbounded, unbounded
	}
	return lo, hi
}

// measurable says whether the samples can show a difference of the size that matters.
func measurable(row Row) (Status, string) {
	least := 5 // with four samples a side no p below 0.01 exists
	if row.Class == Live {
		least = minLive
	}
	if n := min(row.OldN, row.NewN); n < least {
		return Unmeasurable, fmt.Sprintf("%d samples, want at least %d", n, least)
	}
	if row.Class == Allocation {
		return Same, ""
	}
	if half := row.Hi/2 - row.Lo/2; half > widest {
		if half > 1000 {
			return Unmeasurable, "the change has no interval"
		}
		return Unmeasurable, fmt.Sprintf("the change is known to ±%.0f%%, want ±%d%% or better", half, widest)
	}
	return Same, ""
}

// unbounded stands for an infinite percentage, which JSON does not have.
const unbounded = math.MaxFloat64

// percent is how much now differs from before, in percent of before.
func percent(before, now float64) float64 {
	switch {
	case now == before:
		return 0
	case before == 0:
		return math.Copysign(unbounded, now)
	}
	return 100 * (now - before) / math.Abs(before)
}

// holm raises the p of times and live rows, so that all of them together raise a false alarm no oftener than one
// row alone would.
func holm(rows []Row) {
	var noisy []*Row
	for i := range rows {
		if (rows[i].Class == Time || rows[i].Class == Live) && rows[i].Status != Unmeasurable {
			noisy = append(noisy, &rows[i])
		}
	}
	slices.SortStableFunc(noisy, func(a, b *Row) int {
		if a.P < b.P {
			return -1
		}
		if a.P > b.P {
			return 1
		}
		return 0
	})
	least := 0.0
	for i, row := range noisy {
		least = max(least, min(1, row.P*float64(len(noisy)-i)))
		row.P = least
	}
}

// settle decides what a row's numbers mean.
func settle(row *Row, better int, o Options) {
	if row.Status != Same {
		return
	}
	worse := row.Delta * float64(-better) // how much worse, in percent
	significant := row.P < alpha && math.Abs(worse) > row.Limit
	if row.Class == Allocation {
		least := map[string]float64{"allocs/op": minAllocs, "B/op": minBytes}[row.Unit]
		significant = significant && math.Abs(row.New-row.Old) >= least
	}
	switch {
	case !significant:
		return
	case row.Class == Virtual && o.accepts(row.Key):
		row.Status, row.Why = Accepted, "its golden table was redrawn with it"
	case worse < 0 && row.Class == Virtual:
		row.Status, row.Why = Unexplained, "better, but the golden table was not redrawn: run make golden and say why it moved"
	case worse < 0:
		row.Status = Improved
	default:
		row.Status = Regressed
		excuse(row, worse, o)
	}
}

// excuse looks for a waiver of a regression.
func excuse(row *Row, worse float64, o Options) {
	for _, w := range o.Waivers {
		switch {
		case !match(w.Row, row.Key.String()) || w.expired(o.Today):
		case worse <= w.CeilingPct:
			row.Status, row.Why = Waived, fmt.Sprintf("up to %g%% until %s: %s", w.CeilingPct, w.Expires, w.Reason)
			return
		default:
			row.Why = fmt.Sprintf("above the waiver's ceiling of %g%%", w.CeilingPct)
		}
	}
}

func (o Options) accepts(key Key) bool { return slices.Contains(o.Accepted, path.Base(key.Package)) }
