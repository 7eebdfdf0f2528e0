package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/testing-symbiote/symbiote/harness/backend"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/stats"
)

// running is the cases of a Spec, each measured once: ahead of time on every core where that disturbs nobody, else
// when its result is asked for.
type running struct {
	measure []func() (Result, error)
	ahead   sync.WaitGroup
}

func (s Spec) start(ctx context.Context, b backend.Backend, ahead bool) *running {
	r := &running{}
	for _, c := range s.Cases {
		r.measure = append(r.measure, sync.OnceValues(func() (Result, error) { return c.measure(ctx, b, s.SLO) }))
	}
	if !ahead {
		return r
	}
	next := make(chan int, len(s.Cases))
	for i := range s.Cases {
		next <- i
	}
	close(next)
	for range runtime.GOMAXPROCS(0) {
		r.ahead.Go(func() {
			for i := range next {
				r.measure[i]()
			}
		})
	}
	return r
}

func (r *running) result(i int) (Result, error) { return r.measure[i]() }

// wait returns when nothing is measured any more.
func (r *running) wait() { r.ahead.Wait() }

// starting is a backend that can try whether a deployment starts; the Run says how it went, and has no requests.
type starting interface {
	Starts(ctx context.Context, d deploy.Deployment) (*record.Run, error)
}

// release lets a backend stop what it started.
func release(b backend.Backend) {
	if c, ok := b.(io.Closer); ok {
		c.Close()
	}
}

// measure plans, plays and summarizes one case. A deployment that does not start is a result.
func (c Case) measure(ctx context.Context, b backend.Backend, target slo.Target) (Result, error) {
	r := Result{Case: c}
	resolved, _, err := c.On.Resolve()
	if err != nil {
		return r, err
	}
	r.Plan, err = memory.For(resolved)
	var refused *failure.Error
	switch {
	case errors.As(err, &refused):
		r.Failure = refused
		if exact { // a live server may know better than the plan
			return r, nil
		}
	case err != nil:
		return r, err
	}
	if c.Play == nil {
		return r.started(ctx, b)
	}
	note := ""
	if a, ok := b.(affording); ok {
		if c.Play, note, err = a.Afford(ctx, c.On, c.Play, func(run *record.Run) error { return c.Want.check(r.of(run, target)) }); err != nil {
			return r, err
		}
		r.Case = c
	}
	if r.Run, err = b.Run(ctx, c.On, c.Play); err != nil {
		return r, err
	}
	if note != "" {
		r.Run.Provenance.Notes = append(r.Run.Provenance.Notes, note)
	}
	if r.Failure = r.Run.Failure; r.Failure != nil {
		return r, nil
	}
	for i, w := range c.Also {
		also, err := b.Run(ctx, c.On, w)
		if err != nil {
			return r, fmt.Errorf("workload %d: %w", i+2, err)
		}
		r.Also = append(r.Also, also)
	}
	r = r.of(r.Run, target)
	return r, r.physical()
}

// started is the result of a case that plays nothing: its plan, or how a server of it started.
func (r Result) started(ctx context.Context, b backend.Backend) (Result, error) {
	if exact {
		return r, nil
	}
	s, ok := b.(starting)
	if !ok {
		return r, fmt.Errorf("%w: it asks for a plan, and nothing of a plan is played", errors.ErrUnsupported)
	}
	run, err := s.Starts(ctx, r.Case.On)
	if err != nil {
		return r, err
	}
	r.Run, r.Failure = run, run.Failure
	return r, nil
}

// of is the result with this run.
func (r Result) of(run *record.Run, target slo.Target) Result {
	r.Run, r.Failure = run, run.Failure
	r.Summary, r.Verdict = stats.Summarize(run), slo.Judge(run, target)
	return r
}
