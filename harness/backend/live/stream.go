package live

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// doer sends a request; it is go-openai's HTTPDoer.
type doer interface {
	Do(*http.Request) (*http.Response, error)
}

// A clock counts from the start of a run.
type clock struct{ start time.Time }

func (c clock) now() units.Time { return units.Time(units.FromDuration(time.Since(c.start))) }

// span is one gap between tokens, n times.
type span struct {
	gap units.Span
	n   int
}

// stream is one request on its way and what came of it. Its goroutine owns it until it is handed back.
type stream struct {
	req  workload.Request
	slot int        // of the run's Requests
	due  units.Time // when it was meant to be sent
	sent units.Time

	first, last units.Time // Never before a token came
	tokens      int        // so far; exact where estimated is false
	firstTokens int        // in the first chunk
	gaps        []span     // between tokens
	chunks      []units.Span
	longest     units.Span // silence between two chunks
	estimated   bool       // no usage in the events: one token a chunk was assumed

	prompt, completion, cached int // of the last usage seen
	usage                      bool
	finish                     finish
	end                        outcome
	ended                      units.Time

	progress atomic.Int64 // units.Time of the last event; the watchdog reads it
	cancel   context.CancelCauseFunc
}

// client is one connection pool to one endpoint.
type client struct {
	http  doer
	url   string // of the requests
	key   string
	write writer
	clock clock
	over  func(*stream) // told of each data event; nil outside tests
}

func (c *client) request(ctx context.Context, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	return req, nil
}

// maxErrorBody bounds what is read of a refusal, maxLine what one event may be long.
const (
	maxErrorBody = 64 << 10
	maxLine      = 4 << 20
)

// run sends s and reads its answer to the end. Every way out sets exactly one outcome.
func (c *client) run(ctx context.Context, s *stream) {
	s.end = c.answer(ctx, s)
	s.end.detail = c.redact(s.end.detail)
	s.ended = c.clock.now()
}

// redact keeps the API key out of whatever an error text quotes.
func (c *client) redact(text string) string {
	if c.key == "" {
		return text
	}
	return strings.ReplaceAll(text, c.key, "***")
}

func (c *client) answer(ctx context.Context, s *stream) outcome {
	s.first, s.last = units.Never, units.Never
	req, err := c.request(ctx, c.write.body(s.req))
	if err != nil {
		return outcome{class: failure.Unknown, detail: err.Error()}
	}
	s.sent = c.clock.now()
	s.progress.Store(int64(s.sent))
	resp, err := c.http.Do(req)
	if err != nil {
		return broken(err, context.Cause(ctx))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		if err != nil && context.Cause(ctx) != nil {
			return broken(err, context.Cause(ctx))
		}
		return refusal(resp.StatusCode, body)
	}
	done, failed, err := c.events(s, resp.Body)
	switch {
	case failed != nil:
		return *failed
	case err != nil && !done:
		return broken(err, context.Cause(ctx))
	}
	return s.verdict(done, resp.Header.Get("Content-Type"), c.write.prompts == TokenIDs)
}

// verdict judges an answer that ended without an error.
func (s *stream) verdict(done bool, contentType string, exact bool) outcome {
	switch s.finish {
	case finishedAbort:
		return outcome{class: failure.Aborted, detail: fmt.Sprintf("finish_reason abort after %d of %d tokens: the server ended it", s.output(), s.req.Output)}
	case finishedError:
		return outcome{class: failure.StreamError, detail: fmt.Sprintf("finish_reason error after %d of %d tokens", s.output(), s.req.Output)}
	}
	if !done || s.finish == unfinished && !s.usage {
		if !strings.HasPrefix(contentType, "text/event-stream") {
			return outcome{class: failure.Truncated, detail: fmt.Sprintf("the answer is %q, want a stream of events", contentType)}
		}
		return outcome{class: failure.Truncated, detail: fmt.Sprintf("the stream ended after %d of %d tokens without [DONE]", s.output(), s.req.Output)}
	}
	if got := s.output(); !s.estimatedOutput() && got != int(s.req.Output) {
		return outcome{class: WrongLength, detail: fmt.Sprintf("completion_tokens = %d, asked for %d", got, s.req.Output)}
	}
	if exact && s.usage && s.prompt != int(s.req.Prompt) {
		return outcome{class: WrongLength, detail: fmt.Sprintf("prompt_tokens = %d, sent %d", s.prompt, s.req.Prompt)}
	}
	return outcome{}
}

// output is how many tokens came: what the server says, where it says it.
func (s *stream) output() int {
	if s.usage {
		return max(s.completion, 0)
	}
	return s.tokens
}

func (s *stream) estimatedOutput() bool { return !s.usage }

// readers are kept: 64 KiB a stream is too much to make anew for each request.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 64<<10) }}

// events reads the stream. done says that [DONE] came, failed that an event was an error.
func (c *client) events(s *stream, body io.Reader) (done bool, failed *outcome, err error) {
	r := readers.Get().(*bufio.Reader)
	r.Reset(body)
	defer func() {
		r.Reset(nil)
		readers.Put(r)
	}()
	var long []byte
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if long = append(long, line...); len(long) > maxLine {
				return done, &outcome{class: failure.StreamError, detail: fmt.Sprintf("an event is longer than %d bytes", maxLine)}, nil
			}
			continue
		}
		if long != nil {
			line, long = append(long, line...), nil
		}
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			if out := s.event(bytes.TrimSpace(data), c.clock.now(), &done); out != nil && failed == nil {
				failed = out
			}
			if c.over != nil {
				c.over(s)
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return done, failed, err
		}
	}
}

// event takes in one event that arrived now.
func (s *stream) event(data []byte, now units.Time, done *bool) *outcome {
	s.progress.Store(int64(now))
	if string(data) == "[DONE]" {
		*done = true
		return nil
	}
	c, err := decodeChunk(data)
	if err != nil {
		return &outcome{class: failure.StreamError, detail: fmt.Sprintf("%v: %.80q", err, data)}
	}
	if c.failed != nil {
		out := streamError(c.failed)
		return &out
	}
	if c.finish != unfinished {
		s.finish = c.finish
	}
	if c.usage {
		s.usage, s.prompt, s.completion, s.cached = true, c.prompt, c.completion, max(s.cached, c.cached)
	}
	if c.choices == 0 {
		return nil
	}
	fresh := 0
	switch {
	case c.usage:
		fresh = c.completion - s.tokens
	case c.text || !c.role && c.finish == unfinished:
		fresh, s.estimated = 1, true
	}
	if fresh > 0 {
		s.token(now, fresh)
	}
	return nil
}

// token notes that n tokens came now, in one chunk.
func (s *stream) token(now units.Time, n int) {
	s.tokens += n
	if s.first == units.Never {
		s.first, s.firstTokens = now, n
	} else {
		gap := now.Sub(s.last)
		s.longest = max(s.longest, gap)
		s.chunks = append(s.chunks, gap)
		s.gaps = append(s.gaps, span{gap / units.Span(n), n})
	}
	s.last = now
}
