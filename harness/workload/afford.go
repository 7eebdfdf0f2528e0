package workload

import "github.com/testing-symbiote/symbiote/harness/units"

// Slowed returns w with every rate divided by so much, for a server that is that much slower. What has no rate, a closed
// loop or a pipeline, paces itself and stays.
func Slowed(w Workload, by float64) Workload {
	l, ok := w.(Load)
	if !ok {
		return w
	}
	switch a := l.arrivals().(type) {
	case Constant:
		l.Arrivals = Constant{a.Rate / by}
	case Poisson:
		l.Arrivals = Poisson{a.Rate / by}
	case Gamma:
		l.Arrivals = Gamma{a.Rate / by, a.CV}
	case OnOff:
		a.OnRate, a.OffRate = a.OnRate/by, a.OffRate/by
		l.Arrivals = a
	case Profile:
		a.Base /= by
		l.Arrivals = a
	case Replay:
		if a.RateScale == 0 {
			a.RateScale = 1
		}
		a.RateScale /= by
		l.Arrivals = a
	}
	return l
}

// Fewer returns w with so large a share of its rows, but at least so many. A profile that says itself how many there are
// keeps its shape and its time, and loses rate; a list that is written out stays.
func Fewer(w Workload, share float64, least int) Workload {
	if share >= 1 {
		return w
	}
	keep := func(n int) int { return min(n, max(least, int(float64(share*float64(n))))) }
	switch w := w.(type) {
	case Load:
		switch rows := w.Rows.(type) {
		case Rows:
			if rows.Count == 0 {
				return Slowed(w, 1/share)
			}
			rows.Count = keep(rows.Count)
			w.Rows = rows
		case *Trace:
			w.Rows = rows.Head(keep(rows.Len()))
		}
		return w
	case Sessions:
		w.Count = keep(w.Count)
		return w
	case Pipeline:
		rows, ok := w.Rows.(Rows)
		if !ok {
			return w
		}
		before := rows.Count
		rows.Count = keep(before)
		if w.Blocks > 0 { // as many rows a block as before
			w.Blocks = max(1, units.CeilDiv(w.Blocks*rows.Count, before))
		}
		w.Rows = rows
		return w
	}
	return w
}
