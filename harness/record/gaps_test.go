package record_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Rising gaps told at once are the same multiset as told one by one, while it is exact, as it turns into a histogram, and
// after; the histogram is within 0.1 % of each gap.
func TestRisingGapsAreTheirGaps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var one, run record.Gaps
	var all []units.Span
	last := units.Span(0)
	for range 1000 {
		gap, rise := units.Span(r.Int64N(int64(units.Second)>>r.IntN(30))), units.Span(r.Int64N(int64(units.Millisecond)>>r.IntN(30)))
		if r.IntN(4) == 0 {
			rise = 0
		}
		if r.IntN(4) == 0 {
			gap = last // the gap before once more
		}
		steps, n := 1+r.IntN(300)>>r.IntN(4), 1+r.Int64N(50)
		last = gap + rise*units.Span(steps-1)
		run.AddRising(gap, rise, steps, n)
		for i := range steps {
			one.Add(gap+rise*units.Span(i), n)
			for range n {
				all = append(all, gap+rise*units.Span(i))
			}
		}
		a, b := one.Clone(), run.Clone()
		a.Settle()
		b.Settle()
		require.Equal(t, a.Count, b.Count)
		require.Equal(t, a.Sum, b.Sum)
		require.Equal(t, a.Max, b.Max)
		require.Equal(t, a.Items, b.Items)
	}
	slices.Sort(all)
	run.Settle()
	require.Less(t, len(run.Items), 1<<15, "a histogram")
	i := int64(0)
	for _, it := range run.Items {
		for _, gap := range []units.Span{all[i], all[i+it.N-1]} {
			require.InDelta(t, float64(gap), float64(it.Gap), max(0.001*float64(gap), float64(units.Nanosecond)))
		}
		i += it.N
	}
}

// A histogram from the start has the bars of one that became it.
func TestCoarsenedGapsAreAHistogram(t *testing.T) {
	var early, late record.Gaps
	early.Coarsen()
	for i := range 1000 {
		gap := units.Second + units.Span(i)*10*units.Microsecond
		early.Add(gap, 2)
		late.Add(gap, 2)
	}
	late.Coarsen()
	require.Equal(t, late, early)
	early.Settle()
	require.Less(t, len(early.Items), 1000)
	require.EqualValues(t, 2000, early.Count)
}
