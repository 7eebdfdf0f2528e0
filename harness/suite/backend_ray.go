//go:build ray

package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

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
		return wholeAnswers{b}, nil
	}
	return &simulatedEngines{b, map[string]string{}}, nil
}

// wholeAnswers is a cluster in front of real engines. Ray waits for whole answers.
type wholeAnswers struct{ ray.Backend }

// Afford leaves out a case whose promise nobody could see broken.
func (wholeAnswers) Afford(ctx context.Context, d deploy.Deployment, w workload.Workload, keeps func(*record.Run) error) (workload.Workload, string, error) {
	run, err := sim.Backend{}.Run(ctx, d, w)
	if err == nil && needsGaps(run, keeps) {
		err = errGaps
	}
	return w, "", err
}

var errGaps = fmt.Errorf("suite: its promise is about the time between tokens, which answers that come whole do not show: %w", errors.ErrUnsupported)

// needsGaps says whether a promise depends on the time between tokens.
func needsGaps(run *record.Run, keeps func(*record.Run) error) bool {
	with := func(gap units.Span) bool {
		r := *run
		r.Gaps, r.Requests = record.Gaps{}, slices.Clone(run.Requests)
		r.Gaps.Add(gap, 1)
		r.Gaps.Settle()
		for i := range r.Requests {
			r.Requests[i].LongestGap = gap
		}
		return keeps(&r) == nil
	}
	return run.Failure == nil && with(0) != with(1000*units.Second)
}

// simulatedEngines is Ray's real dispatch in front of simulated engines: one for each actor of a vLLM pipeline.
type simulatedEngines struct {
	ray.Backend
	played map[string]string // what Ray was given: in front of which deployment
}

// Ray does not take time faster than it comes, and shares this machine with the engines: a case is played for so long and
// with so many rows at most.
const (
	mostRows  = 400
	leastRows = 20 // fewer have no percentiles
	longest   = 10 * units.Second
)

// Afford chooses the part of a case that can be played. What Ray was given before it does in the same way again,
// whichever engine is behind: such a case is left out.
func (b *simulatedEngines) Afford(ctx context.Context, d deploy.Deployment, w workload.Workload, keeps func(*record.Run) error) (workload.Workload, string, error) {
	whole, err := sim.Backend{}.Run(ctx, d, w)
	if err != nil || whole.Failure != nil {
		return w, "", err
	}
	if _, isLoad := w.(workload.Load); !isLoad && needsGaps(whole, keeps) {
		return w, "", errGaps
	}
	played, note := w, ""
	took, rows := whole.End.Sub(whole.Start), len(whole.Requests)
	if took > longest || rows > mostRows {
		played = workload.Fewer(w, min(float64(longest)/float64(took), float64(mostRows)/float64(rows)), leastRows)
		part, err := sim.Backend{}.Run(ctx, d, played)
		switch {
		case err != nil:
			return w, "", err
		case part.End.Sub(part.Start) > 2*longest || len(part.Requests) > mostRows:
			return w, "", fmt.Errorf("suite: %v takes %v for %d rows: %w", played, part.End.Sub(part.Start), len(part.Requests), errors.ErrUnsupported)
		case keeps(whole) == nil && keeps(part) != nil:
			return w, "", fmt.Errorf("suite: %v cannot keep what %v promises: %w", played, w, errors.ErrUnsupported)
		}
		note = fmt.Sprintf("played %v; the case asks for %v", played, w)
	}
	given := w.String()
	if p, ok := w.(workload.Pipeline); ok {
		p.Rows = nil
		given = fmt.Sprintf("%+v", p)
	}
	if before, ok := b.played[given]; ok {
		return w, "", fmt.Errorf("suite: Ray was given its rows in the same way in front of %s: %w", before, errors.ErrUnsupported)
	}
	b.played[given] = d.Model.ID + " on " + d.GPU.ID
	return played, note, nil
}

func (b *simulatedEngines) Run(ctx context.Context, d deploy.Deployment, w workload.Workload) (*record.Run, error) {
	engines := 1
	if p, ok := w.(workload.Pipeline); ok && p.Kind == workload.VLLM {
		engines = max(1, p.MinActors, p.MaxActors)
	}
	cluster := b.Backend
	_, cluster.Stream = w.(workload.Load)
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
		cluster.Endpoint, cluster.StandIns = url, append(cluster.StandIns, url)
	}
	return cluster.Run(ctx, d, w)
}

func (c Case) writeEvents(context.Context, io.Writer, Result) error { return nil }

// remarks are printed under a case.
func (r Result) remarks() []string {
	if r.Run == nil {
		return nil
	}
	return append(slices.Clone(r.Run.Provenance.Notes), r.Run.Warnings...)
}
