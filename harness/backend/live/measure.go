package live

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/vllm"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// measure plays w on a server that is up and fills out in.
func (m *measuring) measure(ctx context.Context, d deploy.Deployment, w workload.Workload, out *Measurement) error {
	m.url = out.Server.URL + "/v1" + m.Prompts.path()
	m.write = writer{model: out.Server.Model, prompts: m.Prompts, salt: salt(), vocab: vocabulary, shared: m.Cache.hit}
	if v := d.Model.VocabSize; v > 0 {
		m.write.vocab = min(vocabulary, v-firstToken)
	}
	before, err := m.before(w, out)
	if err != nil {
		return err
	}
	requests := workload.Requests(w)
	if m.Cache.warm {
		if err := m.warmUp(ctx, append([]workload.Request{}, requests...)); err != nil {
			return fmt.Errorf("cache %v: %w", m.Cache, err)
		}
	}
	if err := m.lookalikes(ctx, requests); err != nil {
		return err
	}
	j, err := m.journal(w, out)
	if err != nil {
		return err
	}
	first, hasMetrics := scrape(ctx, m.http, out.Server.URL)
	sampler := m.sample(ctx, hasMetrics, out.Server.URL)
	start := used()
	t, disp, err := m.send(ctx, w.Play(), m.limits, j, before)
	samples := sampler()
	if j != nil {
		err = errors.Join(err, j.close())
	}
	if err != nil {
		return err
	}
	run := t.run
	if run.Start == units.Never {
		return errors.New("the workload sent nothing")
	}
	out.Run, out.Client, out.Lengths, out.Dump = run, fared(start, run, disp), t.asked, disp.watch.dump
	run.Gaps.Settle()
	t.icl.Settle()
	out.ICL = t.icl
	run.Samples, out.chunksPerSecond = samples, t.seconds
	m.counters(ctx, out, first, hasMetrics, requests)
	m.simulated(ctx, d, w, out)
	m.diagnose(ctx, out)
	m.provenance(out, t, before)
	return ctx.Err()
}

// before reads the journal of an interrupted run that is to be gone on with.
func (m *measuring) before(w workload.Workload, out *Measurement) (past, error) {
	if !m.Journal.Resume {
		return past{}, nil
	}
	p, err := readJournal(m.Journal.Path)
	if err != nil {
		return past{}, err
	}
	if p.header.Workload != w.String() || p.header.Model != out.Server.Model {
		return past{}, fmt.Errorf("journal %s is of %s on %s, not of %s on %s", m.Journal.Path, p.header.Workload, p.header.Model, w, out.Server.Model)
	}
	m.write.salt = p.header.Salt // the same prompts
	return p, nil
}

func (m *measuring) journal(w workload.Workload, out *Measurement) (*journal, error) {
	if m.Journal.Path == "" {
		return nil, nil
	}
	return openJournal(m.Journal.Path, header{1, w.String(), out.Server.URL, out.Server.Model, m.write.salt}, m.Journal.Resume)
}

// resumeShift moves what is still to be sent behind the interruption: arrivals keep their distances.
func resumeShift(p past) units.Span {
	latest := units.Time(0)
	for _, e := range p.ended {
		latest = max(latest, e.Intended)
	}
	return max(0, p.last.Sub(latest))
}

// lookalikes sends a few requests of the workload's own kind with other prompts, so that what a server compiles or
// allocates at its first requests is not in the figures.
func (m *measuring) lookalikes(ctx context.Context, requests []workload.Request) error {
	n := min(m.Warmups, len(requests))
	if n == 0 {
		return nil
	}
	rest := append([]workload.Request{}, requests[:n]...)
	for i := range rest {
		rest[i].At, rest[i].Shared = 0, nil
	}
	own := m.write
	m.write.salt, m.write.shared = mix(own.salt), 0
	defer func() { m.write = own }()
	_, _, err := m.send(ctx, &listPlayer{rest}, m.limits, nil, past{})
	return err
}

// maxSamples bounds what a run keeps of its looks at /metrics: beyond it every other one goes and the distance doubles.
const maxSamples = 1024

// sample looks at /metrics until the returned function is called, which returns what was seen.
func (m *measuring) sample(ctx context.Context, known bool, root string) (stop func() []record.Sample) {
	if !known || m.limits.Sample < 0 {
		return func() []record.Sample { return nil }
	}
	var samples []record.Sample
	var done sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	start, every := time.Now(), m.limits.Sample
	done.Go(func() {
		timer := time.NewTimer(every)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			at := units.Time(units.FromDuration(time.Since(start)))
			if p, ok := scrape(ctx, m.http, root); ok {
				samples = append(samples, record.Sample{At: at, Running: p.Running, Waiting: p.Waiting, Usage: p.Usage})
			}
			if len(samples) == maxSamples {
				for i := range maxSamples / 2 {
					samples[i] = samples[2*i]
				}
				samples, every = samples[:maxSamples/2], 2*every
			}
			timer.Reset(every)
		}
	})
	return func() []record.Sample {
		cancel()
		done.Wait()
		return samples
	}
}

// counters fills in what the server counted over the run.
func (m *measuring) counters(ctx context.Context, out *Measurement, first vllm.Metrics, known bool, requests []workload.Request) {
	run := out.Run
	out.Cache = CacheCheck{Declared: m.Cache}
	for _, s := range run.Samples {
		run.Engine.RunningPeak = max(run.Engine.RunningPeak, s.Running)
		run.Engine.WaitingPeak = max(run.Engine.WaitingPeak, s.Waiting)
		run.Engine.UsagePeak = max(run.Engine.UsagePeak, s.Usage)
		run.Engine.RunningMean += float64(s.Running) / float64(len(run.Samples))
		run.Engine.WaitingMean += float64(s.Waiting) / float64(len(run.Samples))
		run.Engine.UsageMean += s.Usage / float64(len(run.Samples))
	}
	last, still := scrape(ctx, m.http, out.Server.URL)
	if !known || !still {
		return
	}
	queries, hits, prompts, preemptions := counted(first, last)
	run.Engine.NumBlocks = units.Blocks(last.NumBlocks)
	run.Engine.Preemptions = int(preemptions)
	run.Engine.Queries, run.Engine.Hits = units.Tokens(queries), units.Tokens(hits)
	out.Cache.Counted = queries >= 0 && hits >= 0 // a restarted server counts from 0
	out.Cache.Queries, out.Cache.Hits = run.Engine.Queries, run.Engine.Hits
	if m.Prompts == TokenIDs {
		out.Cache.expect(requests, m.Cache.hit, last.BlockSize)
	}
	if first.Running+first.Waiting > 0 {
		run.Warnings = append(run.Warnings, fmt.Sprintf("the server was not idle at the start: %d running, %d waiting", first.Running, first.Waiting))
	}
	var sent units.Tokens
	for _, r := range run.Requests {
		if r.First != units.Never {
			sent += r.Prompt
		}
	}
	if extra := units.Tokens(prompts) - sent; float64(extra) > 0.01*float64(sent) && extra > 0 && allAnswered(run) {
		run.Warnings = append(run.Warnings, fmt.Sprintf("the server computed %d prompt tokens more than this client sent: somebody else uses it", extra))
	}
}

func allAnswered(run *record.Run) bool {
	for i := range run.Requests {
		if !run.Requests[i].Completed() {
			return false
		}
	}
	return true
}

// simulated asks the simulator about the same case. What it cannot play is a note.
func (m *measuring) simulated(ctx context.Context, d deploy.Deployment, w workload.Workload, out *Measurement) {
	if m.Beside == nil {
		return
	}
	sim, err := m.Beside.Run(ctx, d, w)
	if err != nil {
		out.Run.Warnings = append(out.Run.Warnings, "the simulator cannot play this case: "+err.Error())
		return
	}
	out.Simulated = sim
	c := &out.Cache
	if c.From == "" && sim.Failure == nil && m.Cache == Cold() {
		c.Expected, c.From = sim.Engine.Hits, simulated
	}
	if c.Counted && c.From == simulated && c.off() != 0 {
		out.Run.Warnings = append(out.Run.Warnings, fmt.Sprintf("prefix-cache hits diverge: the server counted %d tokens, the simulator expects %d", c.Hits, c.Expected))
	}
}

// diagnose says why a server failed under the run, where it did.
func (m *measuring) diagnose(ctx context.Context, out *Measurement) {
	byClass := map[failure.Class]int{}
	for i := range out.Run.Requests {
		byClass[out.Run.Requests[i].Outcome]++
	}
	hurt := byClass[failure.EngineDied] + byClass[failure.ConnectionLost] + byClass[failure.Refused] + byClass[failure.Aborted] +
		byClass[failure.Stalled] + byClass[failure.StreamError] + byClass[failure.Truncated]
	if hurt == 0 || ctx.Err() != nil {
		return
	}
	if m.Server != nil {
		select { // a dying server writes its last words within a second or two
		case <-m.Server.Done():
		case <-time.After(3 * time.Second):
		}
		out.Run.Failure = m.Server.Diagnose().Err()
		if out.Run.Failure != nil {
			return
		}
	}
	status := health(ctx, m.http, out.Server.URL)
	switch {
	case byClass[failure.EngineDied] > 0:
		out.Run.Failure = &failure.Error{Class: failure.EngineDied, Message: fmt.Sprintf(
			"%d requests met a dead engine (%s), and %s: the cause is in the server's log", byClass[failure.EngineDied], engineDead, healthWords(status))}
	case status == 200:
		return // it lives; what failed were single requests
	case byClass[failure.Aborted] > 0 || byClass[failure.Stalled] > 0:
		out.Run.Failure = &failure.Error{Class: failure.Aborted, Message: fmt.Sprintf(
			"the server was stopped with requests in flight: %d were aborted, %d went silent, %d were refused, and %s",
			byClass[failure.Aborted], byClass[failure.Stalled], byClass[failure.Refused], healthWords(status))}
	default:
		out.Run.Failure = &failure.Error{Class: failure.ConnectionLost, Message: fmt.Sprintf(
			"the server went away: %d connections were lost, %d refused, and %s: it was killed or crashed, see its log",
			byClass[failure.ConnectionLost], byClass[failure.Refused], healthWords(status))}
	}
}

func healthWords(status int) string {
	switch status {
	case 0:
		return "nobody answers on /health"
	case 503:
		return "/health says 503"
	}
	return fmt.Sprintf("/health says %d", status)
}

// provenance says where the numbers come from, and what speaks against them.
func (m *measuring) provenance(out *Measurement, t *tally, before past) {
	run := out.Run
	out.Tokens = "server"
	if t.usageless > 0 || t.estimated > 0 {
		out.Tokens = "estimated"
		run.Warnings = append(run.Warnings, fmt.Sprintf(
			"%d answers carried no usage, %d none in their events: there a chunk was counted as a token", t.usageless, t.estimated))
	}
	if l := t.asked; l.PromptGot != l.PromptAsked {
		run.Warnings = append(run.Warnings, fmt.Sprintf("prompts were asked for %d tokens, the server counted %d", l.PromptAsked, l.PromptGot))
	}
	for _, why := range out.Client.Limited {
		run.Warnings = append(run.Warnings, "CLIENT-LIMITED: "+why)
	}
	if len(before.ended) > 0 {
		run.Warnings = append(run.Warnings, fmt.Sprintf(
			"resumed: %d of the requests ended before an interruption, so throughput over the whole run means nothing", len(before.ended)))
	}
	run.Provenance = record.Provenance{
		Backend:     "live",
		VLLMVersion: out.Server.Version,
		Notes: []string{
			fmt.Sprintf("measured on %s at %s", out.Server.Model, out.Server.URL),
			out.Cache.String(),
			fmt.Sprintf("prompts sent as %s, salt %d; %d requests before the measurement, not counted", m.Prompts, m.write.salt, m.Warmups),
			fmt.Sprintf("output tokens counted by: %s; gaps between tokens to three digits", out.Tokens),
			fmt.Sprintf("client: %.0f%% of its processors, lag p50 %v p99 %v, at most %d of %d in flight",
				100*out.Client.CPUShare, out.Client.LagP50, out.Client.LagP99, out.Client.InFlightPeak, out.Client.InFlightMax),
		},
	}
}
