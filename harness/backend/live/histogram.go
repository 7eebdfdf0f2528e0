package live

import (
	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// histogram holds gaps to three digits in bounded memory, however long the run. Sum and maximum are exact.
type histogram struct {
	hdr *hdrhistogram.Histogram // nanoseconds, up to an hour
	sum units.Span
	max units.Span
}

const hour = int64(3600e9)

func newHistogram() *histogram { return &histogram{hdr: hdrhistogram.New(1, hour, 3)} }

func (h *histogram) add(gap units.Span, n int) {
	h.sum += gap * units.Span(n)
	h.max = max(h.max, gap)
	// A gap is within the bounds after this, so that the error cannot be.
	if err := h.hdr.RecordValues(min(max(int64(gap/units.Nanosecond), 0), hour), int64(n)); err != nil {
		panic(err)
	}
}

// pooled is the histogram as the multiset that a Run holds.
func (h *histogram) pooled() record.Gaps {
	g := record.Gaps{Count: h.hdr.TotalCount(), Sum: h.sum, Max: h.max}
	for _, bar := range h.hdr.Distribution() {
		if bar.Count > 0 {
			g.Items = append(g.Items, record.GapCount{Gap: units.Span((bar.From+bar.To)/2) * units.Nanosecond, N: bar.Count})
		}
	}
	return g
}
