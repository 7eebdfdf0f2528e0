//go:build ray

package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/testing-symbiote/symbiote/harness/backend"
	"github.com/testing-symbiote/symbiote/harness/backend/ray"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/serve"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

const (
	exact       = false
	backendName = "ray"
)

// serving is the Ray backend: a cluster whose dashboard accepts jobs. SYMBIOTE_ENDPOINT names the server that the rows
// of HTTP pipelines go to, SYMBIOTE_VLLM=ray says that the cluster has GPUs and vLLM; without both, each deployment is
// the simulated engine, served on this machine.
func serving() (backend.Backend, error) {
	address := os.Getenv("SYMBIOTE_RAY")
	if address == "" {
		return nil, errors.New("suite: -tags ray drives Ray Data on a cluster: set SYMBIOTE_RAY to the address of its dashboard, such as http://127.0.0.1:8265, or run make live-ray")
	}
	b := ray.Backend{Cluster: ray.Cluster{Dashboard: address}, Endpoint: os.Getenv("SYMBIOTE_ENDPOINT")}
	if b.Endpoint != "" || os.Getenv("SYMBIOTE_VLLM") == "ray" {
		return b, nil
	}
	return simulatedEngines{b}, nil
}

// simulatedEngines is Ray's real dispatch in front of simulated engines: one for each actor of a vLLM pipeline.
type simulatedEngines struct{ ray.Backend }

// mostRows that a job sends to simulated engines, which share this machine with Ray: more, and Ray sets the pace. And
// longest is what a job may take, since Ray does not take time faster than it comes.
const (
	mostRows = 1000
	longest  = 2 * units.Second * 60
)

func (b simulatedEngines) Run(ctx context.Context, d deploy.Deployment, w workload.Workload) (*record.Run, error) {
	engines := 1
	switch w := w.(type) {
	case workload.Pipeline:
		if w.Kind == workload.VLLM {
			engines = max(1, w.MinActors, w.MaxActors)
		}
		if n := w.Rows.Len(); n > mostRows {
			return nil, fmt.Errorf("suite: %d rows, at most %d are sent to simulated engines beside Ray: %w", n, mostRows, errors.ErrUnsupported)
		}
	case workload.Load:
		switch w.Arrivals.(type) {
		case workload.AllAtOnce, workload.Closed:
		default:
			return nil, fmt.Errorf("suite: %q: Ray Data knows no arrivals: %w", w, errors.ErrUnsupported)
		}
		if n := w.Rows.Len(); n > mostRows {
			return nil, fmt.Errorf("suite: %d rows, at most %d are sent to simulated engines beside Ray: %w", n, mostRows, errors.ErrUnsupported)
		}
	default:
		return nil, fmt.Errorf("suite: %q: Ray Data knows no arrivals: %w", w, errors.ErrUnsupported)
	}
	predicted, err := sim.Backend{}.Run(ctx, d, w)
	switch {
	case err != nil || predicted.Failure != nil:
		return predicted, err
	case predicted.End.Sub(predicted.Start) > longest:
		return nil, fmt.Errorf("suite: it would take %v: %w", predicted.End.Sub(predicted.Start), errors.ErrUnsupported)
	}
	d.Server.EnablePerRequestMetrics = true // an answer that is not streamed tells by these when its first token was there
	for range engines {
		s, err := serve.New(serve.Config{Deployments: []deploy.Deployment{d}, Precise: true})
		var refused *failure.Error
		switch {
		case errors.As(err, &refused):
			return &record.Run{Failure: refused, Provenance: record.Provenance{Backend: backendName}}, nil
		case err != nil:
			return nil, err
		}
		defer s.Close()
		url, closing, err := ray.Loopback(s.Serve)
		if err != nil {
			return nil, err
		}
		defer closing()
		b.Endpoint, b.StandIns = url, append(b.StandIns, url)
	}
	return b.Backend.Run(ctx, d, w)
}

func (c Case) writeEvents(context.Context, io.Writer, Result) error { return nil }

// remarks are printed under a case; here its row says it all.
func (Result) remarks() []string { return nil }
