package uvicorn

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Request as it came in. It is valid until the handler returns.
type Request struct {
	Method, Target, Path, Query string
	Body                        []byte
	headers                     []header
	close                       bool // the client wants the connection closed
	http10                      bool
	length                      int
	chunked                     bool
	expect                      bool
}

type header struct{ name, value string }

// Header returns the value of a header; ok is false if it is absent.
func (r *Request) Header(name string) (value string, ok bool) {
	for i := range r.headers {
		if len(r.headers[i].name) == len(name) && strings.EqualFold(r.headers[i].name, name) {
			return r.headers[i].value, true
		}
	}
	return "", false
}

// errInvalid is answered as uvicorn answers what its parser refuses; errTooLarge is ours, since uvicorn has no bound.
var (
	errInvalid  = errors.New("invalid HTTP request received")
	errTooLarge = errors.New("request body too large")
)

// read fills c.in until it holds a whole request and parses it.
func (c *Conn) read(r *Request) error {
	c.discard()
	end, scanned := -1, 0
	for {
		for c.taken == 0 && len(c.in) >= 2 && c.in[0] == '\r' && c.in[1] == '\n' { // blank lines before a request
			c.in = c.in[2:]
		}
		if i := bytes.Index(c.in[scanned:], []byte("\r\n\r\n")); i >= 0 {
			end = scanned + i
			break
		}
		scanned = max(0, len(c.in)-3)
		if len(c.in) > c.server.limits.Header {
			return errInvalid
		}
		if len(c.in) > 0 {
			c.late()
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
	if end > c.server.limits.Header {
		return errInvalid
	}
	if err := r.parse(string(c.in[:end]), c.server.limits.HeaderCount); err != nil {
		return err
	}
	c.taken = end + 4
	if r.length > c.server.limits.Body {
		return errTooLarge
	}
	if r.expect && len(c.in) == c.taken {
		if _, err := io.WriteString(c.net, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return err
		}
	}
	if r.chunked {
		return c.readChunked(r)
	}
	return c.readBody(r)
}

func (c *Conn) readBody(r *Request) error {
	for len(c.in) < c.taken+r.length {
		c.late()
		if err := c.fill(); err != nil {
			return err
		}
	}
	r.Body = c.in[c.taken : c.taken+r.length]
	c.taken += r.length
	return nil
}

func (c *Conn) readChunked(r *Request) error {
	r.Body = nil
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		digits, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 31)
		if err != nil {
			return errInvalid
		}
		if len(r.Body)+int(n) > c.server.limits.Body {
			return errTooLarge
		}
		if n == 0 {
			for line != "" { // trailers
				if line, err = c.line(); err != nil {
					return err
				}
			}
			return nil
		}
		for len(c.in) < c.taken+int(n)+2 {
			if err := c.fill(); err != nil {
				return err
			}
		}
		r.Body = append(r.Body, c.in[c.taken:c.taken+int(n)]...)
		c.taken += int(n) + 2
	}
}

// line takes the next line of a chunked body.
func (c *Conn) line() (string, error) {
	for {
		if i := bytes.Index(c.in[c.taken:], []byte("\r\n")); i >= 0 {
			line := string(c.in[c.taken : c.taken+i])
			c.taken += i + 2
			return line, nil
		}
		if len(c.in)-c.taken > 1<<10 {
			return "", errInvalid
		}
		c.late()
		if err := c.fill(); err != nil {
			return "", err
		}
	}
}

// fill reads once more from the network.
func (c *Conn) fill() error {
	if cap(c.in)-len(c.in) < 2<<10 {
		grown := make([]byte, len(c.in), max(4<<10, 2*cap(c.in)))
		copy(grown, c.in)
		c.in = grown
	}
	n, err := c.net.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// late gives a request that came in part the time to come whole.
func (c *Conn) late() {
	if c.deadline != reading {
		c.deadline = reading
		c.net.SetReadDeadline(time.Now().Add(c.server.limits.Read))
	}
}

// discard forgets the request before and keeps what came behind it.
func (c *Conn) discard() {
	rest := len(c.in) - c.taken
	if c.taken > 0 {
		if cap(c.in) > 64<<10 && rest < 4<<10 { // do not hold on to the memory of one large body
			c.in = append(make([]byte, 0, 4<<10), c.in[c.taken:]...)
		} else {
			copy(c.in, c.in[c.taken:])
			c.in = c.in[:rest]
		}
	}
	c.taken = 0
}

func (r *Request) parse(head string, maxHeaders int) error {
	*r = Request{headers: r.headers[:0]}
	line, rest, _ := strings.Cut(head, "\r\n")
	method, line, ok := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(line, " ")
	if !ok || !ok2 || !isToken(method) || target == "" || (version != "HTTP/1.1" && version != "HTTP/1.0") {
		return errInvalid
	}
	r.Method, r.Target, r.http10 = method, target, version == "HTTP/1.0"
	r.close = r.http10
	if err := r.locate(target); err != nil {
		return err
	}
	sized := false
	for rest != "" {
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) || len(r.headers) == maxHeaders {
			return errInvalid
		}
		value = strings.TrimLeft(value, " \t") // what is behind a value stays, as with uvicorn's parser
		r.headers = append(r.headers, header{name, value})
		switch len(name) {
		case len("Content-Length"):
			if strings.EqualFold(name, "content-length") {
				n, err := strconv.ParseUint(strings.TrimRight(value, " \t"), 10, 62)
				if err != nil || sized && r.length != int(n) {
					return errInvalid
				}
				r.length, sized = int(n), true
			}
		case len("Transfer-Encoding"):
			if strings.EqualFold(name, "transfer-encoding") {
				r.chunked = strings.EqualFold(value, "chunked")
			}
		case len("Connection"):
			if strings.EqualFold(name, "connection") {
				r.close = strings.EqualFold(value, "close") || r.http10 && !strings.EqualFold(value, "keep-alive")
			}
		case len("Expect"):
			if strings.EqualFold(name, "expect") {
				r.expect = strings.EqualFold(value, "100-continue")
			}
		}
	}
	if r.chunked && sized {
		return errInvalid
	}
	return nil
}

// locate takes the target apart; it may be a path or a whole URL.
func (r *Request) locate(target string) error {
	if target[0] != '/' {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return errInvalid
		}
		r.Path, r.Query = u.Path, u.RawQuery
		return nil
	}
	path, query, _ := strings.Cut(target, "?")
	r.Path, r.Query = path, query
	if strings.IndexByte(path, '%') >= 0 {
		decoded, err := url.PathUnescape(path)
		if err != nil {
			return errInvalid
		}
		r.Path = decoded
	}
	return nil
}

func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
