package steptime

import (
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// launches is a host profile in picoseconds, for one model and one way of running it.
type launches struct {
	scheduleStep, scheduleRequest, schedulePrefill units.Span
	scheduleKilotoken                              units.Span // 1,024 tokens of a prompt
	updateStep, updateToken, updateFinished        units.Span
	full, piecewise, compiled                      units.Span
	deliverStep, deliverToken, deliverFinished     units.Span
	writeToken                                     units.Span
	intakeRequest, intakeToken, connection         units.Span
}

func launchesOf(h Host, layers int, eager bool) launches {
	us := func(v float64) units.Span { return units.Seconds(v * micro) }
	l := launches{
		us(h.SchedulePerStep), us(h.SchedulePerRequest), us(h.SchedulePerPrefill),
		us(1024 * h.SchedulePerToken),
		us(h.UpdatePerStep), us(h.UpdatePerToken), us(h.UpdatePerFinished),
		us(h.LaunchFull * float64(layers)), us(h.LaunchPiecewisePerStep + float64(h.LaunchPiecewise*float64(layers))),
		us(h.LaunchPiecewisePerStep + float64(h.LaunchCompiled*float64(layers))),
		us(h.DeliverPerStep), us(h.DeliverPerToken), us(h.DeliverPerFinished),
		us(h.WritePerToken),
		us(h.IntakePerRequest), us(h.IntakePerToken), us(h.Connection),
	}
	if eager {
		l.compiled = us(h.LaunchPiecewisePerStep + float64(h.LaunchEager*float64(layers)))
	}
	return l
}

// prepare is what the core does before it launches a step.
func (h *launches) prepare(w *engine.Work) units.Span {
	prompts := units.Tokens(0)
	for _, c := range w.Chunks {
		prompts += c.Context + c.Tokens
	}
	return h.scheduleStep + h.scheduleRequest*units.Span(w.Running) + h.schedulePrefill*units.Span(len(w.Chunks)) +
		h.scheduleKilotoken*units.Span(prompts)/1024
}

// launching is what the core spends on starting a step's kernels.
func (h *launches) launching(w *engine.Work, g graphs) units.Span {
	how := h.compiled
	if n := int(w.Tokens); n <= g.largest {
		if how = h.full; len(w.Chunks) > 0 || n > g.full {
			how = h.piecewise
		}
	}
	return how
}

// update is what the core does with a step's result.
func (h *launches) update(w *engine.Work) units.Span {
	return h.updateStep + h.updateToken*units.Span(w.Sampled) + h.updateFinished*units.Span(w.Finishing)
}

// HostTime is how long a turn of the core loop takes that never waits: it schedules and launches next, then takes the
// result of done.
func HostTime(d deploy.Deployment, host Host, done, next *engine.Work) units.Span {
	h := launchesOf(host, d.Model.Layers, d.Engine.EnforceEager)
	return h.prepare(next) + h.launching(next, graphsOf(d)) + h.update(done)
}
