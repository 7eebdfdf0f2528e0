package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
	"github.com/testing-symbiote/symbiote/harness/serve/uvicorn"
)

// An exchange is one request on its way through the server.
type exchange struct {
	*Server
	c     *uvicorn.Conn
	r     *uvicorn.Request
	after string // the header lines that the middlewares add

	status, size int // of the answer, for the metrics; a stream's size counts as 0
}

const (
	jsonType = "application/json"
	vary     = "vary: Origin\r\n"
	detail   = "detail" // a refusal of the framework: its body is {"detail": …}
)

// A route is a path that vLLM serves.
type route struct {
	path    string
	methods []string
	handle  func(*exchange)
	counted bool // by the HTTP metrics
}

// findRoute looks up the route of a path; vLLM's routes in its order.
func findRoute(path string) *route {
	get, post := []string{"GET"}, []string{"POST"}
	switch path {
	case "/v1/completions":
		return &route{path, post, (*exchange).completions, true}
	case "/v1/chat/completions":
		return &route{path, post, (*exchange).chatCompletions, true}
	case "/invocations":
		return &route{path, post, (*exchange).invocations, true}
	case "/v1/models":
		return &route{path, get, (*exchange).models, true}
	case "/tokenize":
		return &route{path, post, (*exchange).tokenize, true}
	case "/detokenize":
		return &route{path, post, (*exchange).detokenize, true}
	case "/health":
		return &route{path, get, (*exchange).health, false}
	case "/ping":
		return &route{path, []string{"GET", "POST"}, (*exchange).health, false}
	case "/version":
		return &route{path, get, (*exchange).versionInfo, false}
	case "/load":
		return &route{path, get, (*exchange).load, false}
	case "/metrics":
		return &route{path, get, (*exchange).metrics, false}
	case "/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc":
		return &route{path, []string{"GET", "HEAD"}, (*exchange).notSimulated, true}
	case "/kv_event_sources":
		return &route{path, get, func(x *exchange) { x.reply(http.StatusOK, jsonType, []byte("{}")) }, true}
	case "/v1/systemone", "/v1/chat/completions/batch", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens", "/generative_scoring",
		"/scale_elastic_ep", "/is_scaling_elastic_ep", "/v1/chat/completions/render", "/v1/messages/render", "/v1/completions/render",
		"/v1/responses/render", "/v1/chat/completions/derender", "/v1/completions/derender", "/inference/v1/generate", "/inference/v1/abort_requests":
		return &route{path, post, (*exchange).notSimulated, true}
	}
	if id, ok := strings.CutPrefix(path, "/v1/responses/"); ok && id != "" {
		if _, cancel := strings.CutSuffix(id, "/cancel"); cancel {
			get = post
		}
		return &route{path, get, (*exchange).noResponse, true}
	}
	if strings.HasPrefix(path, "/metrics/") {
		return &route{path, []string{"GET", "HEAD", "POST"}, (*exchange).mountedMetrics, false}
	}
	return nil
}

// handle is the way of a request: authentication, cross-origin rules, route, method.
func (s *Server) handle(c *uvicorn.Conn, r *uvicorn.Request) {
	x := &exchange{Server: s, c: c, r: r}
	if s.server.EnableRequestIDHeaders {
		x.after = "x-request-id: " + requestID(r, randomHex(16)) + "\r\n"
	}
	if !s.admitted(r) {
		x.reply(http.StatusUnauthorized, jsonType, []byte(`{"error":"Unauthorized"}`))
		return
	}
	if r.Method == http.MethodOptions && x.preflight() {
		return
	}
	x.after = vary + x.after
	start := time.Now()
	rt := findRoute(r.Path)
	if r.Path == adminPath && s.cfg.Admin {
		rt = &route{adminPath, []string{"GET", "PUT"}, (*exchange).admin, false}
	}
	name := "none"
	switch {
	case rt == nil:
		x.unrouted()
	case rt.path == "/metrics" && r.Method != http.MethodGet:
		x.mountedMetrics()
	case !slices.Contains(rt.methods, r.Method):
		name = rt.path
		x.detail(http.StatusMethodNotAllowed, "allow: "+rt.methods[0]+"\r\n", "Method Not Allowed")
	default:
		name = rt.path
		rt.handle(x)
	}
	if rt == nil || rt.counted {
		length, _ := r.Header("content-length")
		in, _ := strconv.Atoi(length)
		if x.status == 0 {
			x.status = http.StatusOK // the client went away first
		}
		s.http.observe(name, r.Method, x.status, in, x.size, time.Since(start))
	}
}

// requestID is the client's own, else the one given.
func requestID(r *uvicorn.Request, otherwise string) string {
	if id, ok := r.Header("x-request-id"); ok {
		return id
	}
	return otherwise
}

// randomHex is an id of 2n hexadecimal digits.
func randomHex(n int) string {
	s := ""
	for len(s) < 2*n {
		s += fmt.Sprintf("%016x", rand.Uint64())
	}
	return s[:2*n]
}

// admitted checks the key of a guarded path. Keys are compared by their hashes, in constant time.
func (s *Server) admitted(r *uvicorn.Request) bool {
	if len(s.cfg.APIKeys) == 0 || r.Method == http.MethodOptions || !guarded(r.Path) {
		return true
	}
	header, _ := r.Header("authorization")
	scheme, key, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return false
	}
	given := sha256.Sum256([]byte(key))
	match := 0
	for _, k := range s.cfg.APIKeys {
		want := sha256.Sum256([]byte(k))
		match |= subtle.ConstantTimeCompare(given[:], want[:])
	}
	return match == 1
}

func guarded(path string) bool {
	for _, prefix := range [...]string{"/v1", "/v2", "/inference", "/cohere", "/admin"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// preflight answers a browser's question before a cross-origin request: no origin is allowed, as by vLLM's default.
func (x *exchange) preflight() bool {
	_, origin := x.r.Header("origin")
	_, method := x.r.Header("access-control-request-method")
	if !origin || !method {
		return false
	}
	before := "vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network\r\n" +
		"access-control-allow-methods: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY\r\naccess-control-max-age: 600\r\n"
	if headers, ok := x.r.Header("access-control-request-headers"); ok {
		before += "access-control-allow-headers: " + headers + "\r\n"
	}
	text := "Disallowed CORS origin"
	if _, ok := x.r.Header("access-control-request-private-network"); ok {
		text += ", private-network"
	}
	x.c.Reply(uvicorn.Reply{Status: http.StatusBadRequest, Before: before, Type: "text/plain; charset=utf-8", After: x.after, Body: []byte(text)})
	return true
}

// unrouted answers a path that is no route: a redirect if it would be one with or without its last slash.
func (x *exchange) unrouted() {
	path := x.r.Path
	other := path + "/"
	if strings.HasSuffix(path, "/") {
		other = strings.TrimRight(path, "/")
	}
	if path == "/" || findRoute(other) == nil {
		x.detail(http.StatusNotFound, "", "Not Found")
		return
	}
	host, _ := x.r.Header("host")
	if x.r.Query != "" {
		other += "?" + x.r.Query
	}
	x.status = http.StatusTemporaryRedirect
	x.c.Reply(uvicorn.Reply{Status: x.status, After: "location: http://" + host + other + "\r\n" + x.after})
}

func (x *exchange) reply(status int, contentType string, body []byte) {
	x.status, x.size = status, len(body)
	x.c.Reply(uvicorn.Reply{Status: status, Type: contentType, After: x.after, Body: body})
}

// detail answers in the framework's shape.
func (x *exchange) detail(status int, before, message string) {
	body := append(pydantic.AppendString([]byte(`{"detail":`), message, false), '}')
	x.status, x.size = status, len(body)
	x.c.Reply(uvicorn.Reply{Status: status, Before: before, Type: jsonType, After: x.after, Body: body})
}

// refuse answers with an error.
func (x *exchange) refuse(e *refusal) {
	if e.kind == detail {
		x.detail(e.status, "", e.message)
		return
	}
	body := e.appendBody(nil, false)
	if e.bare {
		// Outside the instrumentation: it sees a 500 without a length, and no middleware adds its header.
		x.status = e.status
		x.c.Reply(uvicorn.Reply{Status: e.status, Type: jsonType, Body: body})
		return
	}
	x.reply(e.status, jsonType, body)
}

// json is the body of the request. What is no JSON is refused before what is of the wrong type, as FastAPI does.
func (x *exchange) json() (v pydantic.Value, e *refusal) {
	contentType, given := x.r.Header("content-type")
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	if !given || media == jsonType || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json") {
		if v, e = parseBody(x.r.Body); e != nil && (given || e.kind == detail) {
			return v, e
		}
	}
	if media != jsonType {
		return v, unprocessable([]pydantic.Problem{{Msg: "Unsupported Media Type: Only 'application/json' is allowed"}})
	}
	return v, e
}
