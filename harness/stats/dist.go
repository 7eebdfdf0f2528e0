package stats

import (
	"encoding/json"
	"math"
	"math/bits"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Method is a way to read a percentile off a sample.
type Method int

const (
	NearestRank Method = iota // the smallest value with at least this share at or below it: always one that was seen
	Linear                    // interpolated between neighbours, as numpy does and most published figures are
)

// Dist is what is said of a distribution. N = 0 is a distribution of nothing, whose figures are not defined.
type Dist struct {
	N                             int64
	Mean, P50, P90, P95, P99, Max units.Span
}

// Of summarizes a sample.
func Of(m Method, sample []units.Span) Dist {
	if len(sample) == 0 {
		return Dist{}
	}
	items := make([]record.GapCount, len(sample))
	for i, s := range sample {
		items[i] = record.GapCount{Gap: s, N: 1}
	}
	d := read(m, int64(len(items)), func(ranks []int64) []units.Span { return place(items, ranks) })
	d.Mean = mean(sample)
	return d
}

// OfGaps summarizes weighted gaps exactly, without writing each of them out.
func OfGaps(m Method, g record.Gaps) Dist {
	g.Items = slices.Clone(g.Items)
	return ofOwn(m, &g)
}

// ofOwn is OfGaps of gaps whose order nobody needs: it reorders them.
func ofOwn(m Method, g *record.Gaps) Dist {
	if g.Count == 0 {
		return Dist{}
	}
	n := int64(0)
	for _, it := range g.Items {
		n += it.N
	}
	d := read(m, n, func(ranks []int64) []units.Span { return place(g.Items, ranks) })
	d.Mean = meanGap(g.Items, n)
	d.Max = max(d.Max, g.Max) // exact also where the others are not
	return d
}

// meanGap sums in 128 bits: a long run of many requests waits for more than 106 days in all.
func meanGap(items []record.GapCount, n int64) units.Span {
	var high, low uint64
	for _, it := range items {
		h, l := bits.Mul64(uint64(it.Gap), uint64(it.N))
		var carry uint64
		low, carry = bits.Add64(low, l, 0)
		high += h + carry
	}
	q, rest := bits.Div64(high, low, uint64(n))
	if rest >= uint64(n-n/2) {
		q++
	}
	return units.Span(q)
}

// read takes the percentiles of n values; at finds the values at rising ranks.
func read(m Method, n int64, at func([]int64) []units.Span) Dist {
	percents := [...]int64{50, 90, 95, 99}
	ranks := make([]int64, 0, 2*len(percents)+1)
	for _, p := range percents {
		if m == NearestRank {
			ranks = append(ranks, (n*p+99)/100-1)
		} else {
			low := (n - 1) * p / 100
			ranks = append(ranks, low, min(low+1, n-1))
		}
	}
	ranks = append(ranks, n-1)
	slices.Sort(ranks) // of few values, neighbours overlap
	values := at(ranks)
	value := func(rank int64) units.Span {
		i, _ := slices.BinarySearch(ranks, rank)
		return values[i]
	}
	p := func(percent int64) units.Span {
		if m == NearestRank {
			return value((n*percent+99)/100 - 1)
		}
		rank := (n - 1) * percent // in hundredths
		low := value(rank / 100)
		return low + units.Span(math.Round(float64(value(min(rank/100+1, n-1))-low)*float64(rank%100)/100))
	}
	return Dist{N: n, P50: p(50), P90: p(90), P95: p(95), P99: p(99), Max: value(n - 1)}
}

// mean is exact to the picosecond whatever the order: the sum is kept in two integers.
func mean(sample []units.Span) units.Span {
	n := units.Span(len(sample))
	var whole, rest units.Span
	for _, s := range sample {
		whole += s / n
		rest += s % n
	}
	return whole + (rest+n/2)/n
}

// Percentile reads one percentile, 0 to 100, off sorted values.
func Percentile(m Method, sorted []float64, percent float64) float64 {
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	if m == NearestRank {
		return sorted[min(max(int(math.Ceil(float64(n)*percent/100))-1, 0), n-1)]
	}
	rank := float64(n-1) * percent / 100
	i := min(max(int(rank), 0), n-1)
	return sorted[i] + float64((rank-float64(i))*(sorted[min(i+1, n-1)]-sorted[i]))
}

// MarshalJSON writes milliseconds, and null for a distribution of nothing.
func (d Dist) MarshalJSON() ([]byte, error) {
	if d.N == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(struct {
		Mean float64 `json:"mean"`
		P50  float64 `json:"p50"`
		P90  float64 `json:"p90"`
		P95  float64 `json:"p95"`
		P99  float64 `json:"p99"`
		Max  float64 `json:"max"`
	}{d.Mean.Milliseconds(), d.P50.Milliseconds(), d.P90.Milliseconds(), d.P95.Milliseconds(), d.P99.Milliseconds(), d.Max.Milliseconds()})
}
