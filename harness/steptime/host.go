package steptime

import "github.com/testing-symbiote/symbiote/harness/units"

// launches is a host profile in picoseconds, for one model and one way of running it.
type launches struct {
	scheduleStep, scheduleRequest, schedulePrefill units.Span
	updateStep, updateToken, updateFinished        units.Span
	full, piecewise, compiled                      units.Span
	deliverStep, deliverToken, deliverFinished     units.Span
	intakeRequest, intakeToken, connection         units.Span
}

func launchesOf(h Host, layers int, eager bool) launches {
	us := func(v float64) units.Span { return units.Seconds(v * micro) }
	l := launches{
		us(h.SchedulePerStep), us(h.SchedulePerRequest), us(h.SchedulePerPrefill),
		us(h.UpdatePerStep), us(h.UpdatePerToken), us(h.UpdatePerFinished),
		us(h.LaunchFull * float64(layers)), us(h.LaunchPiecewisePerStep + float64(h.LaunchPiecewise*float64(layers))),
		us(h.LaunchPiecewisePerStep + float64(h.LaunchCompiled*float64(layers))),
		us(h.DeliverPerStep), us(h.DeliverPerToken), us(h.DeliverPerFinished),
		us(h.IntakePerRequest), us(h.IntakePerToken), us(h.Connection),
	}
	if eager {
		l.compiled = us(h.LaunchPiecewisePerStep + float64(h.LaunchEager*float64(layers)))
	}
	return l
}
