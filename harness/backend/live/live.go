// Package live plays workloads against a real server that speaks OpenAI's protocol, and measures what comes back.
//
//	m, err := live.Backend{Endpoint: "http://127.0.0.1:8000"}.Measure(ctx, deploy.Deployment{}, w)
//	fmt.Println(m.Client, m.Cache) // is it the server that was measured, in the state that was meant?
//	s := stats.Summarize(m.Run)
//
// With Launch instead of Endpoint it starts one vLLM for the deployment and stops it afterwards; Start leaves it running.
//
// Start at Backend.Measure; a request's life is in stream.go, the loop over requests in play.go.
//
// # Decisions
//
// The clock of a request starts when it was meant to be sent, as the schedule had it, so that a client that falls
// behind cannot make the server look good. Sent is noted beside it.
//
// Tokens are what the server counts: every event carries usage (continuous_usage_stats), so a chunk of k tokens gives
// k gaps. Where a server sends none, a chunk counts as a token and the result says estimated.
//
// go-openai gives the requests' types, the errors and the list of models. Its client is not on the hot path: it
// refuses token ids, leaves out temperature 0, cannot ask for usage in every event, takes a stream that was cut
// cleanly for a complete one, and spends two regular expressions a line.
//
// Prompts are sent as token ids, salted anew in each run: no tokenizer is needed, the length is exact, and no run
// meets the prefix cache of an earlier one unless that is declared.
package live

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/testing-symbiote/symbiote/harness/backend"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/vllm"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// Backend drives one endpoint, or launches a server for each deployment.
type Backend struct {
	Endpoint string    // address of a running server; empty to launch one
	Launch   []string  // command in front of "serve MODEL flags…", such as {"vllm"}
	Server   *Launched // one that Start launched, instead of an Endpoint
	APIKey   string
	Model    string // as the endpoint names it; empty = the deployment's, or the only one

	Prompts Prompts // empty = TokenIDs
	Cache   Cache
	Limits  Limits // zero fields get their defaults
	Warmups int    // requests of the workload's own kind before it, not counted
	Journal Journal

	Beside    backend.Backend   // the simulator, for what it expects of the same case; nil = nobody
	Transport http.RoundTripper // nil = a connection pool of the right size
	Log       io.Writer         // gets what launched servers print; may be nil
}

// Limits bound everything that could go on for ever.
type Limits struct {
	InFlight int           // requests at once; default 4096
	Timeout  time.Duration // of one request, from its intended send; default 30 min
	Stall    time.Duration // silence of the whole server until its requests are given up; default 60 s
	Ready    time.Duration // for a launched server to come up; default 30 min
	Stop     time.Duration // between SIGTERM and SIGKILL; default 10 s
	Sample   time.Duration // between two looks at /metrics during a run; default 2 s, below 0 never
}

func (l Limits) orDefault() Limits {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if l.InFlight == 0 {
		l.InFlight = 4096
	}
	set(&l.Timeout, 30*time.Minute)
	set(&l.Stall, time.Minute)
	set(&l.Ready, 30*time.Minute)
	set(&l.Stop, 10*time.Second)
	set(&l.Sample, 2*time.Second)
	return l
}

func (l Limits) validate() error {
	for _, d := range []struct {
		name string
		v    time.Duration
	}{{"timeout", l.Timeout}, {"stall", l.Stall}, {"ready", l.Ready}, {"stop", l.Stop}} {
		if d.v < 0 {
			return fmt.Errorf("%s = %v, want > 0", d.name, d.v)
		}
	}
	if l.InFlight < 0 {
		return fmt.Errorf("requests in flight = %d, want > 0", l.InFlight)
	}
	return nil
}

// Journal says where a run is written down while it happens.
type Journal struct {
	Path   string // empty = nowhere
	Resume bool   // go on with the run that is there
}

// Measurement is a Run and what says how far it can be believed.
type Measurement struct {
	Run       *record.Run
	Server    Server
	Client    Client
	Cache     CacheCheck
	Lengths   Lengths
	Tokens    string      // server, or estimated: who counted the output tokens
	ICL       record.Gaps // between chunks, as most other tools count inter-token latency
	Simulated *record.Run // the same case on the simulator; nil without one
	StartLog  *vllm.StartLog
	Dump      string // of all goroutines, where a request stalled

	chunksPerSecond []int
}

// Run implements backend.Backend. It is an error, not a result, if the prefix cache was not in the declared state.
func (b Backend) Run(ctx context.Context, d deploy.Deployment, w workload.Workload) (*record.Run, error) {
	m, err := b.Measure(ctx, d, w)
	if err != nil {
		return nil, err
	}
	if err := m.Cache.Broken(); err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	return m.Run, nil
}

// Measure plays w once. An error means that nothing could be measured; a server that fails is in the Run.
func (b Backend) Measure(ctx context.Context, d deploy.Deployment, w workload.Workload) (*Measurement, error) {
	m := &measuring{Backend: b, limits: b.Limits.orDefault()}
	if err := m.limits.validate(); err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	if m.Prompts == "" {
		m.Prompts = TokenIDs
	}
	rt := b.Transport
	if rt == nil {
		t := transport(m.limits.InFlight)
		defer t.CloseIdleConnections()
		rt = t
	}
	m.http = httpClient(rt)
	out := &Measurement{}
	if b.Server == nil && b.Endpoint == "" {
		launched, refused, err := b.started(ctx, d)
		if refused != nil || err != nil {
			return refused, err
		}
		m.Server = launched
		defer m.stop()
	}
	if s := m.Server; s != nil {
		m.Endpoint, out.StartLog = s.URL, &s.Log
	}
	var err error
	if out.Server, err = look(ctx, m.http, m.Endpoint, b.APIKey, m.model(d)); err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	if err := m.measure(ctx, d, w, out); err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	return out, nil
}

// measuring is a Backend at work.
type measuring struct {
	Backend
	limits Limits
	http   *http.Client
	write  writer
	url    string
}

// model is the name to ask the endpoint for: the deployment's served name, then its model.
func (m *measuring) model(d deploy.Deployment) string {
	switch {
	case m.Model != "":
		return m.Model
	case len(d.Server.ServedModelName) > 0:
		return d.Server.ServedModelName[0]
	}
	return d.Model.ID
}

// stop ends a launched server. Our connections are closed first: a stopping vLLM waits for them.
func (m *measuring) stop() {
	m.http.CloseIdleConnections()
	m.Server.Stop(m.limits.Stop)
}

// salt makes the prompts of this run new to any server; it is noted, so that they can be made again.
func salt() uint64 { return rand.Uint64() }

// send plays p and returns what came of it.
func (m *measuring) send(ctx context.Context, p workload.Player, l Limits, j *journal, before past) (*tally, *dispatcher, error) {
	d := &dispatcher{
		client: &client{http: m.http, url: m.url, key: m.APIKey, write: m.write, clock: clock{time.Now().Add(-units.Span(before.last).Duration())}},
		limits: l, log: j, exact: m.Transport == nil, player: p, tally: newTally(), done: before.ended,
	}
	if m.Server != nil {
		d.gone = m.Server.Done()
	}
	if len(before.ended) > 0 {
		d.shift = resumeShift(before)
	}
	d.play(ctx)
	if j != nil && j.err != nil {
		return nil, nil, j.err
	}
	return d.tally, d, nil
}
