package live

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func TestARunInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		m := measured(t, f.start(t), rows(5, 40, 4).At(workload.Constant{Rate: 10}))
		require.Len(t, m.Run.Requests, 5)
		for i, r := range m.Run.Requests {
			require.Equal(t, "", string(r.Outcome), r.Detail)
			at := units.Time(units.Span(i+1) * 100 * units.Millisecond)
			require.Equal(t, at, r.Intended)
			require.Less(t, r.Lag(), units.Microsecond)
			ttft, _ := r.TTFT()
			require.InDelta(t, 50, ttft.Milliseconds(), 0.01)
			tpot, _ := r.TPOT()
			require.InDelta(t, 10, tpot.Milliseconds(), 0.01)
			require.EqualValues(t, 4, r.Output)
			require.EqualValues(t, 40, r.Prompt)
		}
		require.EqualValues(t, 15, m.Run.Gaps.Count)
		require.Equal(t, "server", m.Tokens)
		require.Equal(t, Server{URL: "http://fake", Model: "tiny", Root: "/m/tiny", MaxModelLen: 2048, Version: "0.32.0"}, m.Server)
		require.Empty(t, m.Run.Warnings)
		require.NoError(t, m.Cache.Broken())
		require.EqualValues(t, 200, m.Cache.Queries)
	})
}

// A chat's first event carries a role and no token: it is not the first token.
func TestChatsAreCountedFromTheirFirstToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(w http.ResponseWriter, a asked) {
			open(w)
			time.Sleep(prefill)
			event(w, `{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":{"prompt_tokens":33,"completion_tokens":0}}`)
			for i, finish := range []string{"null", "null", `"length"`} {
				time.Sleep(step)
				event(w, fmt.Sprintf(`{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":%s}],"usage":{"prompt_tokens":33,"completion_tokens":%d}}`, finish, i+1))
			}
			event(w, "[DONE]")
		}}
		b := f.start(t)
		b.Prompts = Chat
		m := measured(t, b, rows(1, 30, 3).At(workload.AllAtOnce{}))
		r := m.Run.Requests[0]
		require.Equal(t, "", string(r.Outcome), r.Detail)
		ttft, _ := r.TTFT()
		require.InDelta(t, 60, ttft.Milliseconds(), 0.01)
		require.EqualValues(t, 33, r.Prompt, "what the server counted")
		require.Equal(t, "/v1/chat/completions", f.seen[0].Path)
		require.Equal(t, 3, f.seen[0].MinTokens)
	})
}
