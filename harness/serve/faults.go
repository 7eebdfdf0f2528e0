package serve

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.yaml.in/yaml/v4"
)

// Faults say what goes wrong, and when: the same file, the same requests in the same order, the same faults.
type Faults struct {
	Seed   uint64  `yaml:"seed"`
	Start  Start   `yaml:"start"`
	Faults []Fault `yaml:"faults"`
}

// Start is what goes wrong before the first request.
type Start struct {
	DelaySeconds float64 `yaml:"delay_s"` // the port opens so much later
	OutOfMemory  bool    `yaml:"out_of_memory"`
}

// A Fault hits requests for text by their number, counted from 1 in order of arrival, or at random by the seed.
type Fault struct {
	Kind     FaultKind `yaml:"kind"`
	Requests []int     `yaml:"requests"` // these …
	Every    int       `yaml:"every"`    // … or each so many-th …
	Rate     float64   `yaml:"rate"`     // … or this share of them
	Status   int       `yaml:"status"`
	Message  string    `yaml:"message"`
	After    int       `yaml:"after_events"` // inside a stream: after so many events
	Seconds  float64   `yaml:"seconds"`
}

// FaultKind is one way to go wrong.
type FaultKind string

const (
	Refused     FaultKind = "refused"      // the port is closed for Seconds, this connection is reset
	Reset       FaultKind = "reset"        // the connection is reset before an answer
	ResetStream FaultKind = "reset_stream" // … or inside the stream
	Cut         FaultKind = "cut"          // the stream ends without [DONE]
	ErrorEvent  FaultKind = "error_event"  // the stream ends with an error
	Status      FaultKind = "status"       // an error answer: 4xx, 429, 500, 503
	Stall       FaultKind = "stall"        // nothing comes for Seconds; 0 = never again
	EngineDeath FaultKind = "engine_death" // the engine core dies
)

// DecodeFaults reads a fault file. It is strict, as deployment files are.
func DecodeFaults(name string, data []byte) (*Faults, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	f := &Faults{}
	if err := dec.Decode(f); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for i := range f.Faults {
		if err := f.Faults[i].check(); err != nil {
			return nil, fmt.Errorf("%s: fault %d: %w", name, i+1, err)
		}
	}
	return f, nil
}

func (f *Fault) check() error {
	kinds := []FaultKind{Refused, Reset, ResetStream, Cut, ErrorEvent, Status, Stall, EngineDeath}
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("kind = %q, want one of %v", f.Kind, kinds)
	case f.Rate < 0 || f.Rate > 1:
		return fmt.Errorf("rate = %v, want in [0, 1]", f.Rate)
	case len(f.Requests) == 0 && f.Every <= 0 && f.Rate == 0:
		return fmt.Errorf("%s hits nothing, want requests, every or rate", f.Kind)
	case f.Kind == Status && (f.Status < 400 || f.Status > 599):
		return fmt.Errorf("status = %d, want 400 to 599", f.Status)
	case f.After < 0 || f.Seconds < 0:
		return fmt.Errorf("after_events = %d, seconds = %v, want ≥ 0", f.After, f.Seconds)
	}
	return nil
}

// faultState is the file in force and how long the port stays closed.
type faultState struct {
	mu     sync.Mutex
	faults *Faults
	closed time.Duration // what Serve still has to wait before it listens again
}

func (s *faultState) start(f *Faults) {
	s.mu.Lock()
	s.faults = f
	s.mu.Unlock()
}

// pick returns the fault that hits a request, nil for most.
func (s *faultState) pick(number int) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults == nil {
		return nil
	}
	for i := range s.faults.Faults {
		f := &s.faults.Faults[i]
		if slices.Contains(f.Requests, number) || f.Every > 0 && number%f.Every == 0 ||
			f.Rate > 0 && rand.New(rand.NewPCG(s.faults.Seed, uint64(i)<<32|uint64(number))).Float64() < f.Rate {
			return f
		}
	}
	return nil
}

// before is what happens before a request is looked at; true means that it has been dealt with.
func (f *Fault) before(x *exchange) bool {
	if f == nil {
		return false
	}
	switch f.Kind {
	case Refused:
		x.faults.mu.Lock()
		x.faults.closed = time.Duration(f.Seconds * float64(time.Second))
		x.faults.mu.Unlock()
		x.web.StopListening()
		x.c.Reset()
		return true
	case Reset:
		x.c.Reset()
		return true
	case Status:
		x.refuse(f.refusal())
		return true
	case Stall:
		return f.After == 0 && !f.stall(x)
	case EngineDeath:
		if f.After == 0 {
			x.die(x.replicas[0])
		}
	}
	return false
}

// inside is what happens inside a stream before its next event; true means that the stream has ended.
func (f *Fault) inside(w *streamWriter) bool {
	if f == nil || w.events != f.After {
		return false
	}
	switch f.Kind {
	case ResetStream:
		w.c.Flush()
		w.leave()
		w.c.Reset()
		return true
	case Cut:
		w.leave()
		w.c.EndStream()
		w.c.Close()
		return true
	case ErrorEvent:
		w.leave()
		w.event(f.refusal().appendBody(nil, true))
		w.event([]byte("[DONE]"))
		w.c.EndStream()
		return true
	case Stall:
		w.c.Flush()
		if f.After > 0 && !f.stall(w.exchange) {
			w.leave()
			return true
		}
	case EngineDeath:
		if f.After > 0 {
			w.die(w.call.served)
		}
	}
	return false
}

// refusal is the error that the fault answers with.
func (f *Fault) refusal() *refusal {
	switch {
	case f.Status == 0:
		e := engineDead()
		if f.Message != "" {
			e.message = f.Message
		}
		return e
	case f.Status == 503:
		return busy(textOr(f.Message, tooManyRequests))
	case f.Status == 429:
		return &refusal{status: f.Status, kind: "Too Many Requests", message: textOr(f.Message, "Too many requests")}
	case f.Status >= 500:
		return &refusal{status: f.Status, kind: "InternalServerError", message: textOr(f.Message, "Internal server error")}
	}
	return &refusal{status: f.Status, kind: "BadRequestError", message: textOr(f.Message, "fault injected")}
}

// stall waits; false if the client did not.
func (f *Fault) stall(x *exchange) bool {
	gone := x.c.Gone()
	var over <-chan time.Time
	if f.Seconds > 0 {
		timer := time.NewTimer(time.Duration(f.Seconds * float64(time.Second)))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return true
	case <-gone:
	case <-x.stop:
	}
	return false
}

// reopen listens again after the port was closed by a fault; nil if it was closed for good.
func (s *Server) reopen(addr net.Addr) (net.Listener, error) {
	s.faults.mu.Lock()
	wait := s.faults.closed
	s.faults.closed = 0
	s.faults.mu.Unlock()
	if wait == 0 || s.ending.Load() {
		return nil, nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return net.Listen(addr.Network(), addr.String())
	case <-s.stop:
		return nil, nil
	}
}

// adminPath shows the faults in force, and takes others, while a server that allows it runs.
const adminPath = "/admin/faults"

func (x *exchange) admin() {
	if x.r.Method == http.MethodPut {
		f, err := DecodeFaults("body", x.r.Body)
		if err != nil {
			x.detail(http.StatusBadRequest, "", err.Error())
			return
		}
		x.faults.start(f)
	}
	x.faults.mu.Lock()
	text, err := yaml.Marshal(x.faults.faults)
	x.faults.mu.Unlock()
	if err != nil {
		panic(err) // a decoded file encodes
	}
	x.reply(http.StatusOK, "application/yaml", text)
}
