package serve

import (
	"strings"

	"github.com/testing-symbiote/symbiote/fixtures/tokenizers"
)

// The text of every answer is synthetic: the same two words, over and over, as ids and as text. They are those with
// which the tiny model answers the prompt [5, 6, 7, 8], so that a stop string or a stop token can be met on purpose.

const (
	firstWord  = 469 // " kasati"
	secondWord = 686 // " mivone"
)

// wordAt is the id of output token i, from 0.
func wordAt(i int) int {
	if i%2 == 0 {
		return firstWord
	}
	return secondWord
}

// A script is what one sequence will say: fixed when it is asked for, since nothing is sampled.
type script struct {
	tokens   int    // after which it ends by itself: the engine's StopAt, 0 = only by length
	text     string // of the whole answer if it ends at tokens, stop string already cut
	stopWord string // the stop string that ends it …
	stopID   int    // … or the stop token, -1 if neither
	hold     int    // bytes that are held back while more may come, for a stop string could begin in them
	spoken   bool   // false without a tokenizer: no text at all
}

// newScript finds where the stop rules end an answer of at most maxTokens.
func newScript(t *tokenizers.Tokenizer, rules stopRules, maxTokens int) script {
	sc := script{stopID: -1, spoken: t != nil}
	longest := 0
	for _, s := range rules.strings {
		longest = max(longest, len(s))
	}
	if sc.spoken && !rules.include && longest > 0 {
		sc.hold = longest - 1
	}
	// The words repeat, so what was not met within two rounds behind min_tokens and the length of the longest stop
	// string is never met.
	bound := min(maxTokens, rules.minTokens+4+longest/len(word(0))+1)
	for n := 1; n <= bound && len(rules.strings)+len(rules.ids) > 0; n++ {
		if n > rules.minTokens {
			for _, id := range rules.ids {
				if id == wordAt(n-1) {
					sc.tokens, sc.stopID = n, id
					sc.text = sc.upTo(n)
					return sc
				}
			}
		}
		if sc.spoken && n > rules.minTokens && sc.meets(rules, n) {
			return sc
		}
	}
	return sc
}

// meets looks for a stop string that token n completes, beyond what min_tokens protects.
func (sc *script) meets(rules stopRules, n int) bool {
	text := said(n)
	for _, s := range rules.strings {
		from := max(len(said(max(n-1, rules.minTokens)))-len(s)+1, len(said(rules.minTokens)))
		if from < 0 || rules.minTokens == 0 {
			from = max(0, len(said(n-1))-len(s)+1)
		}
		i := strings.Index(text[from:], s)
		if i < 0 {
			continue
		}
		end := from + i
		if rules.include {
			end += len(s)
		}
		sc.tokens, sc.stopWord, sc.text = n, s, text[:end]
		return true
	}
	return false
}

func word(i int) string { return tokenizers.Tiny().Piece(wordAt(i)) }

// babble holds a long piece of the text; said cuts from it.
var babble = strings.Repeat(" kasati mivone", 1<<13)

// said is the text of the first n tokens.
func said(n int) string {
	const length = len(" kasati") // both words have the same
	if n*length <= len(babble) {
		return babble[:n*length]
	}
	return strings.Repeat(" kasati mivone", (n+1)/2)[:n*length]
}

// upTo is the text of n tokens, nothing without a tokenizer.
func (sc *script) upTo(n int) string {
	if !sc.spoken {
		return ""
	}
	return said(n)
}

// shown is the text that a client has been sent after n tokens; done says that no more will come.
func (sc *script) shown(n int, done bool) string {
	switch {
	case done && sc.tokens == n:
		return sc.text
	case done || sc.hold == 0:
		return sc.upTo(n)
	}
	text := sc.upTo(n)
	return text[:max(0, len(text)-sc.hold)]
}
