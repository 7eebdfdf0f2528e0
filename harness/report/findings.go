package report

import (
	"fmt"
	"strings"
)

// findings are what the cases of these suites advise: the smallest change of each deployment that does not fit, as it
// was planned anew, each change that helped when it was tried, and each promise that the cases kept together.
func (f *Facts) findings(suites ...string) []recommendation {
	out := []recommendation{}
	for _, suite := range suites {
		out = append(out, f.helped(suite)...)
		for _, t := range f.tests(suite) {
			for _, r := range t.Rows {
				if change := r.Cells["smallest change"]; change != "" && change != "-" {
					out = append(out, recommendation{r.Case + " fits with " + change, change,
						"without it " + r.Cells["missing"] + " are missing; with it the memory plan was made again and fits", r.Case})
				}
			}
			for _, p := range t.Promises {
				if p.Kept {
					out = append(out, recommendation{p.Says, "", "kept by the cases of " + t.Suite + "/" + t.Test, t.Test})
				}
			}
		}
	}
	return out
}

// helped are the changes that were tried on a suite's cases and that help, with the figures of before and after.
func (f *Facts) helped(suite string) []recommendation {
	var out []recommendation
	for _, t := range f.tests(suite) {
		for _, r := range t.Rows {
			if c := r.Cells; c["helps"] == "yes" {
				id, _, _ := strings.Cut(strings.TrimPrefix(r.Case, "of="), "/rule=")
				out = append(out, recommendation{id + ": " + c["change"], c["change"],
					fmt.Sprintf("%s (%s). Before: %s. After: %s. Tried by simulation, not on a server", c["why"], c["seen"], c["before"], c["after"]), r.Case})
			}
		}
	}
	return out
}

// findingsTable is the same for people.
func (f *Facts) findingsTable(suites ...string) *table {
	t := &table{Title: "Recommendations", Columns: []string{"recommendation", "evidence"}, Source: "Each was tried; nothing is recommended by rule of thumb."}
	for _, r := range f.findings(suites...) {
		t.add(r.Title, r.Evidence)
	}
	return t.orNil()
}
