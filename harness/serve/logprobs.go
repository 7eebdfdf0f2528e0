package serve

import (
	"strconv"

	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
)

// Log probabilities are as synthetic as the text: every token is as likely as with random weights, and the
// alternatives are the next ids of the vocabulary.
const evenLogprob = -7.62460994720459

// tokenText is a token as log probabilities name it.
func (a *answer) tokenText(id int) string {
	if a.g.tokensAsIDs {
		return "token_id:" + strconv.Itoa(id)
	}
	if a.tokenizer == nil {
		return ""
	}
	return a.tokenizer.Decode([]int{id}, false)
}

// completionLogprobs are those of output tokens from to below to, after the prompt's if those were asked back and
// this is the first piece.
func (a *answer) completionLogprobs(b []byte, q *sequence, from, to int, first bool) []byte {
	if a.g.logprobs < 0 {
		return append(b, "null"...)
	}
	var ids []int
	prompt := 0
	if a.g.echo && first {
		ids = append(ids, q.prompt.ids...)
		prompt = len(ids)
	}
	if !a.g.echoOnly() {
		for i := from; i < to; i++ {
			ids = append(ids, wordAt(i))
		}
	}
	offset := 0
	if from > 0 {
		offset = len(q.script.upTo(from))
		if a.g.echo {
			offset += len(q.prompt.text)
		}
	}
	b = append(b, `{"text_offset":[`...)
	for i, id := range ids {
		b = comma(b, i)
		b = strconv.AppendInt(b, int64(offset), 10)
		offset += len([]rune(a.tokenText(id)))
	}
	b = append(b, `],"token_logprobs":[`...)
	for i := range ids {
		b = comma(b, i)
		if i == 0 && prompt > 0 {
			b = append(b, "null"...)
			continue
		}
		b = pydantic.AppendFloat(b, evenLogprob)
	}
	b = append(b, `],"tokens":[`...)
	for i, id := range ids {
		b = comma(b, i)
		b = pydantic.AppendString(b, a.tokenText(id), false)
	}
	b = append(b, `],"top_logprobs":[`...)
	for i, id := range ids {
		b = comma(b, i)
		if i == 0 && prompt > 0 {
			b = append(b, "null"...)
			continue
		}
		b = append(b, '{')
		for k := range max(1, a.g.logprobs) {
			b = comma(b, k)
			b = pydantic.AppendString(b, a.tokenText(a.alternative(id, k)), false)
			b = append(b, ':')
			b = pydantic.AppendFloat(b, evenLogprob)
		}
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

// alternative is the k-th choice beside a token, itself for k = 0.
func (a *answer) alternative(id, k int) int { return (id + k) % a.vocabulary }

func comma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}

// chatLogprobs is chat's form of the same.
func (a *answer) chatLogprobs(b []byte, from, to int) []byte {
	if a.g.logprobs < 0 {
		return append(b, "null"...)
	}
	b = append(b, `{"content":[`...)
	for i := from; i < to; i++ {
		b = comma(b, i-from)
		b = a.chatLogprob(b, wordAt(i))
		b = append(b, `,"top_logprobs":[`...)
		for k := range a.g.logprobs {
			b = comma(b, k)
			b = a.chatLogprob(b, a.alternative(wordAt(i), k))
			b = append(b, '}')
		}
		b = append(b, "]}"...)
	}
	return append(b, "]}"...)
}

// chatLogprob appends one token's object without its closing brace.
func (a *answer) chatLogprob(b []byte, id int) []byte {
	text := a.tokenText(id)
	b = append(b, `{"token":`...)
	b = pydantic.AppendString(b, text, false)
	b = append(b, `,"logprob":`...)
	b = pydantic.AppendFloat(b, evenLogprob)
	b = append(b, `,"bytes":[`...)
	for i := range len(text) {
		b = comma(b, i)
		b = strconv.AppendInt(b, int64(text[i]), 10)
	}
	return append(b, ']')
}

// promptLogprobs are by position; the first token has none.
func (a *answer) promptLogprobs(b []byte, q *sequence) []byte {
	if a.g.promptLogprobs < 0 {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, id := range q.prompt.ids {
		b = comma(b, i)
		if i == 0 {
			b = append(b, "null"...)
			continue
		}
		b = append(b, '{')
		for k := range a.g.promptLogprobs + 1 {
			b = comma(b, k)
			other := a.alternative(id, k)
			b = append(b, '"')
			b = strconv.AppendInt(b, int64(other), 10)
			b = append(b, `":{"logprob":`...)
			b = pydantic.AppendFloat(b, evenLogprob)
			b = append(b, `,"rank":`...)
			b = strconv.AppendInt(b, int64(k+1), 10)
			b = append(b, `,"decoded_token":`...)
			b = pydantic.AppendString(b, a.tokenText(other), false)
			b = append(b, '}')
		}
		b = append(b, '}')
	}
	return append(b, ']')
}
