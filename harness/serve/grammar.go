package serve

import (
	"errors"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
)

// checkGrammar refuses a regular expression that cannot be one, in the words of vLLM's grammar compiler. Nothing is
// constrained: the text is synthetic.
func checkGrammar(b *pydantic.Value) *refusal {
	pattern := b.Get("structured_outputs")
	if pattern.Kind != pydantic.Dict {
		return nil
	}
	if c := pattern.Get("choice"); c.Kind == pydantic.List && c.Len() == 0 {
		return invalid("Choice '[]' cannot be an empty list")
	}
	if pattern.Get("regex").Kind != pydantic.String {
		return nil
	}
	re := pattern.Get("regex").Text
	_, err := syntax.Parse(re, syntax.Perl)
	var fault *syntax.Error
	if !errors.As(err, &fault) {
		return nil
	}
	what, at := rustFault(re, fault)
	if what == "" {
		return nil // the compiler's library knows it, Go's does not
	}
	const start = "start: /"
	return invalid(`Grammar error: at 1(8): invalid regex "` + re + `" (in regex): regex parse error:` + "\n    " + re +
		"\n    " + strings.Repeat(" ", at) + "^\nerror: " + what + "\n   1 | " + start + re + "/\n       " + strings.Repeat(" ", len(start)-1) + "^")
}

// rustFault names a fault as the compiler's regex library does, and where it points.
func rustFault(re string, fault *syntax.Error) (what string, at int) {
	at = utf8.RuneCountInString(re[:max(0, strings.LastIndex(re, fault.Expr))])
	switch fault.Code {
	case syntax.ErrMissingParen:
		return "unclosed group", unclosed(re)
	case syntax.ErrUnexpectedParen:
		return "unopened group", unopened(re)
	case syntax.ErrMissingBracket:
		return "unclosed character class", at
	case syntax.ErrMissingRepeatArgument:
		return "repetition operator missing expression", at
	case syntax.ErrTrailingBackslash:
		return "incomplete escape sequence, reached end of pattern prematurely", max(0, len(re)-1)
	}
	return "", 0
}

// unclosed is the position of the last group that stays open.
func unclosed(re string) int {
	var open []int
	class := false
	for i, r := range []rune(re) {
		switch {
		case r == '[':
			class = true
		case r == ']':
			class = false
		case class:
		case r == '(':
			open = append(open, i)
		case r == ')' && len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	if len(open) == 0 {
		return 0
	}
	return open[len(open)-1]
}

// unopened is the position of the first parenthesis that closes nothing.
func unopened(re string) int {
	depth, class := 0, false
	for i, r := range []rune(re) {
		switch {
		case r == '[':
			class = true
		case r == ']':
			class = false
		case class:
		case r == '(':
			depth++
		case r == ')' && depth == 0:
			return i
		case r == ')':
			depth--
		}
	}
	return 0
}
