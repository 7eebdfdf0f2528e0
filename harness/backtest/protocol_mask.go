package backtest

import (
	"regexp"
	"strings"
)

// The patterns of what changes with every run and of what is generated. Strings are those of JSON.
var maskPatterns = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`"(cmpl|chatcmpl|modelperm)-[0-9a-f]{16}"`), `"$1-…"`},
	{regexp.MustCompile(`"created":\d+`), `"created":…`},
	{regexp.MustCompile(`"vllm-[0-9.]+-[0-9a-f]{8}"`), `"vllm-…"`},
	{regexp.MustCompile(`("index":\d+,"text":)"(?:[^"\\]|\\.)*"`), `$1…`},
	{regexp.MustCompile(`("role":"[a-z]+","content":)"(?:[^"\\]|\\.)+"`), `$1…`},
	{regexp.MustCompile(`("delta":\{"content":)"(?:[^"\\]|\\.)*"`), `$1…`},
	{regexp.MustCompile(`"(time_to_first_token_ms|generation_time_ms|queue_time_ms|mean_itl_ms|tokens_per_second)":[0-9.e+-]+`), `"$1":…`},
	{regexp.MustCompile(`"logprob":-?[0-9.e+-]+`), `"logprob":…`},
	{regexp.MustCompile(`"rank":\d+`), `"rank":…`},
	{regexp.MustCompile(`"decoded_token":"(?:[^"\\]|\\.)*"`), `"decoded_token":…`},
	{regexp.MustCompile(`"token":"(?:[^"\\]|\\.)*"`), `"token":…`},
	{regexp.MustCompile(`"bytes":\[[0-9,]*\]`), `"bytes":…`},
	{regexp.MustCompile(`"\d+":\{"logprob"`), `"…":{"logprob"`},
}

// mask replaces what may differ between two answers that are the same.
func mask(s string) string {
	for _, m := range maskPatterns {
		s = m.pattern.ReplaceAllString(s, m.with)
	}
	s = maskList(s, `"token_logprobs":[`, true)
	s = maskList(s, `"tokens":[`, strings.Contains(s, `"token_logprobs"`))
	s = maskList(s, `"text_offset":[`, true)
	s = maskTop(s)
	return maskList(s, `"token_ids":[`, true)
}

// maskList replaces the elements of every list that opens like this by how many there are.
func maskList(s, open string, do bool) string {
	if !do {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, open)
		if i < 0 {
			return b.String() + s
		}
		if strings.HasSuffix(s[:i], `"prompt_`) { // the prompt's ids are no generated text
			b.WriteString(s[:i+len(open)])
			s = s[i+len(open):]
			continue
		}
		b.WriteString(s[:i+len(open)])
		s = s[i+len(open):]
		end, n := listEnd(s)
		b.WriteString(strings.Repeat("…", n))
		s = s[end:]
	}
}

// listEnd finds the bracket that closes a list which has just opened, and counts its elements.
func listEnd(s string) (end, n int) {
	depth, inString := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			depth++
		case c == ']' && depth == 0:
			if i > 0 {
				n++
			}
			return i, n
		case c == ']' || c == '}':
			depth--
		case c == ',' && depth == 0:
			n++
		}
	}
	return len(s), n
}

// maskTop replaces the alternatives of each token: how many there are depends on ties of the real model's logits.
func maskTop(s string) string {
	s = maskList(s, `"top_logprobs":[`, true)
	var b strings.Builder
	for {
		const open = `"prompt_logprobs":[null`
		i := strings.Index(s, open)
		if i < 0 {
			return b.String() + s
		}
		b.WriteString(s[:i+len(open)])
		s = s[i+len(open):]
		end, n := listEnd(s)
		b.WriteString(strings.Repeat("…", n))
		s = s[end:]
	}
}
