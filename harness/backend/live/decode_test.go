package live

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	tokenEvent = `{"id":"cmpl-aa4e9b294549711b","object":"text_completion","created":1795530615,"model":"tiny","choices":[{"index":0,"text":" kasati","logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":null}],"usage":{"prompt_tokens":4,"total_tokens":6,"completion_tokens":2}}`
	lastEvent  = `{"id":"cmpl-1","choices":[{"index":0,"text":"","finish_reason":"length"}],"usage":null}`
	usageEvent = `{"id":"cmpl-1","choices":[],"usage":{"prompt_tokens":300,"total_tokens":308,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":256}},"system_fingerprint":"vllm-0.32.0-14c672b7"}`
	roleEvent  = `{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}`
	chatEvent  = `{"choices":[{"index":0,"delta":{"content":"a \"quoted\\\" word"},"finish_reason":null}]}`
	errorEvent = `{"error": {"message": "EngineCore encountered an issue.", "type": "InternalServerError", "param": null, "code": 500}}`
)

func TestDecodeChunk(t *testing.T) {
	for _, c := range []struct {
		event string
		want  chunk
	}{
		{tokenEvent, chunk{choices: 1, text: true, usage: true, prompt: 4, completion: 2}},
		{lastEvent, chunk{choices: 1, finish: finishedLength}},
		{usageEvent, chunk{usage: true, prompt: 300, completion: 8, cached: 256}},
		{roleEvent, chunk{choices: 1, role: true}},
		{chatEvent, chunk{choices: 1, text: true}},
		{`{"choices":[{"delta":{"reasoning":"hm"},"finish_reason":"abort"}]}`, chunk{choices: 1, text: true, finish: finishedAbort}},
		{`{"choices":[{"delta":{"tool_calls":[{"id":1}]}}]}`, chunk{choices: 1, text: true}},
		{"{ }", chunk{}},
		{errorEvent, chunk{failed: []byte(`{"message": "EngineCore encountered an issue.", "type": "InternalServerError", "param": null, "code": 500}`)}},
	} {
		got, err := decodeChunk([]byte(c.event))
		require.NoError(t, err, c.event)
		require.Equal(t, c.want, got, c.event)
	}
	for _, bad := range []string{"", "{", `{"choices":[}`, `{"a":1}x`, `{"a" 1}`, `[1]`, `"x"`, `{"a":"\"}`, `{"a":,}`} {
		_, err := decodeChunk([]byte(bad))
		require.ErrorIs(t, err, errJSON, bad)
	}
}

// FuzzDecodeChunk holds the walker against encoding/json: it passes over all that is valid, and panics over nothing.
func FuzzDecodeChunk(f *testing.F) {
	for _, e := range []string{tokenEvent, lastEvent, usageEvent, roleEvent, chatEvent, errorEvent, `{"a":[[],{}]}`} {
		f.Add(e)
	}
	f.Fuzz(func(t *testing.T, text string) {
		decodeChunk([]byte(text))
		if json.Valid([]byte(text)) && strings.Count(text, "[")+strings.Count(text, "{") < maxDepth {
			s := scanner{data: []byte(text)}
			require.NoError(t, s.skip())
			require.NoError(t, s.end())
		}
	})
}

func BenchmarkDecodeChunk(b *testing.B) {
	event := []byte(tokenEvent)
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeChunk(event); err != nil {
			b.Fatal(err)
		}
	}
}
