package suite

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/testing-symbiote/symbiote/harness/gate"
)

var eventsDir = flag.String("events", "", "write an event log of each benchmarked case below this `folder`, for the gate")

// Bench runs each case as a sub-benchmark and reports the columns that have a unit. On the simulator they are
// declared exact, so that benchstat and the gate need one run and no statistics.
func Bench(b *testing.B, s Spec) {
	s.validate()
	serves, err := serving()
	if err != nil {
		b.Fatal(err)
	}
	defer release(serves)
	s.declare()
	for _, c := range s.Cases {
		b.Run(c.Name, func(b *testing.B) {
			b.ReportAllocs()
			var r Result
			var err error
			began := cpuTime()
			for b.Loop() {
				if r, err = c.measure(b.Context(), serves, s.SLO); err != nil {
					b.Fatalf("%s: cannot be measured: %v", c.Name, err)
				}
			}
			if spent := cpuTime() - began; exact && spent > 0 {
				b.ReportMetric(float64(spent)/float64(b.N), "cpu-ns/op")
			}
			if err := c.Want.check(r); err != nil {
				b.Errorf("%s: want that it %s: %v", c.Name, c.Want.Says, err)
			}
			for _, col := range s.columns() {
				if x := col.value(r); col.Unit != "" && !math.IsNaN(x) {
					b.ReportMetric(x, col.Unit)
				}
			}
			if err := c.leaveEvents(b, r); err != nil {
				b.Error(err)
			}
		})
	}
}

// declare prints what benchstat and the gate must know of the units. It is printed before the first result and only
// when benchmarks run.
func (s Spec) declare() {
	fmt.Printf("backend: %s\n", backendName)
	for _, c := range s.columns() {
		switch {
		case c.Unit == "":
		case exact:
			fmt.Printf("Unit %s better=%s assume=exact\n", c.Unit, c.Good)
		default:
			fmt.Printf("Unit %s better=%s\n", c.Unit, c.Good)
		}
	}
}

// leaveEvents writes the event log of one case under -events.
func (c Case) leaveEvents(b *testing.B, r Result) (err error) {
	if *eventsDir == "" || !exact || c.Play == nil || r.Failure != nil {
		return nil
	}
	name := filepath.Join(*eventsDir, gate.LogName(b.Name()))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return c.writeEvents(b.Context(), f, r)
}
