// Package sim serves workloads in virtual time: a player, the engine, and a loop that jumps from one instant at which
// something happens to the next.
//
//	run, err := sim.Backend{}.Run(ctx, d, w) // a deployment that does not start is run.Failure, not err
package sim

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/steptime"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// Backend is the simulated backend. The zero value is ready.
type Backend struct {
	// NumBlocks replaces the planned number of KV blocks, for a server whose real number is known; 0 = as planned.
	NumBlocks units.Blocks
	// Reference looks at every request in every step, also where decodes can be advanced in aggregate.
	Reference bool
	// Each, if set, takes every request's record as the request ends; the Run then keeps none, so that a run of any
	// length needs no more memory than what is in flight.
	Each func(*record.Record)
	// Progress, if set, is called now and then with how far the run has come.
	Progress func(at units.Time, sent, done int)
	// Timer replaces the calibrated step times, for a profile that is being fitted; nil = steptime.For.
	Timer func(deploy.Deployment) (steptime.Timer, error)
	// Watch, if set, sees every event of every engine, for tests and event logs.
	Watch func(replica int, events []engine.Event)
}

// Config is the scheduler's view of a resolved deployment with so many KV blocks.
func Config(d deploy.Deployment, blocks units.Blocks) engine.Config {
	e := d.Engine
	c := engine.Config{
		NumBlocks: blocks, BlockSize: units.Tokens(e.BlockSize), MaxModelLen: units.Tokens(e.MaxModelLen),
		MaxNumSeqs: e.MaxNumSeqs, MaxNumActiveSeqs: e.MaxNumActiveSeqs, MaxNumBatchedTokens: units.Tokens(e.MaxNumBatchedTokens),
		Policy: engine.Policy(e.SchedulingPolicy), EnablePrefixCaching: on(e.EnablePrefixCaching), EnableChunkedPrefill: on(e.EnableChunkedPrefill),
		LongPrefillTokenThreshold: units.Tokens(e.LongPrefillTokenThreshold), LongPrefillTokenThresholdAdaptive: e.LongPrefillTokenThresholdAdaptive,
		SchedulerReserveFullISL: on(e.SchedulerReserveFullISL), Watermark: e.Watermark, PrefillScheduleInterval: e.PrefillScheduleInterval,
		AsyncScheduling: on(e.AsyncScheduling), PipelineParallelSize: e.PipelineParallelSize,
	}
	switch v := d.Version(); {
	case !v.AtLeast(24, 0):
		c.Rules = engine.V023
	case !v.AtLeast(31, 0):
		c.Rules = engine.V028
	}
	return c
}

func on(b *bool) bool { return b != nil && *b }

// Run plays w against the replicas of d.
func (b Backend) Run(ctx context.Context, d deploy.Deployment, w workload.Workload) (*record.Run, error) {
	run := &record.Run{}
	var refused *failure.Error
	r, warnings, err := d.Resolve()
	if errors.As(err, &refused) {
		run.Failure = refused
		return run, nil
	}
	if err != nil {
		return nil, err
	}
	timed := steptime.For
	if b.Timer != nil {
		timed = b.Timer
	}
	timer, err := timed(r)
	if err != nil {
		return nil, err
	}
	run.Warnings = warnings
	run.Provenance = record.Provenance{Backend: "sim", VLLMVersion: r.VLLMVersion, Host: r.Host, ModelError: timer.ErrorText()}
	blocks := b.NumBlocks
	if blocks == 0 {
		plan, err := memory.For(r)
		if errors.As(err, &refused) {
			run.Failure = refused
			return run, nil
		}
		if err != nil {
			return nil, err
		}
		blocks, r = plan.NumBlocks, plan.Deployment
		run.Warnings = plan.Warnings
	}
	run.Engine.NumBlocks = blocks
	player := w.Play()
	p := &play{Backend: b, player: player, reacts: workload.Reacts(player), connection: timer.Connection(),
		clips: r.Version().AtLeast(31, 0), maxModelLen: units.Tokens(r.Engine.MaxModelLen)}
	p.rec.run, p.rec.each, p.rec.thrown = run, b.Each, map[engine.RequestID]units.Tokens{}
	if b.Each == nil {
		p.rec.open = make([]record.Record, 0, min(expected(w), 1<<20))
	}
	for range max(r.Pipeline.Replicas, 1) {
		cfg := Config(r, blocks)
		cfg.Reference = b.Reference
		e, err := engine.New(cfg, timer)
		if err != nil {
			return nil, err
		}
		p.replicas = append(p.replicas, replica{Engine: e})
	}
	if err := p.loop(ctx); err != nil {
		return run, err
	}
	return run, nil
}

// expected is about how many requests w sends; 0 where it does not say.
func expected(w workload.Workload) int {
	switch w := w.(type) {
	case workload.Load:
		if p, ok := w.Arrivals.(workload.Profile); ok && w.Rows.Len() == 0 {
			return int(min(1.05*p.MeanRate()*p.Duration().Seconds(), math.MaxInt32))
		}
		return w.Rows.Len()
	case workload.Pipeline:
		return w.Rows.Len()
	}
	return 0
}

// maxVain bounds the preemptions between two complete answers. vLLM itself has no such bound: with small prompt chunks, no
// prefix cache and no check of the whole sequence it can preempt for ever.
const maxVain = 1_000_000

// play is one run under way.
type play struct {
	Backend
	player      workload.Player
	reacts      bool // to answers
	replicas    []replica
	rec         recorder
	connection  units.Span // between client and front end, both ways
	clips       bool       // max_tokens beyond max-model-len is clipped, not rejected
	maxModelLen units.Tokens
	turns       int
	last        units.Time // when something happened in an engine
}

type replica struct {
	*engine.Engine
	answers []answer // complete, from seen on not yet noticed by their clients; in order
	seen    int
}

type answer struct {
	id   int
	seen units.Time
}

// loop jumps to the earliest of: an answer reaches its client, a client sends, an engine moves. At one instant they go in
// this order, so that a client that reacts at once is served as one.
func (p *play) loop(ctx context.Context) error {
	for {
		if p.rec.vain > maxVain {
			p.rec.run.Failure = &failure.Error{Class: failure.Stalled, Message: fmt.Sprintf(
				"%d preemptions since a request last completed: each admission takes the blocks that another needs, for ever", p.rec.vain)}
			p.rec.finish(p.replicas)
			return nil
		}
		if p.turns++; p.turns%4096 == 0 {
			if err := ctx.Err(); err != nil {
				p.rec.finish(p.replicas)
				return err
			}
			if p.Progress != nil {
				p.Progress(p.last, p.rec.sends, p.rec.done)
			}
		}
		now, what, k := units.Never, nothing, 0
		horizon := units.Never // of the earliest engine: something else happens then
		for i := range p.replicas {
			if r := &p.replicas[i]; r.seen < len(r.answers) && r.answers[r.seen].seen < now {
				now, what, k = r.answers[r.seen].seen, answered, i
			}
		}
		if t, ok := p.player.Next(); ok && t < now {
			now, what = t, sends
		}
		for i := range p.replicas {
			switch t, ok := p.replicas[i].Next(); {
			case ok && t < now:
				now, horizon, what, k = t, now, moves, i
			case ok && t < horizon:
				horizon = t
			}
		}
		switch what {
		case nothing:
			p.rec.finish(p.replicas)
			if f, ok := workload.Outcome(p.player); ok && f.Stopped < units.Never {
				p.rec.run.Failure = &failure.Error{Class: failure.Rejected, Message: fmt.Sprintf(
					"Ray Data ends the job when a task fails, and the engine refused a row: %d of %d rows did not come out; should_continue_on_error makes such a row an error row, max_errored_blocks drops its task",
					f.Lost, f.Asked)}
			}
			return nil
		case answered:
			p.answer(&p.replicas[k])
		case sends:
			if err := p.send(now); err != nil {
				return err
			}
		case moves:
			p.moved(k, p.replicas[k].Run(max(now, horizon-1)))
		}
	}
}

const (
	nothing = iota
	answered
	sends
	moves
)

// answer tells the player of the next complete answer.
func (p *play) answer(r *replica) {
	a := r.answers[r.seen]
	if r.seen++; 2*r.seen >= len(r.answers) {
		r.answers, r.seen = append(r.answers[:0], r.answers[r.seen:]...), 0
	}
	p.player.Done(a.id, a.seen)
}

// send hands the player's next request to its replica. One that can never be served ends here, as a result.
func (p *play) send(now units.Time) error {
	q := p.player.Send()
	if q.Replica < 0 || q.Replica >= len(p.replicas) {
		return fmt.Errorf("sim: request %d goes to replica %d of %d", q.ID, q.Replica, len(p.replicas))
	}
	if err := p.rec.sent(q, now); err != nil {
		return err
	}
	r := &p.replicas[q.Replica]
	err := p.admissible(q)
	if err == nil {
		p.moved(q.Replica, r.Advance(now))
		err = r.Submit(now, engine.Request{
			ID: engine.RequestID(q.ID), Prompt: q.Prompt, MaxTokens: q.Output, Shared: q.Shared, Open: q.Open, Cached: q.Cached, Priority: q.Priority, Arrival: now,
		})
	}
	if err != nil {
		p.rec.rejected(q.ID, err)
		workload.Fail(p.player, q.ID, now, workload.Rejected)
	}
	return nil
}

// admissible is the front end's check of versions that refuse what the newest clip.
func (p *play) admissible(q workload.Request) error {
	if !p.clips && q.Prompt+q.Output > p.maxModelLen {
		return fmt.Errorf("request %d: %d prompt + %d output tokens, max-model-len %d: %w", q.ID, q.Prompt, q.Output, p.maxModelLen, engine.ErrPrompt)
	}
	return nil
}

// moved notes what happened in one engine.
func (p *play) moved(k int, events []engine.Event) {
	r := &p.replicas[k]
	if p.Watch != nil {
		p.Watch(k, events)
	}
	for i := range events {
		e := &events[i]
		if e.Seen > 0 {
			e.Seen = e.Seen.Add(p.connection)
		}
		if id, ok := p.rec.event(e); ok && p.reacts {
			r.answers = append(r.answers, answer{id, e.Seen})
		}
	}
	if n := len(events); n > 0 {
		p.last = max(p.last, events[n-1].At)
		p.rec.sample(k, events[n-1].At, r.Engine)
	}
}
