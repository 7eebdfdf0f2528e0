package record

import (
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// exactGaps is how many different gaps a Gaps holds exactly. Beyond it they are kept to three digits.
const exactGaps = 1 << 15

// Gaps is a multiset of inter-token gaps. Add(gap, n) records the gap n times: all decodes of a step share one. It is
// exact for short runs; a long one is a histogram of bounded size, each gap within 0.1 %. Count and Max are always exact.
type Gaps struct {
	Count int64
	Sum   units.Span
	Max   units.Span
	Items []GapCount

	hdr *hdrhistogram.Histogram // nanoseconds
}

// GapCount is one gap and how often it was seen.
type GapCount struct {
	Gap units.Span `json:"ps"`
	N   int64      `json:"n"`
}

// Add records gap n times.
func (g *Gaps) Add(gap units.Span, n int64) {
	g.Count += n
	g.Sum += gap * units.Span(n)
	g.Max = max(g.Max, gap)
	if g.hdr != nil {
		g.record(gap, n)
		return
	}
	if k := len(g.Items) - 1; k >= 0 && g.Items[k].Gap == gap {
		g.Items[k].N += n
		return
	}
	g.Items = append(g.Items, GapCount{gap, n})
	if len(g.Items) > exactGaps {
		g.hdr = hdrhistogram.New(1, int64(100*units.Second*3600/units.Nanosecond), 3)
		for _, it := range g.Items {
			g.record(it.Gap, it.N)
		}
		g.Items = nil
	}
}

func (g *Gaps) record(gap units.Span, n int64) {
	v := max(int64(gap/units.Nanosecond), 0)
	if err := g.hdr.RecordValues(min(v, g.hdr.HighestTrackableValue()), n); err != nil {
		panic(err) // the value is within the bounds
	}
}

// Settle writes a histogram out into Items, after the last Add.
func (g *Gaps) Settle() {
	if g.hdr == nil {
		return
	}
	g.Items = g.Items[:0]
	for _, bar := range g.hdr.Distribution() {
		if bar.Count > 0 {
			gap := units.Span((bar.From+bar.To)/2) * units.Nanosecond
			g.Items = append(g.Items, GapCount{Gap: min(gap, g.Max), N: bar.Count})
		}
	}
}

// Clone returns a copy that can be added to on its own.
func (g *Gaps) Clone() Gaps {
	c := *g
	c.Items = slices.Clone(g.Items)
	if g.hdr != nil {
		c.hdr = hdrhistogram.Import(g.hdr.Export())
	}
	return c
}
