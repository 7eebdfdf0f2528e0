package claims

import (
	"errors"
	"fmt"
	"strings"
)

// Verdict is what became of a claim.
type Verdict string

const (
	Holds           Verdict = "holds"
	ArithmeticWrong Verdict = "arithmetic wrong" // contradicts its own inputs
	NotReproduced   Verdict = "not reproduced"   // our models say otherwise
	NotTestable     Verdict = "not testable"
)

// Ruling is a claim with its verdict and what it rests on.
type Ruling struct {
	Claim
	Where   string // document:line
	Claimed float64
	Found   *float64 // recomputed, or found by our cases; nil where there is neither
	Checked string   // the formula that decided
	Verdict Verdict
	Reason  string
}

// Judge rules on every claim of the ledger. An error is a mistake in the ledger itself.
func Judge(figures Figures) ([]Ruling, error) {
	byID := map[string]Claim{}
	for _, c := range Ledger() {
		byID[c.ID] = c
	}
	var all []Ruling
	for _, c := range Ledger() {
		r, err := (&scope{claims: byID, figures: figures}).judge(c)
		if err != nil {
			return nil, fmt.Errorf("claim %s: %w", c.ID, err)
		}
		all = append(all, r)
	}
	return all, nil
}

func (s *scope) judge(c Claim) (Ruling, error) {
	line, err := c.Line()
	if err != nil {
		return Ruling{}, err
	}
	says, err := s.says(c)
	if err != nil {
		return Ruling{}, err
	}
	r := Ruling{Claim: c, Where: fmt.Sprintf("%s:%d", c.In, line), Claimed: says.middle(), Verdict: NotTestable, Reason: c.Why}
	if c.Own != "" {
		own, err := s.eval(c.Own)
		if err != nil {
			return r, err
		}
		r.decide(says.agrees(c.Rel, own), own.middle(), c.Own, ArithmeticWrong, s.used)
		if r.Verdict == ArithmeticWrong {
			return r, nil
		}
	}
	if c.Ours == "" {
		return r, nil
	}
	s.used = nil
	ours, err := s.eval(c.Ours)
	var absent missing
	switch {
	case errors.As(err, &absent):
		if c.Own == "" {
			r.Checked, r.Reason = c.Ours, absent.Error()
		}
		return r, nil
	case err != nil:
		return r, err
	}
	share := c.Within
	if share == 0 {
		share = Tolerance
	}
	r.decide(says.within(c.Rel, share, ours.middle()), ours.middle(), c.Ours, NotReproduced, s.used)
	return r, nil
}

// decide notes what was computed. A yes rests on the figures, a no on the mechanism as well.
func (r *Ruling) decide(yes bool, found float64, formula string, no Verdict, used []string) {
	r.Found, r.Checked = &found, formula
	r.Reason = strings.Join(used, "; ")
	if r.Reason == "" {
		r.Reason = "= " + formula
	}
	if yes {
		r.Verdict = Holds
		return
	}
	r.Verdict = no
	if r.Why != "" {
		r.Reason = r.Why + " (" + r.Reason + ")"
	}
}

// Tally counts the verdicts, in the order in which they are declared.
func Tally(rulings []Ruling) []Count {
	all := []Count{{Holds, 0}, {ArithmeticWrong, 0}, {NotReproduced, 0}, {NotTestable, 0}}
	for _, r := range rulings {
		for i := range all {
			if all[i].Verdict == r.Verdict {
				all[i].N++
			}
		}
	}
	return all
}

// Count is how often a verdict was given.
type Count struct {
	Verdict Verdict
	N       int
}
