package report

import (
	"fmt"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/claims"
)

const claimsSource = "Recomputed from the documents' own figures, or from the cases of these results: see `harness/claims`."

// claimsSection is the whole ledger.
func (f *Facts) claimsSection() section {
	return section{Title: "All claims", Text: []string{
		tally(f.Rulings),
		"“Arithmetic wrong” contradicts its own inputs; “not reproduced” is what our models say otherwise; a rate or time holds within 25 %, the bound of the models' backtests."},
		Table: claimsTable("Claims", f.Rulings)}
}

// claimsOf are the claims that the cases of some suites decide; of no suite, the count over all.
func (f *Facts) claimsOf(about string, suites ...string) section {
	s := section{Title: "Claims about " + about}
	if suites[0] == "" {
		s.Text = []string{tally(f.Rulings) + " Each stands in `" + claimsFile + "`."}
		return s
	}
	var own []claims.Ruling
	for _, r := range f.Rulings {
		for _, suite := range suites {
			if strings.Contains(r.Ours, `"`+suite) || suite == "configmatrix" && r.In == fixesFile && r.Ours == "" {
				own = append(own, r)
				break
			}
		}
	}
	s.Text = []string{tally(own) + " All stand in `" + claimsFile + "`."}
	s.Table = claimsTable(s.Title, own).orNil()
	return s
}

func tally(rulings []claims.Ruling) string {
	var parts []string
	for _, c := range claims.Tally(rulings) {
		parts = append(parts, fmt.Sprintf("%s %d", c.Verdict, c.N))
	}
	return fmt.Sprintf("%d claims of the older reports: %s.", len(rulings), strings.Join(parts, ", "))
}

func claimsTable(title string, rulings []claims.Ruling) *table {
	t := &table{Title: title, Columns: []string{"claim", "verdict", "says", "found here", "why", "where"}, Source: claimsSource}
	for _, r := range rulings {
		found := "–"
		if r.Found != nil {
			found = quantity(*r.Found, r.Unit)
		}
		t.add(r.Plain(), string(r.Verdict), strings.TrimSpace(string(r.Rel)+" "+quantity(r.Claimed, r.Unit)), found, r.Reason, r.Where)
	}
	return t
}

// quantity prints a figure with its unit, counts in full.
func quantity(x float64, unit string) string {
	if x == float64(int64(x)) {
		return count(x) + " " + unit
	}
	return figure(x) + " " + unit
}
