package serve_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine/enginetest"
	"github.com/testing-symbiote/symbiote/harness/serve"
	"github.com/testing-symbiote/symbiote/harness/units"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small is a deployment that plans fast and preempts early: 12 usable blocks of 16 tokens.
func small(t *testing.T) deploy.Deployment {
	t.Helper()
	model, err := fixtures.Model("Qwen/Qwen2.5-0.5B-Instruct")
	require.NoError(t, err)
	gpu, err := fixtures.GPU("h100-sxm")
	require.NoError(t, err)
	d := deploy.Deployment{Model: model, GPU: gpu}
	d.Engine = deploy.Engine{MaxModelLen: 128, BlockSize: 16, NumGPUBlocksOverride: 13, MaxNumSeqs: 4, MaxNumBatchedTokens: 256}
	d.Server.ServedModelName = []string{"small"}
	return d
}

// start makes a server under the eyes of a Validator and closes it with the test.
func start(t *testing.T, cfg serve.Config) *serve.Server {
	t.Helper()
	if cfg.Deployments == nil {
		cfg.Deployments = []deploy.Deployment{small(t)}
	}
	if cfg.Timer == nil {
		cfg.Timer = serve.Fixed(10 * units.Millisecond)
	}
	var mu sync.Mutex
	laws := map[int]*enginetest.Validator{}
	cfg.Watch = func(w serve.Watched) {
		mu.Lock()
		defer mu.Unlock()
		v := laws[w.Replica]
		if v == nil {
			v = enginetest.NewValidator(w.Engine)
			laws[w.Replica] = v
		}
		if w.Submitted != nil {
			v.Submitted(w.At, *w.Submitted)
			return
		}
		v.Saw(w.Events)
		v.Gauge(w.Gauge)
	}
	s, err := serve.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.Close()
		mu.Lock()
		defer mu.Unlock()
		for replica, v := range laws {
			require.NoError(t, v.Err(), "replica %d", replica)
		}
	})
	return s
}

// A caller is the client's end of one connection.
type caller struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func call(t *testing.T, s *serve.Server) *caller {
	near, far := net.Pipe()
	s.Start(far)
	t.Cleanup(func() { near.Close() })
	return &caller{t, near, bufio.NewReader(near)}
}

func (c *caller) send(method, path, body string, headers ...string) {
	c.t.Helper()
	head := method + " " + path + " HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
	for _, h := range headers {
		head += h + "\r\n"
	}
	_, err := io.WriteString(c.conn, head+"\r\n"+body)
	require.NoError(c.t, err)
}

// head reads status line and headers.
func (c *caller) head() (status string, length int) {
	c.t.Helper()
	status, err := c.r.ReadString('\n')
	require.NoError(c.t, err)
	length = -1
	for {
		line, err := c.r.ReadString('\n')
		require.NoError(c.t, err)
		if line == "\r\n" {
			return strings.TrimSpace(status), length
		}
		if v, ok := strings.CutPrefix(line, "content-length: "); ok {
			length, err = strconv.Atoi(strings.TrimSpace(v))
			require.NoError(c.t, err)
		}
	}
}

// answer reads a whole answer of known length.
func (c *caller) answer() (status, body string) {
	c.t.Helper()
	status, length := c.head()
	require.GreaterOrEqual(c.t, length, 0, status)
	b := make([]byte, length)
	_, err := io.ReadFull(c.r, b)
	require.NoError(c.t, err)
	return status, string(b)
}

// event reads one event of a stream, "" at its end.
func (c *caller) event() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	require.NoError(c.t, err)
	n, err := strconv.ParseInt(strings.TrimSpace(line), 16, 32)
	require.NoError(c.t, err)
	b := make([]byte, n+2)
	_, err = io.ReadFull(c.r, b)
	require.NoError(c.t, err)
	return strings.TrimSpace(strings.TrimPrefix(string(b[:n]), "data: "))
}

func (c *caller) get(path string) (status, body string) {
	c.t.Helper()
	c.send("GET", path, "")
	return c.answer()
}

const completions = "/v1/completions"

func body(prompt, tokens int, more string) string {
	ids := strings.TrimSuffix(strings.Repeat("7,", prompt), ",")
	return fmt.Sprintf(`{"prompt":[%s],"max_tokens":%d%s}`, ids, tokens, more)
}

// metric is the value of a series whose line begins like this.
func metric(t *testing.T, s *serve.Server, name string) string {
	t.Helper()
	_, text := call(t, s).get("/metrics")
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, name) {
			return line[strings.LastIndexByte(line, ' ')+1:]
		}
	}
	t.Fatalf("no series %s", name)
	return ""
}

func TestLatencyIsTheEngines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, serve.Config{})
		c := call(t, s)
		began := time.Now()
		c.send("POST", completions, body(20, 5, `,"stream":true`))
		status, _ := c.head()
		require.Equal(t, "HTTP/1.1 200 OK", status)
		for i := range 5 {
			require.Contains(t, c.event(), `"choices":[{"index":0`)
			require.Equal(t, time.Duration(i+1)*10*time.Millisecond, time.Since(began), "token %d", i+1)
		}
		require.Equal(t, "[DONE]", c.event())
		require.Equal(t, "", c.event())
		s.Close()
	})
}

func TestSpeedScalesTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, serve.Config{Speed: 10})
		c := call(t, s)
		began := time.Now()
		c.send("POST", completions, body(20, 50, ""))
		c.answer()
		require.Equal(t, 50*time.Millisecond, time.Since(began))
		s.Close()
	})
}

func TestIdleConnectionsEndAfterFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, serve.Config{})
		c := call(t, s)
		c.get("/version")
		began := time.Now()
		_, err := c.r.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 5*time.Second, time.Since(began))
		s.Close()
	})
}

func TestDisconnectFreesBlocksAndCountsNowhere(t *testing.T) {
	for _, stream := range []bool{true, false} {
		t.Run(fmt.Sprintf("stream=%v", stream), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, serve.Config{})
				c := call(t, s)
				c.send("POST", completions, body(20, 100, fmt.Sprintf(`,"stream":%v`, stream)))
				if stream {
					c.head()
					c.event()
				} else {
					time.Sleep(15 * time.Millisecond)
				}
				require.NotEqual(t, "0.0", metric(t, s, "vllm:kv_cache_usage_perc"))
				c.conn.Close()
				time.Sleep(30 * time.Millisecond)
				require.Equal(t, 0, s.Unfinished())
				require.Equal(t, "0.0", metric(t, s, "vllm:kv_cache_usage_perc"))
				require.Equal(t, "0.0", metric(t, s, "vllm:num_requests_running"))
				require.Equal(t, "0.0", metric(t, s, `vllm:request_success_total{engine="0",finished_reason="abort"`))
				s.Close()
			})
		})
	}
}

func TestPrefixCacheHits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := small(t)
		d.Server.EnablePromptTokensDetails = true
		s := start(t, serve.Config{Deployments: []deploy.Deployment{d}})
		for _, c := range []struct {
			more   string
			cached int
		}{
			{"", 0}, {"", 32}, {`,"cache_salt":"x"`, 0}, {`,"cache_salt":"x"`, 32},
		} {
			k := call(t, s)
			k.send("POST", completions, body(40, 2, c.more))
			_, text := k.answer()
			require.Contains(t, text, fmt.Sprintf(`"cached_tokens":%d,`, c.cached))
		}
		s.Close()
	})
}
