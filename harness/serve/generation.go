package serve

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
)

// A generation is a request for text whose body was accepted.
type generation struct {
	body                     *pydantic.Value
	chat                     bool
	model                    string
	stream                   bool
	includeUsage, continuous bool
	echo, returnIDs          bool
	tokensAsIDs              bool
	n                        int
	maxTokens                int
	bounded                  bool // maxTokens was asked for or has a default
	maxTokensParam           string
	logprobs                 int // alternatives for each token, -1 = none asked
	promptLogprobs           int
	stops                    stopRules
	salt                     string
	priority                 int
	prompts                  []prompt
}

// stopRules end a generation before its last token.
type stopRules struct {
	strings   []string
	ids       []int
	include   bool // the stop string stays in the text
	minTokens int
}

// A prompt is what one engine request computes.
type prompt struct {
	ids       []int
	text      string
	maxTokens int // after clipping
}

// parseGeneration checks a body as vLLM does and takes what matters out of it.
func (s *Server) parseGeneration(b pydantic.Value, chat bool) (*generation, *refusal) {
	model, check := s.completion, preCheckCompletion
	if chat {
		model, check = s.chat, preCheckChat
	}
	if b.Kind == pydantic.Dict {
		if e := check(&b); e != nil {
			return nil, e
		}
	}
	if e := checkThinkingBudget(&b); e != nil {
		return nil, e
	}
	if problems := model.Check(&b); len(problems) > 0 {
		return nil, unprocessable(problems)
	}
	return newGeneration(&b, chat), nil
}

// parseBody reads JSON as FastAPI does. Bytes that are no UTF-8 are refused in other words and another shape.
func parseBody(raw []byte) (pydantic.Value, *refusal) {
	if !utf8.Valid(raw) {
		return pydantic.Value{}, &refusal{status: 400, message: "There was an error parsing the body", kind: detail}
	}
	if len(raw) == 0 {
		return pydantic.Value{}, missingBody()
	}
	v, err := pydantic.Parse(strings.TrimPrefix(string(raw), "\ufeff"))
	if err != nil {
		return v, unprocessable([]pydantic.Problem{{
			Type: "json_invalid", Loc: "body." + strconv.Itoa(err.At), Msg: "JSON decode error", Input: "<dict of 0 items>",
			Ctx: "{'error': " + pydantic.Repr(err.Message) + "}",
		}})
	}
	if v.IsNull() {
		return v, missingBody()
	}
	return v, nil
}

func missingBody() *refusal {
	return unprocessable([]pydantic.Problem{{Type: "missing", Loc: "body", Msg: "Field required", Input: "None"}})
}

func newGeneration(b *pydantic.Value, chat bool) *generation {
	g := &generation{
		body: b, chat: chat, model: b.Get("model").Text, stream: b.Get("stream").Boolean(), echo: b.Get("echo").Boolean(),
		returnIDs: b.Get("return_token_ids").Boolean(), tokensAsIDs: b.Get("return_tokens_as_token_ids").Boolean(),
		n: 1, maxTokens: 16, bounded: !chat, maxTokensParam: "max_tokens", logprobs: -1, promptLogprobs: -1,
		salt: b.Get("cache_salt").Text, priority: b.Get("priority").Integer(),
	}
	if o := b.Get("stream_options"); o.Kind == pydantic.Dict {
		g.includeUsage = o.Get("include_usage").Boolean()
		g.continuous = g.includeUsage && o.Get("continuous_usage_stats").Boolean()
	}
	if v := b.Get("n"); !v.IsNull() {
		g.n = v.Integer()
	}
	if v := b.Get("logprobs"); !v.IsNull() {
		switch {
		case !chat:
			g.logprobs = v.Integer()
		case v.Boolean():
			g.logprobs = b.Get("top_logprobs").Integer()
		}
	}
	if v := b.Get("prompt_logprobs"); !v.IsNull() {
		g.promptLogprobs = v.Integer()
	} else if g.echo {
		g.promptLogprobs = g.logprobs
		if chat {
			g.promptLogprobs = b.Get("top_logprobs").Integer()
		}
	}
	if chat {
		g.maxTokens = 0
	}
	if v := b.Get("max_tokens"); !v.IsNull() {
		g.maxTokens, g.bounded = v.Integer(), true
	}
	if v := b.Get("max_completion_tokens"); chat && !v.IsNull() {
		g.maxTokens, g.bounded, g.maxTokensParam = v.Integer(), true, "max_completion_tokens"
	}
	g.stops = newStopRules(b)
	return g
}

func newStopRules(b *pydantic.Value) stopRules {
	r := stopRules{include: b.Get("include_stop_str_in_output").Boolean(), minTokens: b.Get("min_tokens").Integer()}
	switch v := b.Get("stop"); v.Kind {
	case pydantic.String:
		r.strings = []string{v.Text}
	case pydantic.List:
		for i := range v.Items {
			r.strings = append(r.strings, v.Items[i].Text)
		}
	}
	r.ids = integers(b.Get("stop_token_ids"))
	return r
}

// integers are the values of an accepted list of integers.
func integers(v *pydantic.Value) []int {
	if v.Ints != nil || v.Kind != pydantic.List {
		return v.Ints
	}
	ids := make([]int, v.Len())
	for i := range ids {
		item := v.At(i)
		ids[i] = item.Integer()
	}
	return ids
}
