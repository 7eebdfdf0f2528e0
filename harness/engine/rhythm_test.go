package engine

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// A rhythm counts its results as somebody would who looks at one after the other, short or long, flat or steep.
func TestARhythmIsCounted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		h := rhythm{units.Time(r.Int64N(1 << 50)), 1 + units.Span(r.Int64N(1<<r.IntN(40))), units.Span(r.Int64N(1 << r.IntN(30)))}
		if r.IntN(3) == 0 {
			h.rise = 0
		}
		most := 1 + r.IntN(1<<r.IntN(14))
		limit := h.at(r.IntN(most + 1)).Add(units.Span(r.IntN(3)) - 1)
		if r.IntN(10) == 0 {
			limit = math.MaxInt64 - units.Time(r.Int64N(1<<r.IntN(60)))
		}
		want, at, gap := 0, h.first, h.gap
		for want < most && at <= limit {
			require.Equal(t, at, h.at(want))
			want, at, gap = want+1, at.Add(gap), gap+h.rise
		}
		require.Equal(t, want, h.until(limit, most), "%+v up to %d of %d", h, limit, most)
	}
}

// The sums over numbers a stride apart are what adding them up gives.
func TestNumbersAStrideApartAreSummed(t *testing.T) {
	for from := range 20 {
		for stride := range 33 {
			sum, pairs := 0, 0
			for n := range 40 {
				gotSum, gotPairs := along(from, stride, n)
				require.Equal(t, [2]int{sum, pairs}, [2]int{gotSum, gotPairs}, "%d numbers from %d on, %d apart", n, from, stride)
				i := from + n*stride
				sum, pairs = sum+i, pairs+i*(i-1)/2
			}
		}
	}
}
