package live

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

func TestMain(m *testing.M) {
	if starts := os.Getenv(playing); starts != "" {
		os.Exit(playServer(starts, os.Args))
	}
	goleak.VerifyTestMain(m)
}

// pipes is a network of in-memory connections, so that a server and its client can live in virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// asked is a request as the fake server saw it.
type asked struct {
	N             int    `json:"-"` // 0, 1, 2 in the order of arrival
	Key           string `json:"-"`
	Path          string `json:"-"`
	Model         string
	Prompt        []int
	MaxTokens     int      `json:"max_tokens"`
	MinTokens     int      `json:"min_tokens"`
	IgnoreEOS     bool     `json:"ignore_eos"`
	Temperature   *float64 `json:"temperature"`
	Stream        bool
	StreamOptions struct {
		IncludeUsage         bool `json:"include_usage"`
		ContinuousUsageStats bool `json:"continuous_usage_stats"`
	} `json:"stream_options"`
}

// fake is a server that answers as a test tells it.
type fake struct {
	answer func(w http.ResponseWriter, r asked) // of a completion; nil = good
	block  int

	mu             sync.Mutex
	seen           []asked
	flying, peak   int
	queries, hits  int
	prompts        map[string]bool // the first block of each
	foreign        int             // prompt tokens of somebody else
	dead           bool
	listener       *pipes
	server         *http.Server
	serving        sync.WaitGroup
	metricsMissing bool
}

// start serves f and returns a backend that drives it.
func (f *fake) start(t *testing.T) Backend {
	if f.answer == nil {
		f.answer = good
	}
	f.block, f.prompts = 16, map[string]bool{}
	f.listener = newPipes()
	f.server = &http.Server{Handler: f}
	f.serving.Go(func() { f.server.Serve(f.listener) })
	tr := transport(64)
	tr.DialContext = f.listener.dial
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		f.server.Close()
		f.serving.Wait()
	})
	return Backend{Endpoint: "http://fake", Transport: tr, Limits: Limits{Sample: -1}}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.serving.Add(1) // Close does not wait for handlers
	defer f.serving.Done()
	f.mu.Lock()
	dead := f.dead
	f.mu.Unlock()
	switch r.URL.Path {
	case "/v1/models":
		io.WriteString(w, `{"object":"list","data":[{"id":"tiny","object":"model","owned_by":"vllm","root":"/m/tiny","max_model_len":2048}]}`)
	case "/version":
		io.WriteString(w, `{"version":"0.32.0"}`)
	case "/health":
		if dead {
			w.WriteHeader(503)
		}
	case "/metrics":
		f.metrics(w)
	case "/v1/completions", "/v1/chat/completions":
		f.completion(w, r)
	default:
		w.WriteHeader(404)
	}
}

func (f *fake) metrics(w http.ResponseWriter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.metricsMissing {
		w.WriteHeader(404)
		return
	}
	fmt.Fprintf(w, `vllm:num_requests_running{engine="0"} %d
vllm:num_requests_waiting{engine="0"} 0
vllm:kv_cache_usage_perc{engine="0"} 0.5
vllm:prefix_cache_queries_total{engine="0"} %d
vllm:prefix_cache_hits_total{engine="0"} %d
vllm:num_preemptions_total{engine="0"} 0
vllm:prompt_tokens_total{engine="0"} %d
vllm:generation_tokens_total{engine="0"} 0
vllm:request_success_total{engine="0",finished_reason="length"} 0
vllm:cache_config_info{block_size="%d",num_gpu_blocks="1000"} 1
`, f.flying, f.queries, f.hits, f.queries+f.foreign, f.block)
}

func (f *fake) completion(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var a asked
	json.Unmarshal(body, &a)
	a.Key, a.Path = r.Header.Get("Authorization"), r.URL.Path
	f.mu.Lock()
	a.N = len(f.seen)
	f.seen = append(f.seen, a)
	f.flying++
	f.peak = max(f.peak, f.flying)
	f.look(a.Prompt)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.flying--
		f.mu.Unlock()
	}()
	f.answer(w, a)
}

// look counts prefix hits as a server with room for everything does: whole blocks, never the last token.
func (f *fake) look(prompt []int) {
	f.queries += len(prompt)
	hitting := true
	for i := f.block; i <= len(prompt); i += f.block {
		key := fmt.Sprint(prompt[:i])
		if hitting = hitting && f.prompts[key]; hitting && i < len(prompt) {
			f.hits += f.block
		}
		f.prompts[key] = true
	}
}

func event(w http.ResponseWriter, text string) {
	fmt.Fprintf(w, "data: %s\n\n", text)
	w.(http.Flusher).Flush()
}

func tokens(w http.ResponseWriter, a asked, total int, finish string) {
	reason := "null"
	if finish != "" {
		reason = `"` + finish + `"`
	}
	event(w, fmt.Sprintf(`{"choices":[{"index":0,"text":"","finish_reason":%s}],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`, reason, len(a.Prompt), total))
}

func open(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
}

// usageEnd is the final usage event and [DONE].
func usageEnd(w http.ResponseWriter, a asked, total int) {
	event(w, fmt.Sprintf(`{"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`, len(a.Prompt), total))
	event(w, "[DONE]")
}

const (
	prefill = 50 * time.Millisecond
	step    = 10 * time.Millisecond
)

// good answers as vLLM does: 50 ms to the first token, 10 ms between tokens.
func good(w http.ResponseWriter, a asked) {
	open(w)
	for i := 1; i <= a.MaxTokens; i++ {
		time.Sleep(map[bool]time.Duration{true: prefill, false: step}[i == 1])
		finish := ""
		if i == a.MaxTokens {
			finish = "length"
		}
		tokens(w, a, i, finish)
	}
	usageEnd(w, a, a.MaxTokens)
}

// rows is n requests of so many tokens.
func rows(n, prompt, output int) workload.Rows {
	return workload.Rows{Count: n, Prompt: workload.Fixed(prompt), Output: workload.Fixed(output)}
}

// measured plays w against f in what is, under synctest, virtual time.
func measured(t *testing.T, b Backend, w workload.Workload) *Measurement {
	t.Helper()
	m, err := b.Measure(t.Context(), deploy.Deployment{}, w)
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, r := range m.Run.Requests {
		require.False(t, seen[r.ID], "request %d is there twice", r.ID)
		seen[r.ID] = true
	}
	return m
}

func classes(m *Measurement) []string {
	var all []string
	for _, r := range m.Run.Requests {
		all = append(all, string(r.Outcome))
	}
	return all
}

func warned(m *Measurement, text string) bool {
	return slices.ContainsFunc(m.Run.Warnings, func(w string) bool { return contains(w, text) })
}
