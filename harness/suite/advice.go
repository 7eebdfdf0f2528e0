package suite

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/testing-symbiote/symbiote/golden"
	"github.com/testing-symbiote/symbiote/harness/advise"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/slo"
)

// Advise tries what the rules propose for each case of s, under the case's own workload and the Spec's SLO, and holds what
// came of it to a golden table. Reports recommend what helped, with the figures of before and after. It is simulated,
// whatever the tag: nobody's server is restarted to find out.
func Advise(t *testing.T, s Spec) {
	t.Helper()
	s.validate()
	by := "the rate at which requests met " + s.SLO.String()
	if s.SLO.Empty() {
		by = "the rate of answers"
	}
	table := golden.Table{
		Notes:   []string{s.Asks, "Simulated: each change was tried under the same load. Judged by " + by + "."},
		Columns: []string{"case", "change", "why", "seen", "before", "after", "helps"},
	}
	reports, errs := make([]advise.Report, len(s.Cases)), make([]error, len(s.Cases))
	var all sync.WaitGroup
	for i, c := range s.Cases {
		all.Go(func() { reports[i], errs[i] = c.advice(t.Context(), s.SLO) })
	}
	all.Wait()
	for i, c := range s.Cases {
		if errs[i] != nil {
			t.Fatal(c.Name, ": ", errs[i])
		}
		for _, part := range []struct {
			helps string
			of    []advise.Advice
		}{{"yes", reports[i].Given}, {"no", reports[i].Useless}} {
			for _, a := range part.of {
				name := "of=" + c.Name + "/rule=" + strings.ReplaceAll(a.Rule, " ", "-")
				table.Rows = append(table.Rows, golden.Row{name, a.What, a.Why, a.Evidence, a.Before.String(), a.After.String(), part.helps})
			}
		}
	}
	Check(t, table)
}

func (c Case) advice(ctx context.Context, target slo.Target) (advise.Report, error) {
	try := func(d deploy.Deployment) (advise.Evidence, error) {
		changed := c
		changed.On, changed.Also = d, nil
		r, err := changed.measure(ctx, sim.Backend{}, target)
		if err != nil {
			return advise.Evidence{}, err
		}
		d, _, err = d.Resolve()
		return advise.Evidence{Deployment: d, Failure: r.Failure, Summary: r.Summary, Verdict: r.Verdict}, err
	}
	before, err := try(c.On)
	if err != nil {
		return advise.Report{}, err
	}
	return advise.On(before, advise.Rules(), try)
}
