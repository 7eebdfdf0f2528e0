package serve

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
)

const (
	noTokenizer   = "Tokenizer not available when `skip_tokenizer_init=True`"
	noLogprobText = "Unable to get tokenizer because `skip_tokenizer_init=True`"
)

// render makes token ids of the prompts and checks their lengths.
func (s *Server) render(g *generation) *refusal {
	b := g.body
	if e := g.checkSuffix(); e != nil {
		return e
	}
	if g.maxTokens > s.maxModelLen {
		asked := strconv.Itoa(g.maxTokens)
		return invalid(g.maxTokensParam+"="+asked+" cannot be greater than max_model_len="+strconv.Itoa(s.maxModelLen)+
			". Please request fewer output tokens.").about(g.maxTokensParam, asked)
	}
	keep := -2 // no truncation
	if v := b.Get("truncate_prompt_tokens"); !v.IsNull() {
		keep = v.Integer()
		if keep > s.maxModelLen {
			return invalid("truncate_prompt_tokens="+strconv.Itoa(keep)+" cannot be greater than max_model_len = "+strconv.Itoa(s.maxModelLen)+
				". Please request a smaller truncation size.").about("truncate_prompt_tokens", strconv.Itoa(keep))
		}
		if keep == -1 {
			keep = s.maxModelLen - 1
			if g.maxTokens == 0 {
				keep = s.maxModelLen
			}
		}
	}
	side := b.Get("truncation_side").Text
	if g.chat {
		return s.renderChat(g, keep, side)
	}
	switch v := b.Get("prompt"); {
	case v.Kind == pydantic.String:
		return s.addText(g, v.Text, keep, side)
	case v.Len() == 0:
		return invalid("You must pass at least one prompt")
	case v.Ints != nil || isIntegers(v):
		return s.addIDs(g, integers(v), keep, side)
	default:
		for i := range v.Items {
			var e *refusal
			if item := &v.Items[i]; item.Kind == pydantic.String {
				e = s.addText(g, item.Text, keep, side)
			} else {
				e = s.addIDs(g, integers(item), keep, side)
			}
			if e != nil {
				return e
			}
		}
	}
	return nil
}

// isIntegers says whether a prompt that was accepted is one list of ids.
func isIntegers(v *pydantic.Value) bool {
	first := v.At(0)
	return first.Kind != pydantic.List && first.Kind != pydantic.String
}

func (g *generation) checkSuffix() *refusal {
	b := g.body
	if g.chat || b.Get("suffix").IsNull() {
		return nil
	}
	switch prompt := b.Get("prompt"); {
	case g.echo:
		return invalid("Echo is unsupported with suffix.").of("suffix")
	case !b.Get("truncate_prompt_tokens").IsNull():
		return invalid("suffix is not supported with truncate_prompt_tokens").of("suffix")
	case prompt.Kind == pydantic.String || prompt.IsList(pydantic.String):
		return invalid("suffix is only supported for models with FIM completion rendering").of("suffix")
	}
	return invalid("suffix requires text prompt input for FIM completion rendering").of("suffix")
}

func (s *Server) addText(g *generation, text string, keep int, side string) *refusal {
	if s.tokenizer == nil {
		return invalid(noTokenizer)
	}
	limit := s.maxModelLen * s.tokenizer.MaxChars()
	if n := utf8.RuneCountInString(text); keep == -2 && n > limit {
		return s.tooLong("your prompt contains "+strconv.Itoa(n)+" characters (more than "+strconv.Itoa(limit)+
			" characters, which is the upper bound for "+strconv.Itoa(s.maxModelLen)+" input tokens)", "").about("input_text", strconv.Itoa(n))
	}
	ids := s.tokenizer.Encode(text)
	if keep == -2 && len(ids) > s.maxModelLen+1 {
		ids = ids[:s.maxModelLen+1] // where vLLM's tokenizer stops
	}
	return s.addTokens(g, ids, text, keep, side)
}

func (s *Server) addIDs(g *generation, ids []int, keep int, side string) *refusal {
	text := ""
	if g.echo && !g.returnIDs {
		if s.tokenizer == nil {
			return invalid(noTokenizer)
		}
		text = s.tokenizer.Decode(ids, false)
	}
	return s.addTokens(g, ids, text, keep, side)
}

func (s *Server) addTokens(g *generation, ids []int, text string, keep int, side string) *refusal {
	if keep >= 0 && len(ids) > keep {
		if side == "right" {
			ids = ids[:keep]
		} else {
			ids = ids[len(ids)-keep:]
		}
	}
	if n := len(ids); n > s.maxModelLen {
		least := ""
		if n == s.maxModelLen+1 {
			least = "at least "
		}
		return s.tooLong("your prompt contains "+least+strconv.Itoa(n)+" input tokens", ", which exceeds this limit even without any output tokens").
			about("input_tokens", strconv.Itoa(n))
	}
	p := prompt{ids: ids, text: text, maxTokens: s.maxModelLen - len(ids)}
	if g.bounded {
		p.maxTokens = min(p.maxTokens, g.maxTokens)
	}
	g.prompts = append(g.prompts, p)
	return nil
}

func (s *Server) tooLong(what, more string) *refusal {
	return invalid("This model's maximum context length is " + strconv.Itoa(s.maxModelLen) + " tokens. However, " + what + more +
		". Please reduce the length of the input prompt.")
}

// renderChat applies the tokenizer's chat template.
func (s *Server) renderChat(g *generation, keep int, side string) *refusal {
	if e := checkTemplate(g.body); e != nil {
		return e
	}
	if e := needParser(g.body); e != nil {
		return e
	}
	text, e := chatText(g.body)
	if e != nil {
		return e
	}
	return s.addText(g, text, keep, side)
}

// chatText is the tiny model's template, which is also that of its family.
func chatText(b *pydantic.Value) (string, *refusal) {
	messages := b.Get("messages")
	if messages.Len() == 0 {
		return "", invalid("Cannot apply chat template to an empty conversation. Provide at least one message.")
	}
	var t strings.Builder
	for i := range messages.Items {
		m := &messages.Items[i]
		t.WriteString("<|im_start|>" + m.Get("role").Text + "\n" + contentText(m.Get("content")) + "<|im_end|>\n")
	}
	if v := b.Get("add_generation_prompt"); v.IsNull() || v.Boolean() {
		t.WriteString("<|im_start|>assistant\n")
	}
	return t.String(), nil
}

// contentText joins the text parts of a message's content.
func contentText(v *pydantic.Value) string {
	if v.Kind != pydantic.List {
		return v.Text
	}
	var parts []string
	for i := range v.Items {
		if part := &v.Items[i]; part.Kind == pydantic.String {
			parts = append(parts, part.Text)
		} else {
			parts = append(parts, part.Get("text").Text)
		}
	}
	return strings.Join(parts, "\n")
}
