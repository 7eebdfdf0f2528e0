package stats

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// A value found by rank is the value that a sort would put there, whatever the order and however many are equal.
func TestPlaceIsASort(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			var items []record.GapCount
			var all []units.Span
			for range 1 + r.IntN(500) {
				it := record.GapCount{Gap: units.Span(r.Int64N(1 + r.Int64N(1000))), N: 1 + r.Int64N(3)}
				items = append(items, it)
				for range it.N {
					all = append(all, it.Gap)
				}
			}
			slices.Sort(all)
			var ranks []int64
			for range 1 + r.IntN(10) {
				ranks = append(ranks, r.Int64N(int64(len(all))))
			}
			slices.Sort(ranks)
			var want []units.Span
			for _, k := range ranks {
				want = append(want, all[k])
			}
			require.Equal(t, want, place(items, ranks))
		})
	}
}

// A run too long to keep every gap is summarized within the stated error, its count and its maximum exactly.
func TestLongRunsAreWithinAThousandth(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	var g record.Gaps
	var exact []units.Span
	for range 300_000 {
		v := units.Span(r.ExpFloat64() * 20 * float64(units.Millisecond))
		g.Add(v, 1)
		exact = append(exact, v)
	}
	g.Settle()
	want, got := Of(NearestRank, exact), OfGaps(NearestRank, g)
	require.Less(t, len(g.Items), 1<<17, "bounded")
	require.Equal(t, want.N, got.N)
	require.Equal(t, want.Max, got.Max)
	for _, pair := range [][2]units.Span{{want.Mean, got.Mean}, {want.P50, got.P50}, {want.P90, got.P90}, {want.P95, got.P95}, {want.P99, got.P99}} {
		require.InEpsilon(t, float64(pair[0]), float64(pair[1]), 1e-3)
	}
}

// The latencies of requests that left late are told apart from their service times, whenever the first of them comes.
func TestServiceTimesFromTheFirstLateRequestOn(t *testing.T) {
	c := NewStream(NearestRank)
	answer := func(lag units.Span) *record.Record {
		return &record.Record{Sent: units.Time(lag), First: units.Time(lag + 10*ms), Last: units.Time(lag + 20*ms), Output: 2}
	}
	for range 5 {
		c.Add(answer(0))
	}
	c.Add(answer(30 * ms))
	s := c.Summary(&record.Run{})
	require.Equal(t, 40*ms, s.TTFT.Max)
	require.Equal(t, 10*ms, s.ServiceTTFT.Max)
	require.EqualValues(t, 6, s.ServiceTTFT.N)
	require.Equal(t, 30*ms, s.Lag.Max)
}
