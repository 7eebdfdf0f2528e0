//go:build !gpu && !ray

package suite

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/testing-symbiote/symbiote/harness/backend"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/gate"
	"github.com/testing-symbiote/symbiote/harness/steptime"
)

// exact says that the same case gives the same figures, on any machine.
const (
	exact       = true
	backendName = "sim"
)

var twice = flag.Bool("twice", false, "play each case in both ways in which the engine can advance; one in which they differ in an event cannot be measured")

func serving() (backend.Backend, error) {
	if *twice {
		return sim.Twice{}, nil
	}
	return sim.Backend{}, nil
}

// writeEvents plays the case once more and writes what the engine did.
func (c Case) writeEvents(ctx context.Context, w io.Writer, r Result) error {
	log := gate.NewEventLog(w)
	log.Input("deployment", c.describe())
	log.Input("workload", c.Play.String())
	log.Input("host", r.Run.Provenance.Host)
	log.Input("calibration", calibration(c.On.GPU, r.Run.Provenance.Host))
	log.Input("blocks", fmt.Sprint(r.Run.Engine.NumBlocks))
	watch := func(replica int, events []engine.Event) {
		for _, e := range events {
			if did := deed(e); did != "" {
				log.Event(e.At, int(e.Request), did, e.Tokens)
			}
		}
	}
	if _, err := (sim.Backend{Watch: watch}).Run(ctx, c.On, c.Play); err != nil {
		return err
	}
	e := r.Run.Engine
	for _, k := range []struct {
		name  string
		value any
	}{
		{"steps", e.Steps}, {"preemptions", e.Preemptions}, {"recomputed-tokens", e.Recomputed}, {"prefix-hits", e.Hits},
		{"kv-usage-peak", fmt.Sprintf("%.4f", e.UsagePeak)}, {"running-peak", e.RunningPeak}, {"waiting-peak", e.WaitingPeak},
		{"admitted-per-step", fmt.Sprintf("%.4f", float64(r.Summary.Requests)/float64(max(1, e.Steps)))},
	} {
		log.Counter(k.name, fmt.Sprint(k.value))
	}
	return log.Close()
}

// calibration is a fingerprint of the profiles that step times come from.
func calibration(g catalog.GPU, host string) string {
	gpu, gpuErr := steptime.GPUProfile(g)
	cpu, cpuErr := steptime.HostProfile(host)
	content, err := json.Marshal([]any{gpu, cpu})
	if err := errors.Join(gpuErr, cpuErr, err); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%x", sha256.Sum256(content))[:12]
}

// deed names the events that a log keeps: those that tell of a decision.
func deed(e engine.Event) string {
	switch e.Kind {
	case engine.Queued:
		return "queued"
	case engine.Admitted:
		return "admitted"
	case engine.Resumed:
		return "resumed"
	case engine.Preempted:
		return "preempted"
	case engine.Finished:
		return "finished"
	case engine.Cancelled:
		return "cancelled"
	}
	return ""
}

// remarks are printed under a case; here its row says it all.
func (Result) remarks() []string { return nil }
