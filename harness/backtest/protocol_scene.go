package backtest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/serve"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// replay sends one exchange again in the situation in which it was recorded and returns the answer, nil if none came.
// The situations are told by the recording's README; the requests around an exchange follow its pattern (prompts that
// begin at 610 + 43·i and go on by 7), so they need not be in the folder.
func replay(x *exchange, url string) (got *answer, skip bool, err error) {
	if url != "" {
		return replayLive(x, url)
	}
	s, err := newStage(x)
	if err != nil {
		return nil, false, err
	}
	play := scene(x, s)
	if err := s.start(); err != nil {
		return nil, false, err
	}
	defer s.close()
	return play(x, s), false, nil
}

// An act plays one exchange on its stage.
type act func(*exchange, *stage) *answer

// scene picks the act of an exchange by its name, and may change the stage's configuration.
func scene(x *exchange, s *stage) act {
	name := x.name()
	has := func(part string) bool { return strings.Contains(name, part) }
	switch {
	case strings.HasPrefix(name, "kill-"):
		return killed
	case strings.HasPrefix(name, "sigterm-drain-new"):
		return afterDrain
	case strings.HasPrefix(name, "sigterm-hang"), strings.HasPrefix(name, "sigterm-drain") && !x.ended():
		s.cfg.Term = serve.TermHang
		return terminated
	case strings.HasPrefix(name, "sigterm-drain"):
		return plain
	case strings.HasPrefix(name, "sigterm"):
		s.cfg.Term = serve.TermError
		if x.Response != nil && strings.Contains(strings.Join(x.Response.events, "")+x.Response.Body, `"finish_reason":"abort"`) {
			s.cfg.Term = serve.TermAbort
		}
		return terminated
	case has("preempt") && has("metrics"), name == "disconnect-metrics-after", name == "queued-tokens-metrics":
		return history
	case strings.HasPrefix(name, "preempt"):
		return crowd
	case strings.HasPrefix(name, "disconnect"):
		return leaving
	case strings.HasPrefix(name, "queued-tokens") && has("reject"):
		return behindPrefill
	case strings.HasPrefix(name, "queued") && has("reject"):
		return behindQueue
	case name == "load-one-in-flight":
		return behindOne
	case strings.HasPrefix(name, "prefix-") && !has("first"):
		return cached
	}
	return plain
}

func plain(x *exchange, s *stage) *answer { return s.finish(s.send(x.raw())) }

// body is a completion request in the recording's pattern.
func (s *stage) body(i, prompt, maxTokens int, stream, usage bool) string {
	ids := make([]string, prompt)
	for k := range ids {
		ids[k] = strconv.Itoa(610 + 43*i + 7*k)
	}
	model := modelPath
	if names := s.cfg.Deployments[0].Server.ServedModelName; len(names) > 0 {
		model = names[0]
	}
	b := fmt.Sprintf(`{"model": %q, "prompt": [%s], "temperature": 0, "max_tokens": %d, "ignore_eos": true`, model, strings.Join(ids, ", "), maxTokens)
	if stream {
		b += `, "stream": true`
	}
	if usage {
		b += `, "stream_options": {"include_usage": true}`
	}
	return b + "}"
}

// post is a request for text as bytes on the wire.
func (s *stage) post(path, body string) []byte {
	auth := ""
	for _, key := range s.cfg.APIKeys {
		auth = "Authorization: Bearer " + key + "\r\n"
	}
	return []byte("POST " + path + " HTTP/1.1\r\nHost: recorded\r\n" + auth + "Content-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

const completionsPath = "/v1/completions"

// behindOne: one stream is in flight.
func behindOne(x *exchange, s *stage) *answer {
	s.begin(s.post(completionsPath, s.body(0, 8, 100, true, false)), 1)
	return s.still(x)
}

// still sends an exchange's request and waits for its answer while time stands still.
func (s *stage) still(x *exchange) *answer {
	c := s.send(x.raw())
	s.until(c.finished)
	return &c.got
}

// behindQueue: as many requests are in flight as may be.
func behindQueue(x *exchange, s *stage) *answer {
	for i := range s.cfg.Deployments[0].Server.MaxNumQueuedReqs {
		s.begin(s.post(completionsPath, s.body(i, 32, 96, true, false)), i+1)
	}
	return s.still(x)
}

// behindPrefill: a long prompt is in its prefill.
func behindPrefill(x *exchange, s *stage) *answer {
	s.begin(s.longPrompt(), 1)
	return s.still(x)
}

// longPrompt is the request of 2000 tokens, as long in bytes as the recorded one.
func (s *stage) longPrompt() []byte {
	b := `{"model": "tiny", "prompt": [` + strings.Repeat("5, ", 1999) + `5], "temperature": 0, "max_tokens": 1, "ignore_eos": true}`
	return s.post(completionsPath, b)
}

// cached: the prompt of which this is a part, or the same, was computed before.
func cached(x *exchange, s *stage) *answer {
	ids := make([]string, 300)
	for i := range ids {
		ids[i] = strconv.Itoa((10 + 7*i) % 1800)
	}
	b := `{"prompt": [` + strings.Join(ids, ", ") + `], "temperature": 0, "max_tokens": 2, "ignore_eos": true}`
	s.finish(s.send(s.post(completionsPath, b)))
	return plain(x, s)
}

// recordedEvents counts the choices' events that came before the end, an error or the usage.
func (x *exchange) recordedEvents() (n int) {
	if x.Response == nil {
		return 0
	}
	for _, e := range x.Response.events {
		if strings.Contains(e, `"choices":[{`) && !strings.Contains(e, `"finish_reason":"abort"`) {
			n++
		}
	}
	return n
}

// killed: the engine core dies while the request runs, or has died before it.
func killed(x *exchange, s *stage) *answer {
	if x.Request.Method == "GET" {
		s.server.KillEngine()
		return s.still(x)
	}
	c := s.begin(x.raw(), 1)
	s.events(c, x.recordedEvents())
	s.server.KillEngine()
	s.until(c.finished)
	return &c.got
}

// terminated: SIGTERM comes while the request runs, or just before it.
func terminated(x *exchange, s *stage) *answer {
	if strings.HasSuffix(x.name(), "new-request") {
		return nil // the port is closed: the recording's client got no answer either
	}
	c := s.begin(x.raw(), 1)
	s.events(c, x.recordedEvents())
	down := make(chan struct{})
	s.server.StopAccepting()
	go func() {
		defer close(down)
		s.server.Shutdown()
	}()
	if x.ended() {
		s.until(c.finished)
	} else {
		s.until(s.server.Ending)
	}
	c.conn.Close()
	<-c.done
	<-down
	return &c.got
}

// afterDrain: the request comes during the drain of a server that has a shutdown timeout.
func afterDrain(x *exchange, s *stage) *answer {
	busy := s.begin(s.post(completionsPath, s.body(0, 16, 400, true, false)), 1)
	s.events(busy, 1)
	down := make(chan struct{})
	go func() {
		defer close(down)
		s.server.Shutdown()
	}()
	s.until(s.server.Ending)
	c := s.send(x.raw())
	s.until(c.finished)
	busy.conn.Close()
	<-down
	return &c.got
}

// leaving: the client hangs up after so many events.
func leaving(x *exchange, s *stage) *answer {
	c := s.begin(x.raw(), 1)
	s.events(c, x.recordedEvents())
	c.conn.Close()
	<-c.done
	s.until(func() bool { return s.server.Unfinished() == 0 })
	return &c.got
}

// crowd sends the six requests of the preemption case and returns the answer to the one that is the exchange's.
func crowd(x *exchange, s *stage) *answer {
	mine, err := strconv.Atoi(x.name()[strings.LastIndex(x.name(), "-")+1:])
	if err != nil {
		return plain(x, s)
	}
	clients := s.six(x, mine)
	s.play(func() bool { return clients[mine].finished() })
	return &clients[mine].got
}

// six sends the crowd, 4 ms apart. Number mine sends the exchange's own bytes; -1 is none.
func (s *stage) six(x *exchange, mine int) []*client {
	output := 200
	if strings.HasPrefix(x.letter(), "Q") {
		output = 96
	}
	clients := make([]*client, 6)
	for i := range clients {
		raw := s.post(completionsPath, s.body(i, 32, output, true, true))
		if i == mine {
			raw = x.raw()
		}
		s.server.AdvanceTo(units.Time(0).Add(units.Span(i) * 4 * units.Millisecond).Add(s.since))
		clients[i] = s.begin(raw, i+1)
	}
	return clients
}

// history plays what the recording's server had gone through when /metrics was read.
func history(x *exchange, s *stage) *answer {
	name := x.name()
	if name == "queued-tokens-metrics" {
		small := s.post(completionsPath, s.body(2, 16, 2, false, false))
		s.finish(s.send(small))
		c := s.begin(s.longPrompt(), 1)
		s.until(s.send(small).finished)
		s.finish(c)
		return plain(x, s)
	}
	if x.letter() == "C2" {
		s.finish(s.send(s.post(completionsPath, `{"model": "tiny", "prompt": [5, 6, 7], "max_tokens": 3}`)))
		s.since = units.Second
	}
	if strings.HasSuffix(name, "before") {
		return plain(x, s)
	}
	clients := s.six(x, -1)
	if strings.HasSuffix(name, "during") {
		want := int(counter(x.Response.Body, "vllm:generation_tokens_total"))
		s.play(func() bool { return s.server.Generated() >= want })
		return s.still(x)
	}
	s.rejected(clients)
	s.play(func() bool { return s.server.Unfinished() == 0 })
	for _, c := range clients {
		s.until(c.finished)
	}
	if name == "disconnect-metrics-after" {
		s.departed()
	}
	return plain(x, s)
}

// rejected sends, while the queue is full, one request of each kind.
func (s *stage) rejected([]*client) {
	for _, raw := range [][]byte{
		s.post(completionsPath, s.body(9, 32, 2, false, false)),
		s.post(completionsPath, s.body(9, 32, 2, true, false)),
		s.post("/v1/chat/completions", `{"model": "`+s.cfg.Deployments[0].Server.ServedModelName[0]+`", "messages": [{"role": "user", "content": "x"}], "max_tokens": 2}`),
	} {
		s.until(s.send(raw).finished)
	}
}

// departed is what came between the crowd and the last scrape: one request of eight sequences, one of eight prompts,
// one client that left after five tokens.
func (s *stage) departed() {
	body := strings.Replace(s.body(9, 32, 2, false, false), `"temperature": 0`, `"temperature": 1`, 1)
	s.until(s.send(s.post(completionsPath, strings.TrimSuffix(body, "}")+`, "n": 8}`)).finished)
	list := `{"model": "qwen", "prompt": [[1], [2], [3], [4], [5], [6], [7], [8]], "temperature": 0, "max_tokens": 2, "ignore_eos": true, "stream": false, "n": 1}`
	s.until(s.send(s.post(completionsPath, list)).finished)
	c := s.begin(s.post(completionsPath, s.body(20, 32, 96, true, false)), 1)
	s.events(c, 5)
	c.conn.Close()
	<-c.done
	s.until(func() bool { return s.server.Unfinished() == 0 })
	s.play(func() bool { return !s.server.Step() })
}

// counter is the first value of a counter in a metrics text.
func counter(text, name string) float64 {
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, name+"{") {
			f, _ := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			return f
		}
	}
	return 0
}
