package backtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/serve"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// raw is an exchange's request as bytes on the wire.
func (x *exchange) raw() []byte {
	body := x.Request.Body
	length := ""
	for _, h := range x.Request.Headers {
		if strings.EqualFold(h[0], "content-length") {
			length = h[1]
		}
	}
	if n, err := strconv.Atoi(length); err == nil && n < len(body) && strings.Contains(body, "\uFFFD") {
		body = strings.ReplaceAll(body, "\uFFFD", "\xff") // bytes that the recording could not write down
	}
	body = strings.ReplaceAll(body, "<model>", modelPath)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", x.Request.Method, x.Request.Path)
	for _, h := range x.Request.Headers {
		if strings.EqualFold(h[0], "content-length") {
			h[1] = strconv.Itoa(len(body))
		}
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n" + body)
	return []byte(b.String())
}

// A client is one connection with one request on it.
type client struct {
	conn net.Conn
	got  answer
	done chan struct{} // closed when the answer is complete or the connection gone
	err  error
	news chan struct{}
}

// send writes a request and reads the answer in the background.
func send(conn net.Conn, raw []byte) *client {
	c := &client{conn: conn, done: make(chan struct{}), news: make(chan struct{}, 1<<16)}
	go func() {
		defer close(c.done)
		if _, err := conn.Write(raw); err != nil {
			c.err = err
			return
		}
		c.err = c.got.read(bufio.NewReader(conn), bytes.HasPrefix(raw, []byte("HEAD ")), c.news)
	}()
	return c
}

var errNoAnswer = errors.New("no answer")

// read takes one answer apart as the recording did. Each event is announced on news.
func (a *answer) read(r *bufio.Reader, bare bool, news chan<- struct{}) error {
	line, err := readLine(r)
	if err != nil {
		return errNoAnswer
	}
	a.StatusLine = line
	length, chunked := -1, false
	for {
		if line, err = readLine(r); err != nil {
			return err
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ": ")
		a.Headers = append(a.Headers, [2]string{name, value})
		switch strings.ToLower(name) {
		case "content-length":
			length, _ = strconv.Atoi(value)
		case "transfer-encoding":
			chunked = true
		}
	}
	if bare {
		return nil // the answer to HEAD has no body, whatever its headers say
	}
	if !chunked {
		body := make([]byte, max(0, length))
		n, err := io.ReadFull(r, body)
		a.Body = string(body[:n])
		return err
	}
	for {
		if line, err = readLine(r); err != nil {
			return err
		}
		n, err := strconv.ParseInt(line, 16, 32)
		if err != nil {
			return err
		}
		chunk := make([]byte, n+2)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		a.events = append(a.events, string(chunk[:n]))
		news <- struct{}{}
	}
}

func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n"), err
}

// A stage is a stand-in whose time the scene moves.
type stage struct {
	server  *serve.Server
	cfg     serve.Config
	clients []*client
	since   units.Span // when the crowd of a preemption case begins
}

func newStage(x *exchange) (*stage, error) {
	c, err := parseCommand(x.Server)
	if err != nil {
		return nil, err
	}
	cfg, err := recordedServer(c)
	if err != nil {
		return nil, err
	}
	return &stage{cfg: cfg}, nil
}

// start makes the server; a scene may have changed its configuration before.
func (s *stage) start() (err error) {
	s.server, err = serve.New(s.cfg)
	return err
}

func (s *stage) close() {
	for _, c := range s.clients {
		c.conn.Close()
	}
	s.server.Close()
	for _, c := range s.clients {
		<-c.done
	}
}

// send begins a request on a connection of its own.
func (s *stage) send(raw []byte) *client {
	near, far := net.Pipe()
	s.server.Start(far)
	c := send(near, raw)
	s.clients = append(s.clients, c)
	return c
}

// begin sends a request and returns once so many sequences are in the engine, or the answer is there.
func (s *stage) begin(raw []byte, unfinished int) *client {
	c := s.send(raw)
	s.until(func() bool { return s.server.Unfinished() >= unfinished || c.finished() })
	return c
}

func (c *client) finished() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// patience bounds a scene; it is never reached unless the server is at fault.
const patience = 20 * time.Second

// until waits for a condition that other goroutines bring about, time standing still.
func (s *stage) until(met func() bool) {
	for start := time.Now(); !met() && time.Since(start) < patience; {
		time.Sleep(50 * time.Microsecond)
	}
}

// finish moves time until the answer is complete.
func (s *stage) finish(c *client) *answer {
	s.play(func() bool { return c.finished() })
	return &c.got
}

// play moves time, step by step, until the condition is met.
func (s *stage) play(met func() bool) {
	for start := time.Now(); !met() && time.Since(start) < patience; {
		if s.server.Unfinished() == 0 || !s.server.Step() {
			time.Sleep(20 * time.Microsecond)
		}
	}
}

// events moves time until a stream has brought so many events.
func (s *stage) events(c *client, n int) {
	for seen := 0; seen < n; {
		select {
		case <-c.news:
			seen++
		case <-c.done:
			return
		default:
			before := s.server.Generated()
			if s.server.Unfinished() > 0 {
				s.server.Step()
			}
			if s.server.Generated() == before {
				time.Sleep(20 * time.Microsecond)
			} else {
				s.settle(c, before)
			}
		}
	}
}

// settle gives the goroutines of a stream the time to bring what a step has made.
func (s *stage) settle(c *client, _ int) {
	timer := time.NewTimer(200 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-c.news:
		c.news <- struct{}{}
	case <-c.done:
	case <-timer.C:
	}
}
