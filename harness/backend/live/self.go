package live

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Client is how the measuring side itself fared. A client that is late, out of processor time or at its own limit
// measures itself, not the server.
type Client struct {
	CPUShare     float64    // of the processors that Go may use, over the run
	LagP50       units.Span // sent − intended
	LagP99       units.Span
	LagMax       units.Span
	GCPause      units.Span // the longest
	InFlightPeak int
	InFlightMax  int      // the limit
	Held         int      // times that a due request waited because the limit was reached
	Limited      []string // why the result is the client's; empty when it is the server's
}

// usage is what this process has used so far.
type usage struct {
	cpu time.Duration
	at  time.Time
	gcs int64
}

func used() usage {
	var r syscall.Rusage
	u := usage{at: time.Now()}
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.cpu = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	u.gcs = gc.NumGC
	return u
}

// Bounds of the self-check. Lag is judged beside what is measured: 5 ms do not matter to a TTFT of a second.
const (
	maxCPUShare   = 0.8
	maxLag        = 5 * units.Millisecond
	maxLagOfTTFT  = 0.01
	shortestCheck = time.Second // a share of less is noise
)

// fared compares the usage before and after with the run that lay between.
func fared(before usage, run *record.Run, d *dispatcher) Client {
	after := used()
	c := Client{InFlightPeak: d.peak, InFlightMax: d.limits.InFlight, Held: d.held}
	wall := after.at.Sub(before.at)
	if wall > 0 {
		c.CPUShare = (after.cpu - before.cpu).Seconds() / wall.Seconds() / float64(runtime.GOMAXPROCS(0))
	}
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	for i := range gc.Pause {
		if int64(i) < gc.NumGC-before.gcs {
			c.GCPause = max(c.GCPause, units.FromDuration(gc.Pause[i]))
		}
	}
	var lags, ttfts []units.Span
	for i := range run.Requests {
		r := &run.Requests[i]
		if r.Sent == units.Never {
			continue
		}
		lags = append(lags, r.Lag())
		if t, ok := r.TTFT(); ok && r.Completed() {
			ttfts = append(ttfts, t)
		}
	}
	c.LagP50, c.LagP99, c.LagMax = rank(lags, 0.5), rank(lags, 0.99), rank(lags, 1)
	if wall >= shortestCheck && c.CPUShare > maxCPUShare {
		c.Limited = append(c.Limited, fmt.Sprintf("it used %.0f%% of its processors", 100*c.CPUShare))
	}
	allowed := max(maxLag, units.Span(float64(rank(ttfts, 0.5))*maxLagOfTTFT))
	if c.LagP99 > allowed {
		why := "it sent"
		if c.Held > 0 {
			why = fmt.Sprintf("at its limit of %d in flight it sent", c.InFlightMax)
		}
		c.Limited = append(c.Limited, fmt.Sprintf("%s late: lag p99 %v, allowed %v", why, c.LagP99, allowed))
	}
	return c
}

// rank is the nearest-rank percentile.
func rank(sample []units.Span, q float64) units.Span {
	if len(sample) == 0 {
		return 0
	}
	slices.Sort(sample)
	return sample[max(0, int(math.Ceil(q*float64(len(sample))))-1)]
}
