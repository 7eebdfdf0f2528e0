package live

import (
	"strings"
	"testing"
	"testing/synctest"

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
