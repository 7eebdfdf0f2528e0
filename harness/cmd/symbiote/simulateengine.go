package main

import (
	"context"
	"fmt"
	"io"

	"github.com/testing-symbiote/symbiote/harness/advise"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// adviseOnEngine prints each change of the engine's arguments that helps under the same load and SLO, and what was tried
// and does not.
func adviseOnEngine(ctx context.Context, d deploy.Deployment, w workload.Workload, target slo.Target, stdout io.Writer) error {
	try := func(d deploy.Deployment) (advise.Evidence, error) {
		r, _, err := d.Resolve()
		if err != nil {
			return advise.Evidence{}, err
		}
		run, err := sim.Backend{}.Run(ctx, r, w)
		if err != nil {
			return advise.Evidence{}, err
		}
		return advise.Evidence{Deployment: r, Failure: run.Failure, Summary: stats.Summarize(run), Verdict: slo.Judge(run, target)}, nil
	}
	is, err := try(d)
	if err != nil {
		return err
	}
	rep, err := advise.On(is, advise.Rules(), try)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout)
	for _, a := range rep.Given {
		fmt.Fprintf(stdout, "advice: %v (simulated)\n", a)
	}
	for _, a := range rep.Useless {
		fmt.Fprintf(stdout, "tried in vain: %s. After: %v (simulated)\n", a.What, a.After)
	}
	if len(rep.Given)+len(rep.Useless) == 0 {
		fmt.Fprintln(stdout, "advice: none; no rule that is known here speaks")
	}
	return nil
}
