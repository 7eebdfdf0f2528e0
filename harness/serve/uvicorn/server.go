// Package uvicorn frames HTTP/1.1 as vLLM's web server does: header names in lower case and in its order, one HTTP
// chunk for each event of a stream, keep-alive that ends after five idle seconds.
//
// The standard library's server writes headers its own way and hides the connection, and a stand-in is compared byte
// by byte, so this is a server of its own: one goroutine for each connection, every buffer and count bounded.
//
//	s := uvicorn.New(uvicorn.Limits{}, func(c *uvicorn.Conn, r *uvicorn.Request) {
//		c.Reply(uvicorn.Reply{Status: 200, Type: "application/json", Body: body})
//	})
//	go s.Serve(listener)
//	s.Close()
package uvicorn

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Limits bound what clients can make the server hold. Zero fields mean the defaults.
type Limits struct {
	Header      int           // bytes of request line and headers, 64 KiB
	HeaderCount int           // 256, as vLLM's
	Body        int           // bytes, 64 MiB
	Conns       int           // open connections, 16,384; further ones are closed at once
	KeepAlive   time.Duration // idle between requests, 5 s as vLLM's
	Read        time.Duration // from a request's first byte to its last, 60 s
	Write       time.Duration // a client that takes no bytes for so long is dropped, 60 s
}

func (l Limits) withDefaults() Limits {
	def := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	def(&l.Header, 64<<10)
	def(&l.HeaderCount, 256)
	def(&l.Body, 64<<20)
	def(&l.Conns, 16384)
	if l.KeepAlive == 0 {
		l.KeepAlive = 5 * time.Second
	}
	if l.Read == 0 {
		l.Read = time.Minute
	}
	if l.Write == 0 {
		l.Write = time.Minute
	}
	return l
}

// Server accepts connections and hands their requests to a handler, one after the other on each connection.
type Server struct {
	limits   Limits
	handle   func(*Conn, *Request)
	date     dateHeader
	draining atomic.Bool

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*Conn]struct{} // len ≤ limits.Conns
	closed    bool
	wg        sync.WaitGroup
}

// New returns a server. The handler must answer each request through the Conn before it returns.
func New(limits Limits, handle func(*Conn, *Request)) *Server {
	return &Server{
		limits: limits.withDefaults(), handle: handle,
		listeners: map[net.Listener]struct{}{}, conns: map[*Conn]struct{}{},
	}
}

// Serve accepts connections until the listener or the server is closed, then returns nil.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return l.Close()
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	pause := time.Millisecond
	for {
		nc, err := l.Accept()
		if err != nil {
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() { // out of file descriptors: wait for some to close
				time.Sleep(pause)
				pause = min(2*pause, time.Second)
				continue
			}
			s.mu.Lock()
			_, unexpected := s.listeners[l]
			delete(s.listeners, l)
			s.mu.Unlock()
			if !unexpected || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		pause = time.Millisecond
		s.Start(nc)
	}
}

// Start serves one connection in a goroutine of its own; a test hands in one end of a net.Pipe.
func (s *Server) Start(nc net.Conn) {
	c := &Conn{net: nc, server: s}
	s.mu.Lock()
	if s.closed || len(s.conns) >= s.limits.Conns {
		s.mu.Unlock()
		nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		defer func() {
			nc.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
		c.loop()
	}()
}

// Conns is the number of open connections.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// StopListening closes the listeners; open connections live on.
func (s *Server) StopListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		delete(s.listeners, l)
		l.Close()
	}
}

// Drain stops listening and closes each connection as soon as no request is in flight on it.
func (s *Server) Drain() {
	s.StopListening()
	s.draining.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.closeIfIdle()
	}
}

// Wait returns when the last connection is gone.
func (s *Server) Wait() { s.wg.Wait() }

// Close closes listeners and connections and waits for their goroutines.
func (s *Server) Close() {
	s.StopListening()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.net.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// dateHeader keeps the date line, which changes once a second.
type dateHeader struct{ now atomic.Pointer[dated] }

type dated struct {
	second int64
	line   string
}

func (d *dateHeader) line(t time.Time) string {
	if p := d.now.Load(); p != nil && p.second == t.Unix() {
		return p.line
	}
	p := &dated{t.Unix(), "date: " + t.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") + "\r\nserver: uvicorn\r\n"}
	d.now.Store(p)
	return p.line
}
