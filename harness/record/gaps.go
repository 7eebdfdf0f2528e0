package record

import (
	"math/bits"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// exactGaps is how many different gaps a Gaps holds exactly. Beyond it they are kept to three digits.
const exactGaps = 1 << 15

// Gaps is a multiset of inter-token gaps. Add(gap, n) records the gap n times: all decodes of a step share one. It is
// exact for short runs; a long one is a histogram of bounded size, each gap within 0.1 %. Count and Max are always exact.
// Its bars are those of an HDR histogram of three digits; a library's cannot be asked where a bar ends, which adding a whole
// progression of gaps needs.
type Gaps struct {
	Count int64
	Sum   units.Span
	Max   units.Span
	Items []GapCount

	bars []int64 // once there are too many for Items
}

// GapCount is one gap and how often it was seen.
type GapCount struct {
	Gap units.Span `json:"ps"`
	N   int64      `json:"n"`
}

// Grow makes room for so many different gaps, if that many are held exactly.
func (g *Gaps) Grow(n int) { g.Items = slices.Grow(g.Items, min(n, exactGaps-len(g.Items))) }

// Add records gap n times.
func (g *Gaps) Add(gap units.Span, n int64) {
	g.Count += n
	g.Sum += gap * units.Span(n)
	g.Max = max(g.Max, gap)
	if g.bars == nil {
		g.keep(gap, n)
		return
	}
	bar, _ := barOf(gap)
	g.count(bar, n)
}

// AddRising records steps gaps, n times each, of which each is longer than the one before by rise ≥ 0. In a histogram that
// costs as much as the bars they fall into.
func (g *Gaps) AddRising(gap, rise units.Span, steps int, n int64) {
	k := units.Span(steps)
	g.Count += n * int64(steps)
	g.Sum += units.Span(n) * (k*gap + rise*(k*(k-1)/2))
	g.Max = max(g.Max, gap+rise*(k-1))
	for ; steps > 0 && g.bars == nil; steps-- {
		g.keep(gap, n)
		gap += rise
	}
	for steps > 0 {
		bar, beyond := barOf(gap)
		m := steps
		if gap+rise*units.Span(m-1) >= beyond {
			m = int(units.CeilDiv(beyond-gap, rise))
		}
		g.count(bar, n*int64(m))
		gap += rise * units.Span(m)
		steps -= m
	}
}

// keep puts a gap into Items.
func (g *Gaps) keep(gap units.Span, n int64) {
	if k := len(g.Items) - 1; k >= 0 && g.Items[k].Gap == gap {
		g.Items[k].N += n
		return
	}
	if len(g.Items) < exactGaps {
		if len(g.Items) == cap(g.Items) {
			g.Items = slices.Grow(g.Items, min(max(64, 3*len(g.Items)), exactGaps-len(g.Items)))
		}
		g.Items = append(g.Items, GapCount{gap, n})
		return
	}
	g.Coarsen()
	bar, _ := barOf(gap)
	g.count(bar, n)
}

// Coarsen turns it into a histogram now, so that all gaps of a run of unknown length are held alike.
func (g *Gaps) Coarsen() {
	items := g.Items
	g.Items, g.bars = nil, []int64{}
	for _, it := range items {
		bar, _ := barOf(it.Gap)
		g.count(bar, it.N)
	}
}

// count adds to a bar.
func (g *Gaps) count(bar int, n int64) {
	if bar >= len(g.bars) {
		g.bars = append(g.bars, make([]int64, bar+1-len(g.bars))...)
	}
	g.bars[bar] += n
}

// A bar is as wide as the lowest of a gap's leading digits: the number of its nanoseconds has so many bits, the first of
// them set unless all of them fit.
const barDigits = 11

// barOf is the bar into which a gap falls, and the first gap that lies beyond it.
func barOf(gap units.Span) (bar int, beyond units.Span) {
	ns := uint64(max(gap, 0) / units.Nanosecond)
	cut := max(0, bits.Len64(ns)-barDigits)
	lead := ns >> cut
	return cut<<(barDigits-1) + int(lead), units.Span((lead+1)<<cut) * units.Nanosecond
}

// middle is the middle of a bar.
func middle(bar int) units.Span {
	cut := max(0, bar>>(barDigits-1)-1)
	low := (bar - cut<<(barDigits-1)) << cut
	return units.Span(low+(1<<cut-1)/2) * units.Nanosecond
}

// Settle writes a histogram out into Items, after the last Add.
func (g *Gaps) Settle() {
	if g.bars == nil {
		return
	}
	g.Items = g.Items[:0]
	for bar, n := range g.bars {
		if n > 0 {
			g.Items = append(g.Items, GapCount{Gap: min(middle(bar), g.Max), N: n})
		}
	}
}

// Clone returns a copy that can be added to on its own.
func (g *Gaps) Clone() Gaps {
	c := *g
	c.Items, c.bars = slices.Clone(g.Items), slices.Clone(g.bars)
	return c
}
