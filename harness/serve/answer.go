package serve

import (
	"net/http"
	"strconv"

	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// An answer turns what a call delivers into vLLM's JSON.
type answer struct {
	*exchange
	g       *generation
	call    *call
	id      string
	created int64
	fault   *Fault
}

// whole waits for the end of every sequence and answers with one document.
func (a *answer) whole() {
	var ds []delivery
	for {
		var over bool
		var e *refusal
		ds, over, e = a.call.pull(ds)
		if e != nil {
			a.refuse(e)
			return
		}
		if over {
			break
		}
		if !a.await() {
			return
		}
	}
	if a.g.chat {
		a.reply(http.StatusOK, jsonType, a.chatDocument(make([]byte, 0, 1<<10)))
	} else {
		a.reply(http.StatusOK, jsonType, a.completionDocument(make([]byte, 0, 1<<10)))
	}
}

// head begins a document: id, object, created, model.
func (a *answer) head(b []byte, object string) []byte {
	b = append(b, `{"id":`...)
	b = pydantic.AppendString(b, a.id, false)
	b = append(b, `,"object":"`+object+`","created":`...)
	b = strconv.AppendInt(b, a.created, 10)
	b = append(b, `,"model":`...)
	b = pydantic.AppendString(b, a.names[0], false)
	return append(b, `,"choices":[`...)
}

func (a *answer) completionDocument(b []byte) []byte {
	b = a.head(b, "text_completion")
	for i := range a.call.seqs {
		q := &a.call.seqs[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `,"text":`...)
		b = pydantic.AppendString(b, a.echoed(q)+a.generated(q), false)
		b = append(b, `,"logprobs":`...)
		b = a.completionLogprobs(b, q, 0, q.tokens, true)
		b = a.ending(b, q)
		b = append(b, `,"token_ids":`...)
		b = a.tokenIDs(b, 0, q.tokens)
		b = append(b, `,"prompt_logprobs":`...)
		b = a.promptLogprobs(b, q)
		b = append(b, `,"prompt_token_ids":`...)
		b = a.promptIDs(b, q)
		b = append(b, `,"routed_experts":null}`...)
	}
	b = append(b, `],"service_tier":null,"system_fingerprint":"`+a.fingerprint+`","usage":`...)
	b = a.usage(b)
	b = append(b, `,"kv_transfer_params":null,"ec_transfer_params":null,"metrics":`...)
	b = a.timing(b, true)
	return append(b, '}')
}

func (a *answer) chatDocument(b []byte) []byte {
	b = a.head(b, "chat.completion")
	for i := range a.call.seqs {
		q := &a.call.seqs[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `,"message":{"role":`...)
		b = pydantic.AppendString(b, a.role(), false)
		b = append(b, `,"content":`...)
		b = pydantic.AppendString(b, a.lastWords()+a.generated(q), false)
		b = append(b, `,"refusal":null,"annotations":null,"audio":null,"function_call":null,"reasoning":null},"logprobs":`...)
		b = a.chatLogprobs(b, 0, q.tokens)
		b = a.ending(b, q)
		b = append(b, `,"token_ids":`...)
		b = a.tokenIDs(b, 0, q.tokens)
		b = append(b, `,"routed_experts":null}`...)
	}
	b = append(b, `],"service_tier":null,"system_fingerprint":"`+a.fingerprint+`","usage":`...)
	b = a.usage(b)
	b = append(b, `,"prompt_logprobs":`...)
	b = a.promptLogprobs(b, &a.call.seqs[0])
	b = append(b, `,"prompt_token_ids":`...)
	b = a.promptIDs(b, &a.call.seqs[0])
	b = append(b, `,"prompt_text":`...)
	b = a.promptText(b)
	b = append(b, `,"kv_transfer_params":null,"ec_transfer_params":null,"metrics":`...)
	b = a.timing(b, true)
	return append(b, '}')
}

// generated is the text of a finished sequence.
func (a *answer) generated(q *sequence) string {
	if a.g.echoOnly() {
		return ""
	}
	return q.script.shown(q.tokens, true)
}

// echoed is the prompt where it was asked back.
func (a *answer) echoed(q *sequence) string {
	if !a.g.echo || a.g.chat || a.g.returnIDs {
		return ""
	}
	return q.prompt.text
}

// role is who speaks: the assistant, or whoever's message is to be continued.
func (a *answer) role() string {
	if v := a.g.body.Get("add_generation_prompt"); !v.IsNull() && !v.Boolean() {
		return a.lastMessage().Get("role").Text
	}
	return "assistant"
}

func (a *answer) lastMessage() *pydantic.Value {
	messages := a.g.body.Get("messages")
	return &messages.Items[messages.Len()-1]
}

// lastWords are the last message's where chat was asked to echo and the role is the same.
func (a *answer) lastWords() string {
	if last := a.lastMessage(); a.g.echo && last.Get("role").Text == a.role() {
		return contentText(last.Get("content"))
	}
	return ""
}

func (a *answer) ending(b []byte, q *sequence) []byte {
	b = append(b, `,"finish_reason":"`...)
	b = append(b, q.finish.String()...)
	b = append(b, `","stop_reason":`...)
	return a.stopReason(b, q)
}

func (a *answer) stopReason(b []byte, q *sequence) []byte {
	switch {
	case q.finish != stopped:
		return append(b, "null"...)
	case q.script.stopID >= 0:
		return strconv.AppendInt(b, int64(q.script.stopID), 10)
	}
	return pydantic.AppendString(b, q.script.stopWord, false)
}

// tokenIDs are those of output tokens from to below to, null unless asked for.
func (a *answer) tokenIDs(b []byte, from, to int) []byte {
	if !a.g.returnIDs {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i := from; i < to; i++ {
		if i > from {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(wordAt(i)), 10)
	}
	return append(b, ']')
}

func (a *answer) promptIDs(b []byte, q *sequence) []byte {
	if !a.g.returnIDs {
		return append(b, "null"...)
	}
	return appendInts(b, q.prompt.ids)
}

func (a *answer) promptText(b []byte) []byte {
	if !a.g.body.Get("return_prompt_text").Boolean() {
		return append(b, "null"...)
	}
	return pydantic.AppendString(b, a.call.seqs[0].prompt.text, false)
}

// totals are the counts that usage tells: prompts once each, the tokens of every sequence.
func (a *answer) totals() (prompt, output int) {
	for i := range a.g.prompts {
		prompt += len(a.g.prompts[i].ids)
	}
	for i := range a.call.seqs {
		output += a.call.seqs[i].tokens
	}
	return prompt, output
}

// usage is the object of a whole answer.
func (a *answer) usage(b []byte) []byte {
	prompt, output := a.totals()
	b = appendUsage(b, prompt, output)
	if a.server.EnablePromptTokensDetails {
		b = append(b, `,"prompt_tokens_details":{"cached_tokens":`...)
		b = strconv.AppendInt(b, int64(a.call.seqs[len(a.call.seqs)-1].hits), 10)
		b = append(b, `,"created_cache_tokens":null,"multimodal_tokens":null}`...)
	} else {
		b = append(b, `,"prompt_tokens_details":null`...)
	}
	return append(b, `,"completion_tokens_details":null}`...)
}

// appendUsage appends the object without its closing brace.
func appendUsage(b []byte, prompt, output int) []byte {
	b = append(b, `{"prompt_tokens":`...)
	b = strconv.AppendInt(b, int64(prompt), 10)
	b = append(b, `,"total_tokens":`...)
	b = strconv.AppendInt(b, int64(prompt+output), 10)
	b = append(b, `,"completion_tokens":`...)
	return strconv.AppendInt(b, int64(output), 10)
}

// timing is the metrics object of one sequence's answer. A whole answer shows what is null, a stream leaves it out.
func (a *answer) timing(b []byte, nulls bool) []byte {
	if !a.server.EnablePerRequestMetrics || len(a.call.seqs) != 1 {
		return append(b, "null"...)
	}
	q := &a.call.seqs[0]
	type figure struct {
		name  string
		value float64
		known bool
	}
	ms := func(s units.Span) float64 { return s.Milliseconds() }
	inference := ms(q.since(q.last, q.scheduled))
	figures := []figure{
		{"time_to_first_token_ms", ms(q.since(q.first, q.scheduled)), q.started},
		{"generation_time_ms", ms(q.since(q.last, q.first)), q.started},
		{"queue_time_ms", ms(q.since(q.scheduled, q.queued)), q.started},
		{"mean_itl_ms", 0, q.tokens > 1},
		{"tokens_per_second", 0, inference > 0},
	}
	if q.tokens > 1 {
		figures[3].value = figures[1].value / float64(q.tokens-1)
	}
	if inference > 0 {
		figures[4].value = float64(q.tokens) / inference * 1000
	}
	sep := byte('{')
	for _, f := range figures {
		if !f.known && !nulls {
			continue
		}
		b = append(b, sep, '"')
		b = append(b, f.name...)
		b = append(b, `":`...)
		if f.known {
			b = pydantic.AppendFloat(b, f.value)
		} else {
			b = append(b, "null"...)
		}
		sep = ','
	}
	if sep == '{' {
		b = append(b, '{')
	}
	if nulls {
		b = append(b, `,"speculative_decoding":null`...)
	}
	return append(b, '}')
}
