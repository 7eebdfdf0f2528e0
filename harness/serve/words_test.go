package serve

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures/tokenizers"
)

func TestSyntheticTextIsWhatTheTokenizerSays(t *testing.T) {
	ids := []int{wordAt(0), wordAt(1), wordAt(2), wordAt(3)}
	require.Equal(t, said(4), tokenizers.Tiny().Decode(ids, true))
	require.Len(t, said(100_001), 700_007)
}

func TestScript(t *testing.T) {
	tiny := tokenizers.Tiny()
	for _, c := range []struct {
		name   string
		rules  stopRules
		most   int
		tokens int
		text   string
		stop   string
		id     int
	}{
		{"no rule", stopRules{}, 8, 0, "", "", -1},
		{"a stop string is cut off", stopRules{strings: []string{"mivone"}}, 8, 2, " kasati ", "mivone", -1},
		{"or stays", stopRules{strings: []string{"mivone"}, include: true}, 8, 2, " kasati mivone", "mivone", -1},
		{"a stop token stays", stopRules{ids: []int{686}}, 8, 2, " kasati mivone", "", 686},
		{"not before min_tokens", stopRules{ids: []int{686}, minTokens: 2}, 8, 4, " kasati mivone kasati mivone", "", 686},
		{"a string over two words", stopRules{strings: []string{"ti mi"}}, 8, 2, " kasa", "ti mi", -1},
		{"a string after min_tokens", stopRules{strings: []string{"kasati"}, minTokens: 1}, 8, 3, " kasati mivone ", "kasati", -1},
		{"never met", stopRules{strings: []string{"zebra"}, ids: []int{7}}, 1000, 0, "", "", -1},
		{"too late", stopRules{strings: []string{"mivone"}}, 1, 0, "", "", -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc := newScript(tiny, c.rules, c.most)
			require.Equal(t, []any{c.tokens, c.text, c.stop, c.id}, []any{sc.tokens, sc.text, sc.stopWord, sc.stopID})
		})
	}
}

func TestTextIsHeldBackWhileAStopStringMayBegin(t *testing.T) {
	sc := newScript(tokenizers.Tiny(), stopRules{strings: []string{"mivone"}}, 8)
	require.Equal(t, " k", sc.shown(1, false)) // as recorded: " k", then "asati "
	require.Equal(t, " kasati ", sc.shown(2, true))
}
