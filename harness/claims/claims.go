// Package claims holds what the two reports that this project grew from assert, and judges each claim.
//
//	rulings, err := claims.Judge(figures) // figures: what the cases of our own suites found
//	fmt.Println(rulings[0].Verdict)       // arithmetic wrong
//
// A claim is a quote with its number marked in it, so no number is typed twice. It is judged by two formulas: Own
// recomputes it from other numbers of the same documents, Ours from the figures of our cases; a claim that has
// neither says why it cannot be tested. A printed number stands for all that round to it: 9.9 is 9.85 to 9.95, and
// arithmetic is only called wrong when no reading of the printed inputs gives a reading of the printed result.
//
// Start at Ledger (the data: fixes.go, index.go, phases.go), then Judge.
package claims

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// Document is one of the two reports, as it was handed over.
type Document struct {
	Name string
	Text string
}

//go:embed testdata/SYMBIOTE_FIXES_REPORT.md
var fixesText string

//go:embed testdata/TESTING_ARTIFACTS_INDEX.md
var indexText string

// Documents returns both reports.
func Documents() []Document {
	return []Document{{fixes, fixesText}, {index, indexText}}
}

const (
	fixes = "SYMBIOTE_FIXES_REPORT.md"
	index = "TESTING_ARTIFACTS_INDEX.md"
)

// Relation is how a claim binds its number.
type Relation string

const (
	Equals  Relation = ""
	AtLeast Relation = "≥"
	AtMost  Relation = "≤"
	Below   Relation = "<"
	Above   Relation = ">"
)

// Claim is one numeric assertion.
type Claim struct {
	ID    string
	In    string // the document
	After string // a line above the quote, where the quote alone is not unique
	Quote string // verbatim but for «» around the number
	Says  string // a formula, where the number is a word ("linear", "three") or must be scaled
	Rel   Relation
	Exact bool // a count or a chosen input: no rounding
	Unit  string

	Own    string  // a formula over the claims of both documents: is it right by its own inputs?
	Ours   string  // a formula over the figures of our cases: do our models find it?
	Within float64 // how far ours may be off, relative to the claim; 0 = Tolerance
	Why    string  // the mechanism behind a no, or why it cannot be tested
}

// Tolerance is how far one of our figures may be from a claim that still holds: the bound that the backtests of
// the serving and pipeline models use.
const Tolerance = 0.25

// Ledger is every claim, in the order of the documents.
func Ledger() []Claim {
	return slices.Concat(fixesClaims(), fixesDecisions(), indexClaims(), indexPhases())
}

// Line is where the claim stands in its document, counted from 1.
func (c Claim) Line() (int, error) {
	text := ""
	for _, d := range Documents() {
		if d.Name == c.In {
			text = d.Text
		}
	}
	from := 0
	if c.After != "" {
		at := strings.Index(text, c.After)
		if at < 0 {
			return 0, fmt.Errorf("claim %s: %s has no line %q", c.ID, c.In, c.After)
		}
		from = at + len(c.After)
	}
	plain := strings.NewReplacer("«", "", "»", "").Replace(c.Quote)
	at := strings.Index(text[from:], plain)
	if at < 0 {
		return 0, fmt.Errorf("claim %s: %s does not say %q", c.ID, c.In, plain)
	}
	return 1 + strings.Count(text[:from+at], "\n"), nil
}

// Plain is the quote as it stands in the document.
func (c Claim) Plain() string { return strings.NewReplacer("«", "", "»", "").Replace(c.Quote) }
