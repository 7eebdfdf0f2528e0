package serve

import (
	"math"
	"strconv"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
)

// number is the value of a float field, def if it is absent.
func number(b *pydantic.Value, name string, def float64) float64 {
	if v := b.Get(name); !v.IsNull() {
		return v.Number()
	}
	return def
}

// checkSampling is what vLLM's SamplingParams refuses, in its order.
func (g *generation) checkSampling(p *prompt) *refusal {
	b := g.body
	if e := checkBiasKeys(b); e != nil {
		return e
	}
	if e := checkCount(g.n); e != nil {
		return e
	}
	for _, name := range []string{"presence_penalty", "frequency_penalty"} {
		if f := number(b, name, 0); !(f >= -2 && f <= 2) {
			return invalid(name + " must be in [-2, 2], got " + pydantic.Float(f) + ".")
		}
	}
	if f := number(b, "repetition_penalty", 1); math.IsInf(f, 0) || math.IsNaN(f) {
		return invalid("repetition_penalty must be a finite number, got " + pydantic.Float(f) + ".")
	} else if f <= 0 {
		return invalid("repetition_penalty must be greater than zero, got " + pydantic.Float(f) + ".")
	}
	temperature, topP := number(b, "temperature", 1), number(b, "top_p", 1)
	t := pydantic.Float(temperature)
	switch {
	case math.IsInf(temperature, 0) || math.IsNaN(temperature):
		return invalid("temperature must be a finite number, got "+t+".").about("temperature", t)
	case temperature < 0:
		return invalid("temperature must be non-negative, got "+t+".").about("temperature", t)
	case temperature > 2:
		return invalid("temperature must be in [0, 2], got "+t+".").about("temperature", t)
	case !(topP > 0 && topP <= 1):
		return invalid("top_p must be in (0, 1], got "+pydantic.Float(topP)+".").about("top_p", pydantic.Float(topP))
	}
	if k := b.Get("top_k").Integer(); k < -1 {
		return invalid("top_k must be 0 (disable), or at least 1, got " + strconv.Itoa(k) + ".")
	}
	if f := number(b, "min_p", 0); !(f >= 0 && f <= 1) {
		return invalid("min_p must be in [0, 1], got " + pydantic.Float(f) + ".")
	}
	if e := g.checkLimits(p); e != nil {
		return e
	}
	if temperature < 1e-5 && g.n > 1 {
		return invalid("n must be 1 when using greedy sampling, got " + strconv.Itoa(g.n) + ".")
	}
	return nil
}

func checkCount(n int) *refusal {
	const most = 16384
	switch {
	case n < 1:
		return invalid("n must be at least 1, got " + strconv.Itoa(n) + ".")
	case n > most:
		return invalid("n must be at most " + strconv.Itoa(most) + ", got " + strconv.Itoa(n) +
			". To increase this limit, set the VLLM_MAX_N_SEQUENCES environment variable.")
	}
	return nil
}

// checkLimits checks the numbers of tokens and the stop strings.
func (g *generation) checkLimits(p *prompt) *refusal {
	if g.echoOnly() {
		p.maxTokens = 1
	}
	if p.maxTokens < 1 {
		got := strconv.Itoa(p.maxTokens)
		return invalid("max_tokens must be at least 1, got "+got+".").about("max_tokens", got)
	}
	switch least := g.stops.minTokens; {
	case least < 0:
		return invalid("min_tokens must be greater than or equal to 0, got " + strconv.Itoa(least) + ".")
	case least > p.maxTokens:
		return invalid("min_tokens must be less than or equal to max_tokens=" + strconv.Itoa(p.maxTokens) + ", got " + strconv.Itoa(least) + ".")
	}
	for _, stop := range g.stops.strings {
		if stop == "" {
			return invalid("stop cannot contain an empty string.")
		}
	}
	if words := g.body.Get("bad_words"); words.Kind == pydantic.List {
		for i := range words.Items {
			if words.Items[i].Text == "" {
				return invalid("bad_words cannot contain an empty string. Got bad_words=" + reprList(words))
			}
		}
	}
	return nil
}

func reprList(v *pydantic.Value) string {
	parts := make([]string, v.Len())
	for i := range parts {
		item := v.At(i)
		if item.Kind == pydantic.String {
			parts[i] = pydantic.Repr(item.Text)
		} else {
			parts[i] = strconv.Itoa(item.Integer())
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// echoOnly says that only the prompt comes back, though one token is computed.
func (g *generation) echoOnly() bool { return g.echo && g.maxTokens == 0 && !g.chat }

// checkEngine is what vLLM's engine client refuses once a request is handed over, after a stream has begun.
func (s *Server) checkEngine(g *generation, p *prompt, rank string) *refusal {
	if g.logprobs > maxLogprobs || g.logprobs == -1 && !g.body.Get("logprobs").IsNull() && !g.chat {
		return tooManyLogprobs("sample logprobs", "logprobs", g.logprobs, s.vocabulary)
	}
	if g.promptLogprobs > maxLogprobs || g.promptLogprobs == -1 && !g.body.Get("prompt_logprobs").IsNull() {
		return tooManyLogprobs("prompt logprobs", "prompt_logprobs", g.promptLogprobs, s.vocabulary)
	}
	if bad := outside(biased(g.body), s.vocabulary); len(bad) > 0 {
		return invalid("token_id(s) "+pythonList(bad)+" in logit_bias contain out-of-vocab token ids. Vocabulary size: "+strconv.Itoa(s.vocabulary)).
			about("logit_bias", pythonList(bad))
	}
	if bad := outside(g.stops.ids, s.vocabulary); len(bad) > 0 {
		return invalid("token_id(s) "+pythonList(bad)+" in stop_token_ids contain out-of-vocab token ids. Vocabulary size: "+strconv.Itoa(s.vocabulary)).
			about("stop_token_ids", pythonList(bad))
	}
	if v := g.body.Get("allowed_token_ids"); v.Kind == pydantic.List {
		if v.Len() == 0 {
			return invalid("allowed_token_ids is not None and empty!").about("allowed_token_ids", "[]")
		}
		if bad := outside(integers(v), s.vocabulary); len(bad) > 0 {
			return invalid("allowed_token_ids contains out-of-vocab token id!").about("allowed_token_ids", pythonList(bad))
		}
	}
	if e := checkGrammar(g.body); e != nil {
		return e
	}
	if v := g.body.Get("thinking_token_budget"); v.Kind == pydantic.Int && v.Float >= 0 {
		return invalid("thinking_token_budget is set but reasoning_config is not configured. " +
			"Please set --reasoning-parser and/or --reasoning-config to use thinking_token_budget.")
	}
	if n, err := strconv.Atoi(rank); err == nil && n != 0 {
		return invalid("data_parallel_rank " + strconv.Itoa(n) + " is out of range [0, 1).")
	}
	if len(p.ids) == 0 {
		return invalid("The decoder prompt cannot be empty")
	}
	if s.tokenizer == nil {
		return nil
	}
	limit := max(s.vocabulary, s.tokenizer.Size()) - 1
	for _, id := range p.ids {
		if id > limit {
			return invalid("Token id " + strconv.Itoa(highest(p.ids)) + " is out of vocabulary")
		}
	}
	return nil
}

const maxLogprobs = 20

func tooManyLogprobs(what, param string, n, vocabulary int) *refusal {
	if n == -1 {
		n = vocabulary
	}
	return invalid("Requested "+what+" of "+strconv.Itoa(n)+", which is greater than max allowed: "+strconv.Itoa(maxLogprobs)).about(param, strconv.Itoa(n))
}

func outside(ids []int, vocabulary int) (bad []int) {
	for _, id := range ids {
		if id < 0 || id >= vocabulary {
			bad = append(bad, id)
		}
	}
	return bad
}

func highest(ids []int) int {
	most := ids[0]
	for _, id := range ids {
		most = max(most, id)
	}
	return most
}

func pythonList(ids []int) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = strconv.Itoa(id)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
