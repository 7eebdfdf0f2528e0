package serve

import (
	"time"

	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/steptime"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Fixed is a StepTimer under which every step takes the same. Fixed(0) is an engine that takes no time at all: what is
// measured then is the server and its client.
type Fixed units.Span

func (f Fixed) Step(_ *engine.Work, c *engine.Cost) { *c = engine.Cost{GPU: units.Span(f)} }
func (Fixed) Intake(units.Tokens) (units.Span, int) { return 0, 0 }

// newReplica resolves and plans a deployment as vLLM does at its start.
func newReplica(s *Server, d *deploy.Deployment) (*replica, error) {
	resolved, _, err := d.Resolve()
	if err != nil {
		return nil, err
	}
	plan, err := memory.For(resolved)
	if err != nil {
		return nil, err
	}
	timer, network := s.cfg.Timer, units.Span(0)
	if timer == nil {
		t, err := steptime.For(resolved)
		if err != nil {
			return nil, err
		}
		timer, network = t, t.Connection()
	}
	cfg := sim.Config(resolved, plan.NumBlocks)
	cfg.EveryToken = true
	e, err := engine.New(cfg, timer)
	if err != nil {
		return nil, err
	}
	return &replica{
		server: s, config: cfg, deployment: &resolved, blockSizeGiven: d.Engine.BlockSize > 0 && !s.cfg.ImplicitBlockSize, engine: e, live: map[engine.RequestID]*sequence{},
		planned: units.Never, network: network, metrics: newEngineMetrics(resolved.Engine.MaxModelLen), kick: make(chan struct{}, 1),
	}, nil
}

// drive moves the engine for what happens by itself, until stop.
func (r *replica) drive(stop <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		r.mu.Lock()
		now := r.server.now()
		if !r.dead {
			r.advance(now)
		}
		r.planned = r.next()
		wait := time.Duration(-1)
		if r.planned != units.Never {
			wait = r.server.wall(r.planned.Sub(now))
		}
		r.mu.Unlock()
		if !r.sleep(timer, wait, stop) {
			return
		}
	}
}

// tail is what the driver sleeps by itself at the end of a wait, where the runtime's timers would be late.
const tail = 1500 * time.Microsecond

// sleep waits for so long, for ever if that is negative, or until something happens earlier; false means stop.
func (r *replica) sleep(timer *time.Timer, wait time.Duration, stop <-chan struct{}) bool {
	if wait >= 0 && r.server.cfg.Precise {
		if wait <= tail {
			if wait > 0 {
				nap(wait)
			}
			select {
			case <-stop:
				return false
			default:
				return true
			}
		}
		wait -= tail
	}
	if wait < 0 {
		wait = 1000 * time.Hour
	}
	timer.Reset(wait)
	select {
	case <-timer.C:
	case <-r.kick:
	case <-stop:
		return false
	}
	return true
}
