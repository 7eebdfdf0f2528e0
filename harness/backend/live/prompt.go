package live

import (
	"encoding/json"
	"strconv"
	"strings"

	openai "github.com/sashabaranov/go-openai"

	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// Prompts says how a prompt is sent.
type Prompts string

const (
	TokenIDs Prompts = "ids"  // token ids to /v1/completions: the length is exact, no tokenizer is needed
	Text     Prompts = "text" // words to /v1/completions, about one token each; usage says how many they were
	Chat     Prompts = "chat" // words in a user message to /v1/chat/completions
)

func (p Prompts) path() string {
	if p == Chat {
		return "/chat/completions"
	}
	return "/completions"
}

// firstToken skips the special tokens that most vocabularies begin with; vocabulary is a range of ids that every
// model has. An id outside the vocabulary would take down a server that runs with --skip-tokenizer-init.
const (
	firstToken = 256
	vocabulary = 1024
)

// A writer writes the bodies of one run's requests. The same request gets the same tokens within a run; another salt
// gives other tokens, so that two runs of one workload do not meet in the server's prefix cache.
type writer struct {
	model   string
	prompts Prompts
	salt    uint64
	vocab   int
	shared  float64 // this leading share of every prompt is the same text, whatever the workload says; 0 = as it says
}

// mix is splitmix64's finalizer.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// segments are the parts of a prompt: what it shares, then what is its own.
func (w writer) segments(r workload.Request) []units.Segment {
	shared := r.Shared
	if w.shared > 0 {
		shared = []units.Segment{{Source: units.OwnText(-1), Len: units.Tokens(float64(r.Prompt) * w.shared)}}
	}
	var out []units.Segment
	at := units.Tokens(0)
	for _, s := range shared {
		s.Len = min(s.Len, r.Prompt-at)
		out = append(out, s)
		at += s.Len
	}
	return append(out, units.Segment{Source: units.OwnText(r.ID), From: at, Len: r.Prompt - at})
}

// each calls token with every token of the prompt, as a number below n.
func (w writer) each(r workload.Request, n int, token func(int)) {
	for _, s := range w.segments(r) {
		text := mix(s.Source ^ mix(w.salt))
		for i := range s.Len {
			token(int(mix(text+uint64(s.From+i)) % uint64(n)))
		}
	}
}

// options are what go-openai's types have no field for.
type options struct {
	IncludeUsage    bool `json:"include_usage"`
	ContinuousUsage bool `json:"continuous_usage_stats"` // the tokens so far, in every event
}

// completionBody and chatBody are go-openai's requests with what they lack. Of two fields with one name the outer one
// counts.
type completionBody struct {
	openai.CompletionRequest
	Prompt        json.RawMessage `json:"prompt"`      // go-openai refuses token ids
	Temperature   float32         `json:"temperature"` // go-openai leaves a zero out, and the server would sample
	IgnoreEOS     bool            `json:"ignore_eos"`
	MinTokens     int             `json:"min_tokens"`
	StreamOptions options         `json:"stream_options"`
}

type chatBody struct {
	openai.ChatCompletionRequest
	Temperature   float32 `json:"temperature"`
	IgnoreEOS     bool    `json:"ignore_eos"`
	MinTokens     int     `json:"min_tokens"`
	StreamOptions options `json:"stream_options"`
}

// body is the request as it is sent. The output length is asked for thrice over: as a maximum, as a minimum, and by
// ignoring the model's own wish to stop.
func (w writer) body(r workload.Request) []byte {
	output := int(r.Output)
	usage := options{true, true}
	var value any
	if w.prompts == Chat {
		value = chatBody{openai.ChatCompletionRequest{
			Model: w.model, Stream: true, MaxCompletionTokens: output,
			Messages: []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: w.words(r)}},
		}, 0, true, output, usage}
	} else {
		prompt := w.ids(r)
		if w.prompts == Text {
			prompt, _ = json.Marshal(w.words(r))
		}
		value = completionBody{openai.CompletionRequest{Model: w.model, Stream: true, MaxTokens: output}, prompt, 0, true, output, usage}
	}
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings, numbers and flags
	}
	return data
}

func (w writer) ids(r workload.Request) []byte {
	b := make([]byte, 1, 6*int(r.Prompt)+2)
	b[0] = '['
	w.each(r, w.vocab, func(t int) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(firstToken+t), 10)
	})
	return append(b, ']')
}

// Short common words are one token each in most vocabularies.
const wordList = "the of and to in is it you that he was for on are with as his they be at one have this from or had by but what some we can out other were all there when up use your how said an each she which do their time if will way about many then them would like so these her long make thing see him two has look more day could go come did no my who been call now find down side"

func (w writer) words(r workload.Request) string {
	list := strings.Fields(wordList)
	var b strings.Builder
	w.each(r, len(list), func(t int) {
		b.WriteByte(' ')
		b.WriteString(list[t])
	})
	return b.String()
}
