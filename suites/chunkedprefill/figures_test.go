package chunkedprefill

import (
	"fmt"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
)

func aloneTTFT(r suite.Result) units.Span { s, _ := r.Also[0].Requests[0].TTFT(); return s }
func promptTTFT(r suite.Result) units.Span {
	s, _ := theLongest(r.Run).TTFT()
	return s
}
func theLongest(run *record.Run) *record.Record {
	longest := &run.Requests[0]
	for i := range run.Requests {
		if run.Requests[i].Prompt > longest.Prompt {
			longest = &run.Requests[i]
		}
	}
	return longest
}
func itl(r suite.Result) stats.Dist          { return r.Summary.ITL }
func longestStall(r suite.Result) units.Span { return r.Summary.LongestGap }
func activation(r suite.Result) float64      { return float64(r.Plan.Activation) }
func nanoseconds(of func(suite.Result) units.Span) func(suite.Result) float64 {
	return func(r suite.Result) float64 { return float64(of(r)) / float64(units.Nanosecond) }
}

// aloneNeverFaster: without chunks a lone prompt is as fast as with any, up to the overhead of one step. The tolerance
// is 2 %: other budgets pad and capture other step shapes. With a budget that holds the prompt, nothing changes at all.
func aloneNeverFaster(model string, prompt int) suite.Promise {
	const tolerance = 1.02
	return suite.Promise{
		Says: fmt.Sprintf("a lone %d-token prompt on %s is not faster in chunks (within 2%%)", prompt, model),
		Check: func(rs suite.Results) error {
			whole := aloneTTFT(rs.Of(name(model, prompt, "no_chunking")))
			for _, g := range strategies()[1:] {
				chunked := aloneTTFT(rs.Of(name(model, prompt, g.name)))
				if float64(whole) > float64(float64(chunked)*tolerance) || g.name == "token_budget" && prompt <= 2048 && whole != chunked {
					return fmt.Errorf("%v whole, %v with %s", whole, chunked, g.name)
				}
			}
			return nil
		},
	}
}
