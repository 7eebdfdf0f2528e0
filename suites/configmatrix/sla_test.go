package configmatrix

import (
	"fmt"
	"testing"

	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// TestSLA asks how long other volumes take at the rate that the job with a deadline reached.
func TestSLA(t *testing.T) {
	s := spec()
	s.Asks = "How long do so many rows take, and what is left of 24 hours?"
	s.Cases, s.Promises, s.Columns = []suite.Case{sla()}, nil, nil
	for _, rows := range []float64{1e5, 1e6, 1e7, 1.7e7} {
		time := func(r suite.Result) units.Span { return units.Seconds(rows / rps(r)) }
		s.Columns = append(s.Columns,
			suite.Span(fmt.Sprintf("%gM rows", rows/1e6), "", time),
			suite.Share(fmt.Sprintf("margin %gM", rows/1e6), "", suite.Higher, func(r suite.Result) float64 { return 1 - time(r).Seconds()/day }))
	}
	s.Columns = append(s.Columns, suite.Figure("rows in 24h", func(r suite.Result) float64 { return day * rps(r) }))
	suite.Run(t, s)
}
