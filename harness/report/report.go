// Package report is how results look: the same facts as JSON for programs, Markdown for readers, one page for a browser.
//
//	results, err := report.Read("results")    // what `go test ./suites/... -results results` left
//	facts, err := report.Gather(results, now) // every figure is computed here, once
//	err = facts.Write("out")                  // six JSON documents, eight Markdown files, index.html
//
// A figure is a fact of one case and keeps the text in which the golden table shows it, so that the forms cannot
// differ. The reports have no "approved": a verdict per promise says what it rests on and how wrong the model is.
//
// testdata/browser.mjs tries the page in a real Chromium.
//
// Start at Gather; pages.go says what stands where, json.go what programs read, pictures.go what is drawn.
package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/testing-symbiote/symbiote/harness/claims"
)

// Facts are everything that a report says.
type Facts struct {
	Stamp   string // RFC 3339, UTC
	Tests   []Test // of one backend, in the order of the phases
	Others  []Test // of a second backend: measured beside simulated
	Serving *Serving
	Memory  *MemoryError
	Rulings []claims.Ruling

	phases []phase
}

// Gather computes the facts of a results folder. Where both a simulator's and another backend's results are present,
// the simulator's are the report and the other's stand beside them.
func Gather(r Results, now time.Time) (*Facts, error) {
	f := &Facts{Stamp: now.UTC().Format(time.RFC3339), Serving: r.Serving, Memory: r.Memory, phases: phases()}
	backends := map[string][]Test{}
	var order []string
	for _, t := range r.Tests {
		if backends[t.Backend] == nil {
			order = append(order, t.Backend)
		}
		backends[t.Backend] = append(backends[t.Backend], t)
	}
	main := order[0] // of a folder without a simulator's results, the first that was read
	for _, b := range order {
		if b == "sim" {
			main = b
		}
	}
	f.Tests = backends[main]
	slices.SortStableFunc(f.Tests, func(a, b Test) int { // in each suite the table of the phase's own cases leads
		if a.Suite != b.Suite {
			return 0
		}
		return cmp.Compare(f.own(b), f.own(a))
	})
	for _, b := range order {
		if b != main {
			f.Others = append(f.Others, backends[b]...)
		}
	}
	var err error
	if f.Rulings, err = claims.Judge(f.figures); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return f, nil
}

// own counts the rows of a table that are cases of its phase.
func (f *Facts) own(t Test) int {
	n := 0
	for _, id := range f.phase(t.Suite).ids {
		for i := range t.Rows {
			if t.Rows[i].is(id) {
				n++
				break
			}
		}
	}
	return n
}

// Backend names where the figures come from.
func (f *Facts) Backend() string { return f.Tests[0].Backend }

// origin is Backend for a reader.
func (f *Facts) origin() string {
	if f.Backend() == "sim" {
		return "simulated"
	}
	return "measured (" + f.Backend() + ")"
}

// Outcome is a report in one line.
type Outcome struct {
	Tests   int    `json:"tests"`
	Passed  int    `json:"passed"`
	Missing int    `json:"missing"`
	Broken  int    `json:"broken_promises"` // of the cases together
	Claims  int    `json:"claims"`
	Backend string `json:"backend"`
}

// Outcome counts what the report holds.
func (f *Facts) Outcome() Outcome {
	o := Outcome{Claims: len(f.Rulings), Backend: f.Backend()}
	for _, p := range f.phases {
		o.Broken += len(f.broken(p.suite))
		for _, id := range p.ids {
			switch {
			case f.row(p.suite, id) == nil:
				o.Missing++
			case f.kept(p.suite, id):
				o.Passed++
				o.Tests++
			default:
				o.Tests++
			}
		}
	}
	return o
}

func (o Outcome) String() string {
	s := fmt.Sprintf("%d of %d cases keep their promise (%s)", o.Passed, o.Tests, o.Backend)
	if o.Broken > 0 {
		s += fmt.Sprintf("; %d promises of cases together are broken", o.Broken)
	}
	if o.Missing > 0 {
		s += fmt.Sprintf("; %d of the 123 are missing", o.Missing)
	}
	return s + fmt.Sprintf("; %d claims judged", o.Claims)
}
