// Package advise says which change to a deployment helps; every piece of advice was tried before it is given.
//
//	advice, err := advise.On(evidence, advise.Rules(), try) // try predicts a changed deployment
//	fmt.Println(advice.Given[0]) // raise --max-num-seqs to 64: … goodput 31.2/s → 58.9/s
//
// A rule proposes; the figures of the changed case decide. What was proposed and did not help is listed beside it, so
// that nobody has to try it again. The package knows no backend: try is the caller's.
package advise

import (
	"fmt"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/stats"
)

// Evidence is what a deployment came to under one workload and one SLO.
type Evidence struct {
	Deployment deploy.Deployment // resolved
	Failure    *failure.Error    // it does not start; what follows is then empty
	Summary    stats.Summary
	Verdict    slo.Verdict
}

// Advice is a change that was tried and helps.
type Advice struct {
	Rule     string
	What     string // the change, in vLLM's flags
	Why      string
	Evidence string // what in the run made the rule speak
	Before   Figures
	After    Figures
}

// Figures are what advice is judged by.
type Figures struct {
	Starts  bool
	Share   float64 // of the requests that met the SLO, 0 to 1
	Goodput float64 // requests a second that met it
	Target  slo.Target
}

// Report is what was proposed, in the order of the rules: what helps, and what does not.
type Report struct {
	Given   []Advice
	Useless []Advice // tried, and no better under the same SLO
}

// Try predicts a changed deployment under the same workload and SLO.
type Try func(deploy.Deployment) (Evidence, error)

// On asks every rule that applies to the evidence, tries what it proposes, and gives what helps.
func On(e Evidence, rules []Rule, try Try) (Report, error) {
	var rep Report
	before := figures(e)
	for _, r := range rules {
		evidence, applies := r.When(e)
		if !applies {
			continue
		}
		changed := e.Deployment
		what := r.Change(&changed)
		if what == "" {
			continue // already there
		}
		tried, err := try(changed)
		if err != nil {
			return rep, fmt.Errorf("advise: %s: %w", r.Name, err)
		}
		a := Advice{Rule: r.Name, What: what, Why: r.Why, Evidence: evidence, Before: before, After: figures(tried)}
		if a.After.better(before, r.Least) {
			rep.Given = append(rep.Given, a)
		} else {
			rep.Useless = append(rep.Useless, a)
		}
	}
	return rep, nil
}

func figures(e Evidence) Figures {
	return Figures{Starts: e.Failure == nil, Share: e.Verdict.Share, Goodput: e.Verdict.GoodputPerSec, Target: e.Verdict.Target}
}

// better: it starts where it did not, or more requests meet the SLO by at least that share and the rate at which they do
// does not fall by a hundredth, or the other way round.
func (f Figures) better(before Figures, least float64) bool {
	const noise = 0.01
	least = max(least, noise)
	if f.Starts != before.Starts {
		return f.Starts
	}
	share := f.Share - before.Share
	goodput := f.Goodput - before.Goodput
	return share >= least && goodput >= -float64(noise*before.Goodput) || share >= -noise && goodput >= float64(least*before.Goodput) && goodput > 0
}

func (f Figures) String() string {
	if !f.Starts {
		return "does not start"
	}
	if f.Target.Empty() {
		return fmt.Sprintf("%.1f%% answered, %.3g/s", 100*f.Share, f.Goodput)
	}
	return fmt.Sprintf("%.1f%% met the SLO, goodput %.3g/s", 100*f.Share, f.Goodput)
}

func (a Advice) String() string {
	return fmt.Sprintf("%s: %s (%s). Before: %v. After: %v", a.What, a.Why, a.Evidence, a.Before, a.After)
}
