package ray

import (
	"fmt"

	"github.com/testing-symbiote/symbiote/harness/record"
)

// comparison is a run beside its simulation.
type comparison struct {
	span, spanSim float64
	mean, meanSim float64
	peak, peakSim int
}

func compare(run, sim *record.Run) comparison {
	c := comparison{span: run.End.Sub(run.Start).Seconds(), spanSim: sim.End.Sub(sim.Start).Seconds()}
	c.mean, c.peak = InFlight(run)
	c.meanSim, c.peakSim = InFlight(sim)
	return c
}

func (c comparison) makespanPct() float64 { return 100 * (c.spanSim/c.span - 1) }
func (c comparison) meanPct() float64     { return 100 * (c.meanSim/c.mean - 1) }

func (c comparison) String() string {
	return fmt.Sprintf("makespan %.2f s, simulated %.2f (%+.1f %%) · rows in flight %.2f, simulated %.2f (%+.1f %%), peak %d, simulated %d",
		c.span, c.spanSim, c.makespanPct(), c.mean, c.meanSim, c.meanPct(), c.peak, c.peakSim)
}
