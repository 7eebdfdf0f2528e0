package uvicorn

import (
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// Conn is one client connection. Its methods are called by the handler, in the connection's goroutine.
type Conn struct {
	net    net.Conn
	server *Server

	in    []byte // what was read
	taken int    // of it, what belongs to the current request
	out   []byte // what is to be written

	request  Request
	busy     atomic.Bool
	hangUp   bool // the connection ends after this answer
	deadline deadlineKind
	writeBy  time.Time
	watch    *watch
}

// deadlineKind says what the read deadline was last set for.
type deadlineKind uint8

const (
	none deadlineKind = iota
	idle
	reading
	waiting
)

// loop serves requests until either side is done with the connection.
func (c *Conn) loop() {
	c.net.SetReadDeadline(time.Now().Add(c.server.limits.Read))
	for {
		if err := c.read(&c.request); err != nil {
			c.refuse(err)
			return
		}
		c.busy.Store(true)
		c.hangUp = c.request.close
		c.server.handle(c, &c.request)
		c.stopWatching()
		if err := c.Flush(); err != nil || c.hangUp {
			return
		}
		c.deadline = idle
		c.net.SetReadDeadline(time.Now().Add(c.server.limits.KeepAlive))
		c.busy.Store(false)
		if c.server.draining.Load() { // Drain sets it first and then looks for idle ones
			return
		}
	}
}

// refuse answers what was no request.
func (c *Conn) refuse(err error) {
	status, text := http.StatusBadRequest, "Invalid HTTP request received."
	switch {
	case errors.Is(err, errTooLarge):
		status, text = http.StatusRequestEntityTooLarge, err.Error()
	case !errors.Is(err, errInvalid):
		return // gone, idle for too long, or closed by us
	}
	c.hangUp = true
	c.status(status, "")
	c.out = append(c.out, "content-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\n"...)
	c.out = append(c.out, text...)
	c.Flush()
}

func (c *Conn) closeIfIdle() {
	if !c.busy.Load() {
		c.net.SetReadDeadline(time.Unix(1, 0))
	}
}

// A Reply is an answer of known length. Before and After are whole header lines.
type Reply struct {
	Status        int
	Before, After string // lines before content-length, lines after content-type
	Type          string // content-type, "" for none
	Body          []byte
	Close         bool // the connection ends after it
}

// Reply writes an answer.
func (c *Conn) Reply(r Reply) {
	c.status(r.Status, r.Before)
	c.out = append(c.out, "content-length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(r.Body)), 10)
	c.out = append(c.out, "\r\n"...)
	if r.Type != "" {
		c.out = append(c.out, "content-type: "...)
		c.out = append(c.out, r.Type...)
		c.out = append(c.out, "\r\n"...)
	}
	c.out = append(c.out, r.After...)
	c.hangUp = c.hangUp || r.Close
	c.endHeaders("")
	if c.request.Method != http.MethodHead {
		c.out = append(c.out, r.Body...)
	}
}

func (c *Conn) status(code int, before string) {
	c.out = append(c.out, "HTTP/1.1 "...)
	c.out = strconv.AppendInt(c.out, int64(code), 10)
	c.out = append(c.out, ' ')
	c.out = append(c.out, http.StatusText(code)...)
	c.out = append(c.out, "\r\n"...)
	c.out = append(c.out, c.server.date.line(time.Now())...)
	c.out = append(c.out, before...)
}

func (c *Conn) endHeaders(last string) {
	if c.hangUp {
		c.out = append(c.out, "connection: close\r\n"...)
	}
	c.out = append(c.out, last...)
	c.out = append(c.out, "\r\n"...)
}

// StartStream begins a chunked answer.
func (c *Conn) StartStream(contentType, after string) {
	c.status(http.StatusOK, "")
	c.out = append(c.out, "content-type: "...)
	c.out = append(c.out, contentType...)
	c.out = append(c.out, "\r\n"...)
	c.out = append(c.out, after...)
	if c.request.Method == http.MethodHead {
		c.endHeaders("")
		return
	}
	c.endHeaders("transfer-encoding: chunked\r\n")
}

// Chunk appends one chunk to the stream; it is on its way after Flush.
func (c *Conn) Chunk(p []byte) {
	c.out = strconv.AppendInt(c.out, int64(len(p)), 16)
	c.out = append(c.out, "\r\n"...)
	c.out = append(c.out, p...)
	c.out = append(c.out, "\r\n"...)
	if len(c.out) > 256<<10 { // do not hold a whole long stream
		c.Flush()
	}
}

// EndStream ends a chunked answer.
func (c *Conn) EndStream() { c.out = append(c.out, "0\r\n\r\n"...) }

// Flush hands what was written to the network. After an error the connection ends with the request.
func (c *Conn) Flush() error {
	if len(c.out) == 0 {
		return nil
	}
	if now := time.Now(); now.After(c.writeBy) {
		c.writeBy = now.Add(c.server.limits.Write / 4)
		c.net.SetWriteDeadline(now.Add(c.server.limits.Write))
	}
	_, err := c.net.Write(c.out)
	if err != nil {
		c.hangUp = true
	}
	if cap(c.out) > 512<<10 {
		c.out = nil
	}
	c.out = c.out[:0]
	return err
}

// Close ends the connection after what was written so far, as a server does that breaks off.
func (c *Conn) Close() {
	c.Flush()
	c.hangUp = true
}

// Reset ends the connection with a TCP reset where the network has one; what was not flushed is lost.
func (c *Conn) Reset() {
	if tcp, ok := c.net.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.out = c.out[:0]
	c.net.Close()
	c.hangUp = true
}

// watch reads while the handler waits, to learn that the client has gone.
type watch struct {
	gone chan struct{} // closed when the client has
	done chan struct{} // closed when the reader has ended
	more []byte        // of the next request
}

// Gone returns a channel that closes when the client hangs up before its answer.
func (c *Conn) Gone() <-chan struct{} {
	if c.watch != nil {
		return c.watch.gone
	}
	w := &watch{gone: make(chan struct{}), done: make(chan struct{})}
	c.watch = w
	c.deadline = waiting
	c.net.SetReadDeadline(time.Time{})
	room := c.server.limits.Header
	go func() {
		defer close(w.done)
		buf := make([]byte, 512)
		for len(w.more) < room {
			n, err := c.net.Read(buf)
			w.more = append(w.more, buf[:n]...)
			if err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					close(w.gone)
				}
				return
			}
		}
	}()
	return w.gone
}

func (c *Conn) stopWatching() {
	w := c.watch
	if w == nil {
		return
	}
	c.net.SetReadDeadline(time.Unix(1, 0))
	<-w.done
	c.watch = nil
	c.in = append(c.in, w.more...)
	select {
	case <-w.gone:
		c.hangUp = true
	default:
	}
}
