package serve_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/serve"
)

// Clients that connect and hang, send garbage, break off inside a request or an answer, or behave, all at once. When
// they are gone nothing of them is left: no goroutine (TestMain), no request, no KV block, and no law was broken.
func TestUnrulyClientsLeaveNothingBehind(t *testing.T) {
	clients := 4096
	if testing.Short() {
		clients = 256
	}
	synctest.Test(t, func(t *testing.T) {
		s := start(t, serve.Config{})
		var wg sync.WaitGroup
		for i := range clients {
			near, far := net.Pipe()
			s.Start(far)
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer near.Close()
				misbehave(near, rand.New(rand.NewPCG(1, uint64(i))))
			}()
		}
		wg.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Positive(t, s.Generated())
		require.Equal(t, 0, s.Unfinished())
		require.Equal(t, "0.0", metric(t, s, "vllm:kv_cache_usage_perc"))
		require.Equal(t, "0.0", metric(t, s, "vllm:num_requests_running"))
		require.Equal(t, "0.0", metric(t, s, "vllm:num_requests_waiting{"))
		s.Close()
	})
}

// misbehave is one client's life.
func misbehave(c net.Conn, r *rand.Rand) {
	body := `{"prompt":[5,6,7,8,9,10,11,12,13,14,15,16,17,18],"max_tokens":40,"stream":true}`
	request := fmt.Sprintf("POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	pause := time.Duration(r.IntN(3000)) * time.Millisecond
	switch r.IntN(5) {
	case 0: // hangs
		time.Sleep(pause)
	case 1: // sends garbage
		junk := make([]byte, r.IntN(300))
		for i := range junk {
			junk[i] = byte(r.IntN(256))
		}
		go io.Copy(io.Discard, c)
		c.Write(append(junk, "\r\n\r\n"...))
	case 2: // breaks off inside the request
		c.Write([]byte(request[:r.IntN(len(request))]))
		time.Sleep(pause)
	case 3: // breaks off inside the answer
		c.Write([]byte(request))
		io.CopyN(io.Discard, c, int64(r.IntN(4000)))
	case 4: // reads slowly, then goes
		c.Write([]byte(request))
		c.SetReadDeadline(time.Now().Add(pause))
		io.Copy(io.Discard, c)
	}
}

func FuzzBodies(f *testing.F) {
	for _, b := range []string{
		`{"prompt":[5,6],"max_tokens":2}`, `{"prompt":["a","b"],"n":2,"temperature":1,"stop":["x"],"logprobs":2,"echo":true}`,
		`{"prompt":"kalomi","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}],"logprobs":true,"top_logprobs":1,"max_tokens":3}`,
		`{"prompt":[[1],[2,"x"]],"seed":1e400}`, `{"a":"\ud83d`, `[`, ``, "\xff", `{"prompt":[5],"truncate_prompt_tokens":-1,"min_tokens":3,"stop_token_ids":[686]}`,
	} {
		f.Add(b, false)
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b string, chat bool) {
		if len(b) > 1<<12 {
			t.Skip("long bodies are a matter of limits")
		}
		synctest.Test(t, func(t *testing.T) {
			s := start(t, serve.Config{})
			c := call(t, s)
			path := completions
			if chat {
				path = "/v1/chat/completions"
			}
			go c.send("POST", path, b)
			status, length := c.head()
			require.Regexp(t, `^HTTP/1\.1 (200|400|404|500) `, status)
			if length < 0 {
				for c.event() != "" {
				}
			} else {
				io.CopyN(io.Discard, c.r, int64(length))
			}
			require.Equal(t, 0, s.Unfinished())
			s.Close()
		})
	})
}
