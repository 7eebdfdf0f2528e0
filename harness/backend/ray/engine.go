package ray

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/vllm"
)

// look is how often the servers' metrics are read while a job runs: a peak between two looks is not seen.
const look = 250 * time.Millisecond

// watch is what the servers behind a job say of themselves; each is looked at under its address.
type watch struct {
	roots   []string
	client  *http.Client
	first   []vllm.Metrics // before the job
	mu      sync.Mutex
	samples []glance
	stop    context.CancelFunc
	done    sync.WaitGroup
}

type glance struct {
	at     float64 // seconds of the epoch, the workers' clock
	server int
	vllm.Metrics
}

// watch begins to look at the servers that rows go to; those without metrics are left alone.
func (b Backend) watch(ctx context.Context) *watch {
	ctx, stop := context.WithCancel(ctx)
	w := &watch{client: &http.Client{Timeout: 5 * time.Second}, stop: stop}
	if b.Client != nil {
		w.client.Transport = b.Client.Transport
	}
	urls := b.StandIns
	if len(urls) == 0 && b.Endpoint != "" {
		urls = []string{b.Endpoint}
	}
	for _, u := range urls {
		root := strings.TrimSuffix(strings.TrimRight(u, "/"), "/v1")
		if m, err := vllm.Scrape(ctx, w.client, root); err == nil {
			w.roots, w.first = append(w.roots, root), append(w.first, m)
		}
	}
	for i := range w.roots {
		w.done.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-time.After(look):
					w.glance(ctx, i)
				}
			}
		})
	}
	return w
}

func (w *watch) glance(ctx context.Context, i int) {
	m, err := vllm.Scrape(ctx, w.client, w.roots[i])
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.samples = append(w.samples, glance{float64(time.Now().UnixMicro()) / 1e6, i, m})
}

// maxSamples bounds what a run keeps of them.
const maxSamples = 4096

// tell ends the looking and writes down what was seen.
func (w *watch) tell(run *record.Run, s *story) {
	w.stop()
	w.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), w.client.Timeout)
	defer cancel()
	for i := range w.roots {
		w.glance(ctx, i)
	}
	if len(w.samples) == 0 {
		return
	}
	e := &run.Engine
	var running, waiting, usage float64
	for _, g := range w.samples {
		e.RunningPeak, e.WaitingPeak, e.UsagePeak = max(e.RunningPeak, g.Running), max(e.WaitingPeak, g.Waiting), max(e.UsagePeak, g.Usage)
		running, waiting, usage = running+float64(g.Running), waiting+float64(g.Waiting), usage+g.Usage
		if len(run.Samples) < maxSamples {
			run.Samples = append(run.Samples, record.Sample{At: s.instant(g.at), Replica: g.server, Running: g.Running, Waiting: g.Waiting, Usage: g.Usage})
		}
	}
	slices.SortStableFunc(run.Samples, func(a, b record.Sample) int { return int(min(1, max(-1, a.At-b.At))) })
	n, servers := float64(len(w.samples)), float64(len(w.roots))
	e.RunningMean, e.WaitingMean, e.UsageMean = running/n*servers, waiting/n*servers, usage/n
	for i, first := range w.first {
		last := first
		for _, g := range w.samples {
			if g.server == i {
				last = g.Metrics
			}
		}
		e.NumBlocks = units.Blocks(last.NumBlocks)
		e.Preemptions += int(last.Preemptions - first.Preemptions)
		e.Queries += units.Tokens(last.PrefixQueries - first.PrefixQueries)
		e.Hits += units.Tokens(last.PrefixHits - first.PrefixHits)
	}
	run.Provenance.Notes = append(run.Provenance.Notes, fmt.Sprintf("engines looked at every %v: a peak between two looks is not seen", look))
}
