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

// aloneNeverFaster: a lone prompt gains nothing from chunks but what larger matrices lose. The tolerance is that loss:
// this card's matrix curve is an L40S's, which is measured a quarter less efficient at 8,192 rows than at 256 (a card
// at its power limit), and the tables are good to 18 %. With a budget that holds the prompt, nothing changes at all.
func aloneNeverFaster(model string, prompt int) suite.Promise {
	const tolerance = 1.18
	return suite.Promise{
		Says: fmt.Sprintf("a lone %d-token prompt on %s is not faster in chunks (within 18%%, the error of the kernel tables)", prompt, model),
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
