package serve_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/serve"
)

func decode(t *testing.T, text string) *serve.Faults {
	t.Helper()
	f, err := serve.DecodeFaults("faults.yaml", []byte(text))
	require.NoError(t, err)
	return f
}

func TestFaultFilesAreStrict(t *testing.T) {
	for text, want := range map[string]string{
		"faults: [{kind: nope, every: 1}]":                    `fault 1: kind = "nope"`,
		"faults: [{kind: reset}]":                             "hits nothing",
		"faults: [{kind: status, every: 1}]":                  "status = 0, want 400 to 599",
		"faults: [{kind: reset, rate: 2}]":                    "rate = 2, want in [0, 1]",
		"faults: [{kind: reset, every: 1, colour: red}]":      "colour",
		"faults: [{kind: stall, every: 1, after_events: -1}]": "after_events = -1",
	} {
		_, err := serve.DecodeFaults("faults.yaml", []byte(text))
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "faults.yaml")
	}
}

func TestFaults(t *testing.T) {
	faults := `
seed: 7
faults:
- {kind: status, requests: [1], status: 429}
- {kind: status, requests: [2], status: 503}
- {kind: status, requests: [3], status: 400, message: no}
- {kind: reset, requests: [4]}
- {kind: cut, requests: [5], after_events: 2}
- {kind: error_event, requests: [6], after_events: 1}
- {kind: reset_stream, requests: [7], after_events: 1}
- {kind: stall, requests: [8], after_events: 1, seconds: 30}
- {kind: engine_death, requests: [9], after_events: 2}
`
	synctest.Test(t, func(t *testing.T) {
		s := start(t, serve.Config{Faults: decode(t, faults)})
		ask := func() *caller {
			c := call(t, s)
			c.send("POST", completions, body(20, 4, `,"stream":true`))
			return c
		}
		for _, want := range []string{"HTTP/1.1 429 Too Many Requests", "HTTP/1.1 503 Service Unavailable", "HTTP/1.1 400 Bad Request"} {
			status, text := ask().answer()
			require.Equal(t, want, status)
			require.Contains(t, text, `{"error":{"message":"`)
		}
		_, err := ask().r.ReadByte()
		require.ErrorIs(t, err, io.EOF)

		c := ask() // cut
		c.head()
		c.event()
		c.event()
		rest, err := io.ReadAll(c.r)
		require.NoError(t, err)
		require.NotContains(t, string(rest), "[DONE]")

		c = ask() // error event
		c.head()
		c.event()
		require.Contains(t, c.event(), `{"error": {"message": "EngineCore`)
		require.Equal(t, "[DONE]", c.event())

		c = ask() // reset inside the stream
		c.head()
		c.event()
		_, err = c.r.ReadByte()
		require.Error(t, err)

		c = ask() // stall
		c.head()
		c.event()
		began := time.Now()
		c.event()
		require.GreaterOrEqual(t, time.Since(began), 30*time.Second)
		for c.event() != "" {
		}

		c = ask() // the engine dies
		c.head()
		c.event()
		c.event()
		last := ""
		for e := c.event(); e != ""; e = c.event() {
			last += e
		}
		require.Contains(t, last, "EngineCore encountered an issue")
		require.Equal(t, 0, s.Unfinished())
		s.Close()
	})
}

func TestFaultsByRateAreTheSameEveryTime(t *testing.T) {
	hits := func() (all []bool) {
		synctest.Test(t, func(t *testing.T) {
			s := start(t, serve.Config{Faults: decode(t, "seed: 3\nfaults: [{kind: status, status: 500, rate: 0.3}]"), Timer: serve.Fixed(0)})
			c := call(t, s)
			for range 50 {
				c.send("POST", completions, body(4, 1, ""))
				status, _ := c.answer()
				all = append(all, status != "HTTP/1.1 200 OK")
			}
			s.Close()
		})
		return all
	}
	first := hits()
	require.Equal(t, first, hits())
	n := 0
	for _, hit := range first {
		if hit {
			n++
		}
	}
	require.InDelta(t, 15, n, 8)
}

func TestAdminIsOffUnlessAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, serve.Config{})
		status, _ := call(t, s).get("/admin/faults")
		require.Equal(t, "HTTP/1.1 404 Not Found", status)
		s.Close()

		s = start(t, serve.Config{Admin: true})
		c := call(t, s)
		c.send("PUT", "/admin/faults", "faults: [{kind: status, status: 503, every: 1}]")
		status, _ = c.answer()
		require.Equal(t, "HTTP/1.1 200 OK", status)
		c.send("POST", completions, body(4, 1, ""))
		status, _ = c.answer()
		require.Equal(t, "HTTP/1.1 503 Service Unavailable", status)
		s.Close()
	})
}
