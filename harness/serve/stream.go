package serve

import (
	"strconv"

	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
)

// stream sends one event for each token as the engine delivers it. Tokens that came together are events of their own:
// vLLM would merge them if it is slower than the engine, which a stand-in need not imitate.
func (a *answer) stream() {
	w := newStreamWriter(a)
	var ds []delivery
	for {
		var over bool
		var e *refusal
		ds, over, e = a.call.pull(ds)
		for i := range ds {
			if !w.deliver(&ds[i]) {
				return
			}
		}
		if e != nil {
			a.event(e.appendBody(nil, true))
			break
		}
		if over {
			if a.g.includeUsage {
				w.lastUsage()
			}
			break
		}
		if a.c.Flush() != nil {
			a.leave()
			return
		}
		if !a.await() {
			return
		}
	}
	a.event([]byte("[DONE]"))
	a.c.EndStream()
}

// event sends one event that is not a choice's.
func (a *answer) event(data []byte) {
	b := append([]byte("data: "), data...)
	a.c.Chunk(append(b, "\n\n"...))
}

// A streamWriter keeps what the events of one stream have in common.
type streamWriter struct {
	*answer
	b      []byte
	head   []byte // up to the choices
	said   []int  // by sequence: tokens told
	shown  []int  // by sequence: bytes of text told
	echoed []bool // by sequence: the prompt was told
	events int
}

func newStreamWriter(a *answer) *streamWriter {
	object := "text_completion"
	if a.g.chat {
		object = "chat.completion.chunk"
	}
	n := len(a.call.seqs)
	return &streamWriter{
		answer: a, head: a.head([]byte("data: "), object), said: make([]int, n), shown: make([]int, n), echoed: make([]bool, n),
	}
}

// deliver sends what a delivery brings; false if a fault has ended the stream.
func (w *streamWriter) deliver(d *delivery) bool {
	if w.g.chat && w.events == 0 {
		w.roles()
	}
	if w.fault.inside(w) {
		return false
	}
	w.events++
	if d.tokens == 0 && !w.g.echo {
		return true // ended before its first token: vLLM tells nothing of it
	}
	if w.g.chat {
		w.chatEvent(d)
	} else {
		w.completionEvent(d)
	}
	return true
}

// delta is the text that is new with a delivery.
func (w *streamWriter) delta(d *delivery) string {
	q := &w.call.seqs[d.seq]
	text := q.script.shown(d.tokens, d.finish != going)
	delta := text[min(w.shown[d.seq], len(text)):]
	w.shown[d.seq] = len(text)
	return delta
}

func (w *streamWriter) completionEvent(d *delivery) {
	q := &w.call.seqs[d.seq]
	from := w.said[d.seq]
	w.said[d.seq] = d.tokens
	text, first := w.delta(d), !w.echoed[d.seq]
	b := append(w.b[:0], w.head...)
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(d.seq), 10)
	b = append(b, `,"text":`...)
	if w.g.echo && first {
		if w.g.echoOnly() {
			text = ""
		}
		text = w.answer.echoed(q) + text
	}
	b = pydantic.AppendString(b, text, false)
	b = append(b, `,"logprobs":`...)
	b = w.completionLogprobs(b, q, from, d.tokens, first)
	b = w.streamEnding(b, d, true)
	b = append(b, `,"prompt_token_ids":`...)
	if first && (w.g.echo || w.g.returnIDs) {
		b = appendInts(b, q.prompt.ids)
		w.echoed[d.seq] = true
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"token_ids":`...)
	b = w.tokenIDs(b, from, d.tokens)
	b = append(b, "}]"...)
	if w.g.continuous {
		b = append(b, `,"usage":`...)
		b = appendUsage(b, len(q.prompt.ids), d.tokens)
		b = append(b, '}')
	}
	w.send(w.seal(b, d))
}

// seal adds the fingerprint to a sequence's last event, unless usage follows.
func (w *streamWriter) seal(b []byte, d *delivery) []byte {
	if d.finish != going && !w.g.includeUsage {
		b = append(b, `,"system_fingerprint":"`+w.fingerprint+`"`...)
	}
	return append(b, "}\n\n"...)
}

func (w *streamWriter) send(b []byte) {
	w.b = b
	w.c.Chunk(b)
}

// streamEnding appends finish and stop reasons; always says that the stop reason is told before the end too.
func (w *streamWriter) streamEnding(b []byte, d *delivery, always bool) []byte {
	if d.finish == going {
		b = append(b, `,"finish_reason":null`...)
		if always {
			b = append(b, `,"stop_reason":null`...)
		}
		return b
	}
	b = append(b, `,"finish_reason":"`...)
	b = append(b, d.finish.String()...)
	b = append(b, `","stop_reason":`...)
	return w.stopReason(b, &w.call.seqs[d.seq])
}

// roles sends chat's first events, one for each choice, and the last message where it is echoed.
func (w *streamWriter) roles() {
	prompt := len(w.g.prompts[0].ids)
	for i := range w.call.seqs {
		b := append(w.b[:0], w.head...)
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `,"delta":{"role":`...)
		b = pydantic.AppendString(b, w.role(), false)
		b = append(b, `,"content":""},"logprobs":null,"finish_reason":null}]`...)
		b = w.chatUsage(b, prompt, 0)
		b = append(b, `,"prompt_token_ids":`...)
		b = w.promptIDs(b, &w.call.seqs[0])
		b = append(b, `,"prompt_text":`...)
		b = w.promptText(b)
		w.send(append(b, "}\n\n"...))
	}
	words := w.lastWords()
	for i := 0; i < len(w.call.seqs) && words != ""; i++ {
		b := append(w.b[:0], w.head...)
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `,"delta":{"content":`...)
		b = pydantic.AppendString(b, words, false)
		b = append(b, `},"logprobs":null,"finish_reason":null}]`...)
		b = w.chatUsage(b, prompt, 0)
		w.send(append(b, "}\n\n"...))
	}
}

func (w *streamWriter) chatUsage(b []byte, prompt, output int) []byte {
	if !w.g.continuous {
		return b
	}
	b = append(b, `,"usage":`...)
	b = appendUsage(b, prompt, output)
	return append(b, `,"completion_tokens_details":null}`...)
}

func (w *streamWriter) chatEvent(d *delivery) {
	q := &w.call.seqs[d.seq]
	from := w.said[d.seq]
	w.said[d.seq] = d.tokens
	b := append(w.b[:0], w.head...)
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(d.seq), 10)
	b = append(b, `,"delta":{"content":`...)
	b = pydantic.AppendString(b, w.delta(d), false)
	b = append(b, `},"logprobs":`...)
	b = w.chatLogprobs(b, from, d.tokens)
	b = w.streamEnding(b, d, false)
	b = append(b, `,"token_ids":`...)
	b = w.tokenIDs(b, from, d.tokens)
	b = append(b, "}]"...)
	b = w.chatUsage(b, len(q.prompt.ids), d.tokens)
	w.send(w.seal(b, d))
}

// lastUsage is the event behind the choices. What is null is left out.
func (w *streamWriter) lastUsage() {
	prompt, output := w.totals()
	b := append(w.b[:0], w.head...)
	b = append(b, `],"usage":`...)
	b = appendUsage(b, prompt, output)
	if w.server.EnablePromptTokensDetails {
		b = append(b, `,"prompt_tokens_details":{"cached_tokens":`...)
		b = strconv.AppendInt(b, int64(w.call.seqs[0].hits), 10)
		b = append(b, '}')
	}
	b = append(b, `},"system_fingerprint":"`+w.fingerprint+`"`...)
	if w.server.EnablePerRequestMetrics && len(w.call.seqs) == 1 {
		b = append(b, `,"metrics":`...)
		b = w.timing(b, false)
	}
	w.send(append(b, "}\n\n"...))
}
