package serve

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
)

func (x *exchange) completions()     { x.generate(false) }
func (x *exchange) chatCompletions() { x.generate(true) }

// invocations takes either body, by what it holds.
func (x *exchange) invocations() {
	b, e := x.json()
	switch {
	case e != nil && e.kind != detail && strings.Contains(e.message, "json_invalid"):
		_, err := pydantic.Parse(string(x.r.Body))
		e = &refusal{status: http.StatusBadRequest, kind: "Bad Request", message: "JSON decode error: " + err.Place(string(x.r.Body))}
	case e == nil && b.Kind != pydantic.Dict && b.Kind != pydantic.List && b.Kind != pydantic.String:
		e = invalid("argument of type '" + pythonType(&b) + "' is not iterable")
	}
	if e != nil {
		x.refuse(e)
		return
	}
	x.generateFrom(b, b.Kind == pydantic.Dict && b.Get("messages").Kind == pydantic.List)
}

func (x *exchange) generate(chat bool) {
	b, e := x.json()
	if e != nil {
		x.refuse(e)
		return
	}
	x.generateFrom(b, chat)
}

// generateFrom is a request for text: check, admit, render, check again, hand over, answer. The order is vLLM's, so
// of two faults the same one is told.
func (x *exchange) generateFrom(b pydantic.Value, chat bool) {
	number := int(x.asked.Add(1))
	fault := x.faults.pick(number)
	if fault.before(x) {
		return
	}
	g, e := x.parseGeneration(b, chat)
	if e != nil {
		x.refuse(e)
		return
	}
	x.tracked.Add(1)
	defer x.tracked.Add(-1)
	if e := x.prepare(g); e != nil {
		x.refuse(e)
		return
	}
	rank, _ := x.r.Header("x-data-parallel-rank")
	id := "cmpl-"
	if chat {
		id = "chatcmpl-"
	}
	a := &answer{exchange: x, g: g, id: id + requestID(x.r, textOr(b.Get("request_id").Text, newID())), created: time.Now().Unix(), fault: fault}
	if !g.stream && x.tokenizer == nil && g.logprobs >= 0 && !g.tokensAsIDs {
		x.refuse(invalid(noLogprobText)) // vLLM finds out when it is done
		return
	}
	if g.stream {
		x.status = http.StatusOK
		x.c.StartStream("text/event-stream; charset=utf-8", x.after)
		if a.call, e = x.submit(g, rank); e != nil {
			a.event(e.appendBody(nil, true))
			a.event([]byte("[DONE]"))
			x.c.EndStream()
			return
		}
		a.stream()
		return
	}
	if a.call, e = x.submit(g, rank); e != nil {
		x.refuse(e)
		return
	}
	a.whole()
}

func textOr(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// newID is what vLLM gives a request that came without one.
func newID() string { return randomHex(8) }

// maxSequences bounds what one request can make the server hold; vLLM has no such bound.
const maxSequences = 1 << 16

// prepare is what is checked before an answer may begin.
func (x *exchange) prepare(g *generation) *refusal {
	if g.chat && x.tokenizer == nil {
		return &refusal{status: http.StatusInternalServerError, kind: "InternalServerError", bare: true} // an assertion in vLLM
	}
	beam := g.body.Get("use_beam_search").Boolean()
	if g.stream && beam && !g.chat {
		return invalid("Streaming is not currently supported with beam search")
	}
	if e := x.knows(g.model); e != nil {
		return e
	}
	n := g.n
	if n == 0 {
		n = 1
	}
	if e := x.preflightEngine(g.model, n); e != nil {
		return e
	}
	if e := x.render(g); e != nil {
		return e
	}
	for i := range g.prompts {
		if beam && x.tokenizer == nil {
			return invalid(noTokenizer)
		}
		if beam {
			if e := checkCount(g.n); e != nil {
				return e
			}
			if e := g.checkLimits(&g.prompts[i]); e != nil {
				return e
			}
			continue
		}
		if e := g.checkSampling(&g.prompts[i]); e != nil {
			return e
		}
	}
	if len(g.prompts)*g.n > maxSequences {
		return invalid("a stand-in serves at most " + strconv.Itoa(maxSequences) + " sequences in one request")
	}
	return nil
}

// preflightEngine refuses while the engine is dead or a queue limit is met.
func (x *exchange) preflightEngine(model string, n int) *refusal {
	if !x.anyAlive(model) {
		return engineDead()
	}
	return x.admit(n)
}

func (s *Server) anyAlive(string) bool {
	for _, r := range s.replicas {
		if r.alive() {
			return true
		}
	}
	return false
}

// admit tests the queue limits for n more sequences.
func (s *Server) admit(n int) *refusal {
	if limit := s.server.MaxNumQueuedReqs; limit > 0 && int(s.unfinished.Load())+n > limit {
		s.rejectedRequests.Add(1)
		return busy(tooManyRequests)
	}
	if limit := s.server.MaxNumQueuedTokens; limit > 0 && int(s.queuedTokens.Load()) >= limit {
		s.rejectedTokens.Add(1)
		return busy(tooManyTokens)
	}
	return nil
}

// submit hands the prompts over one by one, each through the engine's own checks. If one is refused the request is,
// and what was handed over is taken back.
func (x *exchange) submit(g *generation, rank string) (*call, *refusal) {
	var first *refusal
	admitted := 0
	for i := range g.prompts {
		e := x.checkEngine(g, &g.prompts[i], rank)
		if e == nil {
			e = x.admit(g.n)
		}
		if e != nil {
			if first == nil {
				first = e
			}
			continue
		}
		admitted++
		x.count(&g.prompts[i], g.n)
	}
	undo := func() {
		x.unfinished.Add(-int64(admitted * g.n))
		for i := range g.prompts[:admitted] {
			x.queuedTokens.Add(-int64(len(g.prompts[i].ids) * g.n))
		}
	}
	if first != nil {
		undo()
		return nil, first
	}
	r := x.route(g.model)
	c := newCall(x.Server, g)
	if x.ending.Load() {
		undo()
		c.abortAtOnce()
		return c, nil
	}
	if x.tokenizer == nil && x.outOfVocabulary(g) {
		undo()
		x.die(r) // without a tokenizer nothing stops such an id before it reaches the GPU
		return nil, engineDead()
	}
	r.load.Add(int64(len(c.seqs)))
	if e := r.submit(c); e != nil {
		r.load.Add(-int64(len(c.seqs)))
		undo()
		return nil, e
	}
	return c, nil
}

func (s *Server) count(p *prompt, n int) {
	s.unfinished.Add(int64(n))
	s.queuedTokens.Add(int64(len(p.ids) * n))
}

func (s *Server) outOfVocabulary(g *generation) bool {
	for i := range g.prompts {
		if highest(g.prompts[i].ids) >= s.vocabulary {
			return true
		}
	}
	return false
}

// abortAtOnce ends a call that never reached the engine.
func (c *call) abortAtOnce() {
	for i := range c.seqs {
		c.seqs[i].finish = aborted
		c.seqs[i].over = true
		c.push(&c.seqs[i])
	}
}

// await waits for news of the call. It returns false if the client hung up; what the engine still had of the call is
// gone then.
func (a *answer) await() bool {
	select {
	case <-a.call.wake:
		return true
	default:
	}
	gone := a.c.Gone()
	select {
	case <-a.call.wake:
		return true
	case <-gone:
		a.leave()
		return false
	}
}

// leave takes the call out of the engine.
func (a *answer) leave() {
	if a.call.served != nil {
		a.call.served.cancel(a.call)
	}
}
