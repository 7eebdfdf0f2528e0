package suite

import (
	"context"
	"fmt"
	"time"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// affording is a backend that takes real time, so it plays of a case what it can afford. What it changed is said in the
// row: the workload is the one that was played, and the note is printed under it. A part of a case that does not keep the
// case's promise in a simulated run either is not played.
type affording interface {
	Afford(ctx context.Context, d deploy.Deployment, w workload.Workload, keeps func(*record.Run) error) (played workload.Workload, note string, err error)
}

// afford is the part of w that a server can play in so much time, and how often. The simulator says how long w takes; the
// server takes pace times as long. Its rates are divided by that, so that the load is the same beside what it can bear.
func afford(w workload.Workload, simulated units.Span, pace float64, limit time.Duration, repeats int) (workload.Workload, int, string) {
	const (
		noticeable = 1.25 // a pace below it is noise
		least      = 20   // rows: fewer have no percentiles
	)
	if pace < noticeable {
		pace = 1
	}
	load, _ := w.(workload.Load)
	_, timed := load.Arrivals.(workload.Profile) // a burst takes the time that it takes
	took := simulated.Duration()
	if !timed {
		took = time.Duration(float64(took) * pace)
	}
	played := w
	if pace > 1 {
		played = workload.Slowed(played, pace)
	}
	if timed {
		repeats = min(repeats, max(1, int(limit/max(took, 1))))
	}
	if each := limit / time.Duration(repeats); took > each {
		played = workload.Fewer(played, float64(each)/float64(took), least)
	}
	if played.String() == w.String() {
		return w, repeats, ""
	}
	return played, repeats, fmt.Sprintf("played %v; the case asks for %v, which would take %v here (this server takes %.2g times as long as the simulated one)",
		played, w, took.Round(time.Second), pace)
}
