package serve

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/testing-symbiote/symbiote/fixtures/tokenizers"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
	"github.com/testing-symbiote/symbiote/harness/serve/uvicorn"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Config describes a server. Only Deployments is needed.
type Config struct {
	// Deployments are the replicas behind one router, one engine for each. A request goes to those that serve the
	// model that it names.
	Deployments []deploy.Deployment
	Router      Router
	Speed       float64          // of the engines' clock, 0 = 1
	Timer       engine.StepTimer // replaces the step times of the deployment; Fixed is one
	APIKeys     []string         // none = open
	Faults      *Faults          // nil = none
	Admin       bool             // faults may be changed while the server runs, under /admin
	LoadTracker bool             // --enable-server-load-tracking
	Limits      uvicorn.Limits   // what clients can make it hold
	Manual      bool             // time stands still but for Step
	// ImplicitBlockSize says that the deployment's block size is a build's default that nobody asked for, as the 128 of
	// vLLM's CPU build; it is a label of vllm:cache_config_info.
	ImplicitBlockSize bool
	Precise           bool          // the driver sleeps to the microsecond; not inside synctest
	Term              TermMode      // what SIGTERM does to requests in flight
	Watch             func(Watched) // sees everything that goes into and comes out of the engines, for tests
	Died              func()        // called once when an engine has died, after the clients were told
}

// Watched is one thing that happened to one engine: it took a request, or moved.
type Watched struct {
	Replica   int
	Engine    engine.Config
	At        units.Time
	Submitted *engine.Request // nil when it moved
	Events    []engine.Event
	Gauge     engine.Gauge
}

// Router chooses among replicas.
type Router string

const (
	RoundRobin Router = "round_robin"
	LeastLoad  Router = "least_load"
)

// Server is a running stand-in.
type Server struct {
	cfg        Config
	web        *uvicorn.Server
	replicas   []*replica
	tokenizer  *tokenizers.Tokenizer // nil with skip_tokenizer_init
	completion pydantic.Model
	chat       pydantic.Model
	names      []string // served, of the first deployment first
	server     deploy.Server
	version    string
	root       string // the model's path or id

	maxModelLen, blockSize, vocabulary int

	started     time.Time
	fingerprint string
	manual      atomic.Int64 // the time, where it stands still
	turn        atomic.Uint64
	asked       atomic.Int64 // requests for text so far: the number that faults go by
	tracked     atomic.Int64 // requests in flight, as /load tells

	unfinished, queuedTokens         atomic.Int64 // what admission looks at
	rejectedRequests, rejectedTokens atomic.Int64
	http                             httpMetrics
	faults                           faultState
	ending                           atomic.Bool // after SIGTERM
	deathTold                        sync.Once

	stop chan struct{}
	wg   sync.WaitGroup
}

// New plans the deployments and returns a server that serves nobody yet. A *failure.Error says that vLLM would not
// start.
func New(cfg Config) (*Server, error) {
	if len(cfg.Deployments) == 0 {
		return nil, errors.New("serve: no deployment")
	}
	switch {
	case cfg.Speed == 0:
		cfg.Speed = 1
	case cfg.Speed < 0:
		return nil, fmt.Errorf("serve: speed = %v, want > 0", cfg.Speed)
	}
	switch cfg.Router {
	case "":
		cfg.Router = RoundRobin
	case RoundRobin, LeastLoad:
	default:
		return nil, fmt.Errorf("serve: router = %q, want %s or %s", cfg.Router, RoundRobin, LeastLoad)
	}
	s := &Server{cfg: cfg, started: time.Now(), stop: make(chan struct{}), completion: completionModel(), chat: chatModel()}
	for i := range cfg.Deployments {
		r, err := newReplica(s, &cfg.Deployments[i])
		if err != nil {
			return nil, err
		}
		r.number = i
		s.replicas = append(s.replicas, r)
		for _, name := range servedNames(r.deployment) {
			if !s.serves(name) {
				s.names = append(s.names, name)
			}
		}
	}
	d := s.replicas[0].deployment
	s.server, s.version, s.root = d.Server, d.VLLMVersion, d.Model.ID
	if strings.Count(s.version, ".") == 1 {
		s.version += ".0"
	}
	s.maxModelLen, s.blockSize, s.vocabulary = d.Engine.MaxModelLen, d.Engine.BlockSize, d.Model.VocabSize
	if !s.server.SkipTokenizerInit {
		s.tokenizer = tokenizers.Tiny()
	}
	s.fingerprint = fmt.Sprintf("vllm-%s-%08x", s.version, rand.Uint32())
	s.http.all = newHistogram(fineBounds)
	s.faults.start(cfg.Faults)
	s.web = uvicorn.New(cfg.Limits, s.handle)
	if !cfg.Manual {
		for _, r := range s.replicas {
			s.wg.Add(1)
			go func() {
				defer s.wg.Done()
				r.drive(s.stop)
			}()
		}
	}
	return s, nil
}

func servedNames(d *deploy.Deployment) []string {
	if len(d.Server.ServedModelName) > 0 {
		return d.Server.ServedModelName
	}
	return []string{d.Model.ID}
}

// name is what a replica's answers and metrics call its model.
func (s *Server) name(r *replica) string { return servedNames(r.deployment)[0] }

func (s *Server) serves(name string) bool {
	for _, n := range s.names {
		if n == name {
			return true
		}
	}
	return false
}

// route chooses the replica for a model; nil if none serves it.
func (s *Server) route(model string) *replica {
	n := uint64(len(s.replicas))
	if n == 1 {
		return s.replicas[0]
	}
	var best *replica
	for i, turn := uint64(0), s.turn.Add(1); i < n; i++ {
		r := s.replicas[(turn+i)%n]
		if model != "" && !contains(servedNames(r.deployment), model) {
			continue
		}
		if s.cfg.Router == RoundRobin {
			return r
		}
		if best == nil || r.load.Load() < best.load.Load() {
			best = r
		}
	}
	return best
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

// now is the engines' time.
func (s *Server) now() units.Time {
	if s.cfg.Manual {
		return units.Time(s.manual.Load())
	}
	ns := time.Since(s.started).Nanoseconds()
	if s.cfg.Speed == 1 {
		return units.Time(ns) * units.Time(units.Nanosecond)
	}
	return units.Time(float64(ns) * s.cfg.Speed * float64(units.Nanosecond))
}

// wall is how long a span of the engines' time takes, rounded up: waking early would be waking in vain.
func (s *Server) wall(span units.Span) time.Duration {
	return time.Duration(math.Ceil(float64(span) / float64(units.Nanosecond) / s.cfg.Speed))
}

// Step moves a Manual server's time to the next instant at which something happens; false if nothing will.
func (s *Server) Step() bool {
	next := units.Never
	for _, r := range s.replicas {
		r.mu.Lock()
		next = min(next, r.next())
		r.mu.Unlock()
	}
	if next == units.Never {
		return false
	}
	s.AdvanceTo(next)
	return true
}

// AdvanceTo moves a Manual server's time.
func (s *Server) AdvanceTo(t units.Time) {
	s.manual.Store(max(s.manual.Load(), int64(t)))
	for _, r := range s.replicas {
		r.mu.Lock()
		if !r.dead {
			r.advance(s.now())
		}
		r.mu.Unlock()
	}
}

// Unfinished counts the sequences that the engines work on or have waiting.
func (s *Server) Unfinished() int { return int(s.unfinished.Load()) }

// Generated counts the tokens that clients have been told of.
func (s *Server) Generated() (n int) {
	for _, r := range s.replicas {
		r.mu.Lock()
		n += r.metrics.generated
		r.mu.Unlock()
	}
	return n
}

// Serve accepts connections until the listener or the server is closed. It listens again by itself after a fault that
// closes the port for a while.
func (s *Server) Serve(l net.Listener) error {
	for {
		if err := s.web.Serve(l); err != nil {
			return err
		}
		again, err := s.reopen(l.Addr())
		if again == nil || err != nil {
			return err
		}
		l = again
	}
}

// Start serves one connection.
func (s *Server) Start(c net.Conn) { s.web.Start(c) }

// Close ends everything at once and waits for it.
func (s *Server) Close() {
	select {
	case <-s.stop:
	default:
		close(s.stop)
	}
	s.ending.Store(true)
	s.web.Close()
	s.wg.Wait()
}
