package serve

import (
	"time"
)

// TermMode is what SIGTERM does to requests in flight when there is no --shutdown-timeout. With vLLM it is a race;
// seen were all three.
type TermMode string

const (
	TermAbort TermMode = ""      // they end with finish_reason abort (1 of 7), which is also the graceful way
	TermError TermMode = "error" // they end with the engine-dead error (1 of 7)
	TermHang  TermMode = "hang"  // they get nothing more until their clients give up (5 of 7)
)

// Shutdown is SIGTERM: the port closes, requests in flight end as the mode says, or within shutdown_timeout if the
// deployment has one, and Shutdown returns when the last connection is gone. The exit code of vLLM is 0.
func (s *Server) Shutdown() {
	if s.ending.Load() {
		return
	}
	if wait := s.server.ShutdownTimeout; wait > 0 {
		s.drain(time.Duration(wait) * time.Second)
	}
	s.ending.Store(true)
	switch s.cfg.Term {
	case TermError:
		for _, r := range s.replicas {
			r.kill()
		}
	case TermHang:
		for _, r := range s.replicas {
			r.freeze()
		}
	default:
		for _, r := range s.replicas {
			r.abortAll()
		}
	}
	s.web.Drain()
	s.web.Wait()
	s.Close()
}

// drain lets requests in flight end for so long, while new ones are answered with an abort and no token.
func (s *Server) drain(wait time.Duration) {
	s.ending.Store(true)
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for s.unfinished.Load() > 0 {
		select {
		case <-look.C:
		case <-deadline.C:
			return
		case <-s.stop:
			return
		}
	}
}

// freeze stops the engine with its requests in it.
func (r *replica) freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = true
}

// die is the death of an engine while the server runs: its requests end with an error, /health says 503, and a
// moment later the port closes and the process ends with exit code 0.
func (s *Server) die(r *replica) {
	r.kill()
	s.deathTold.Do(func() {
		if s.cfg.Died != nil {
			go s.cfg.Died()
		}
	})
}

// KillEngine kills every engine, as SIGKILL of the engine core does.
func (s *Server) KillEngine() {
	for _, r := range s.replicas {
		s.die(r)
	}
}

// StopAccepting closes the port and leaves the connections.
func (s *Server) StopAccepting() { s.web.StopListening() }

// Ending says whether Shutdown has begun.
func (s *Server) Ending() bool { return s.ending.Load() }
