package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/testing-symbiote/symbiote/harness/advise"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// watched is a pipeline whose last player can be asked why rows were not in flight.
type watched struct {
	workload.Pipeline
	player *workload.Player
}

func (w watched) Play() workload.Player {
	*w.player = w.Pipeline.Play()
	return *w.player
}

// adviseOnPipeline prints how much of its row-seconds the pipeline used, why not all, and each smallest change that
// shortens the job, all of them simulated in front of the same engines.
func adviseOnPipeline(ctx context.Context, d deploy.Deployment, w workload.Workload, stdout io.Writer) error {
	p, ok := w.(workload.Pipeline)
	if !ok {
		return errors.New("-advise is about a pipeline's settings: give -pipeline, too")
	}
	try := func(p workload.Pipeline) (advise.Dispatch, error) {
		var player workload.Player
		run, err := sim.Backend{}.Run(ctx, d, watched{p, &player})
		if err != nil {
			return advise.Dispatch{}, err
		}
		if run.Failure != nil {
			return advise.Dispatch{}, run.Failure
		}
		idle, _ := workload.Idleness(player)
		return advise.Dispatch{Makespan: run.End.Sub(run.Start), Idle: idle}, nil
	}
	is, err := try(p)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nrow-seconds that Ray Data could have had in flight: %v (simulated)\n", is.Idle)
	advice, err := advise.OnPipeline(p, try)
	if err != nil {
		return err
	}
	for _, a := range advice {
		fmt.Fprintf(stdout, "advice: %s: %s. Simulated: %.4gs → %.4gs, %v %.1f%% → %.1f%%\n", a.What, a.Why,
			a.Before.Makespan.Seconds(), a.After.Makespan.Seconds(), a.Cause, 100*a.Before.Idle.Of(a.Cause), 100*a.After.Idle.Of(a.Cause))
	}
	if len(advice) == 0 {
		fmt.Fprintln(stdout, "advice: none; no change of the pipeline's settings that is known here shortens the job by a fiftieth")
	}
	return nil
}
