package serve_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/serve"
)

func TestShutdownModes(t *testing.T) {
	for _, c := range []struct {
		mode serve.TermMode
		last string // event of a stream in flight, "" = the connection gives nothing more
	}{
		{serve.TermAbort, `"finish_reason":"abort"`},
		{serve.TermError, `"EngineCore encountered an issue.`},
		{serve.TermHang, ""},
	} {
		t.Run("mode="+string(c.mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, serve.Config{Term: c.mode})
				k := call(t, s)
				k.send("POST", completions, body(20, 100, `,"stream":true`))
				k.head()
				k.event()
				down := make(chan struct{})
				go func() { defer close(down); s.Shutdown() }()
				synctest.Wait()
				if c.last == "" {
					time.Sleep(time.Minute)
					select {
					case <-down:
						t.Fatal("ended before its client")
					default:
					}
					k.conn.Close()
				} else {
					last := ""
					for e := k.event(); e != "[DONE]"; e = k.event() {
						last = e
					}
					require.Contains(t, last, c.last)
					require.Equal(t, "", k.event())
				}
				<-down
			})
		})
	}
}

func TestDrainLetsRequestsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := small(t)
		d.Server.ShutdownTimeout = 10
		s := start(t, serve.Config{Deployments: []deploy.Deployment{d}})
		k, late := call(t, s), call(t, s)
		k.send("POST", completions, body(20, 50, ""))
		synctest.Wait()
		down := make(chan struct{})
		go func() { defer close(down); s.Shutdown() }()
		synctest.Wait()
		late.send("POST", completions, body(20, 50, ""))
		status, text := late.answer()
		require.Equal(t, "HTTP/1.1 200 OK", status)
		require.Contains(t, text, `"finish_reason":"abort"`)
		require.Contains(t, text, `"completion_tokens":0`)
		late = call(t, s)
		late.send("POST", completions, body(20, 50, `,"stream":true`))
		late.head()
		require.Equal(t, "[DONE]", late.event())
		_, text = k.answer()
		require.Contains(t, text, `"finish_reason":"length"`)
		require.Contains(t, text, `"completion_tokens":50`)
		<-down
	})
}

func TestEngineDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		died := make(chan struct{})
		s := start(t, serve.Config{Died: func() { close(died) }})
		k := call(t, s)
		k.send("POST", completions, body(20, 50, ""))
		synctest.Wait()
		s.KillEngine()
		status, text := k.answer()
		require.Equal(t, "HTTP/1.1 500 Internal Server Error", status)
		require.Contains(t, text, "EngineCore encountered an issue.")
		<-died
		status, _ = k.get("/health")
		require.Equal(t, "HTTP/1.1 503 Service Unavailable", status)
		require.Equal(t, 0, s.Unfinished())
		s.Close()
	})
}

func TestReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := small(t)
		other.Server.ServedModelName = []string{"other"}
		s := start(t, serve.Config{Deployments: []deploy.Deployment{small(t), small(t), other}, Router: serve.LeastLoad})
		for range 4 {
			call(t, s).send("POST", completions, body(20, 50, `,"model":"small"`))
			synctest.Wait()
		}
		call(t, s).send("POST", completions, body(20, 50, `,"model":"other"`))
		synctest.Wait()
		time.Sleep(15 * time.Millisecond)
		for i, want := range []string{"2.0", "2.0", "1.0"} {
			require.Equal(t, want, metric(t, s, `vllm:num_requests_running{engine="`+string(rune('0'+i))+`"`))
		}
		k := call(t, s)
		k.send("POST", completions, body(20, 50, `,"model":"none"`))
		_, text := k.answer()
		require.Contains(t, text, "The model `none` does not exist. Valid aliases: small, other.")
		s.Close()
	})
}

func TestRoundRobin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, serve.Config{Deployments: []deploy.Deployment{small(t), small(t)}})
		for range 6 {
			call(t, s).send("POST", completions, body(20, 50, ""))
			synctest.Wait()
		}
		time.Sleep(15 * time.Millisecond)
		require.Equal(t, "3.0", metric(t, s, `vllm:num_requests_running{engine="0"`))
		require.Equal(t, "3.0", metric(t, s, `vllm:num_requests_running{engine="1"`))
		s.Close()
	})
}

func TestNoKeyInAnyAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const key = "a-secret-key"
		s := start(t, serve.Config{APIKeys: []string{key}})
		for _, header := range []string{"X-Other: y", "Authorization: Bearer wrong", "Authorization: Basic " + key, "Authorization: " + key, "X-Api-Key: " + key} {
			k := call(t, s)
			k.send("POST", completions, body(4, 2, ""), header)
			status, text := k.answer()
			require.Equal(t, "HTTP/1.1 401 Unauthorized", status, header)
			require.Equal(t, `{"error":"Unauthorized"}`, text)
		}
		k := call(t, s)
		k.send("POST", completions, body(4, 2, ""), "Authorization: bearer "+key)
		status, _ := k.answer()
		require.Equal(t, "HTTP/1.1 200 OK", status)
		var log strings.Builder
		s.LogStart(&log, "127.0.0.1:8000")
		_, text := call(t, s).get("/metrics")
		require.NotContains(t, log.String()+text, key)
		s.Close()
	})
}
