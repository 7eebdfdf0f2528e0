package workload

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
)

func TestSessionsRepeatWhatWasSaid(t *testing.T) {
	s := Sessions{Count: 50, Starts: Poisson{2}, Turns: Uniform{1, 6}, System: 100, New: Uniform{20, 60}, Output: Uniform{5, 30}, Think: 5 * time.Second, Seed: 3}
	sent := play(t, s.Play(), units.Second)
	require.Equal(t, sent, play(t, s.Play(), units.Second))
	last := map[uint64]Request{}
	turns := 0
	for i, r := range sent {
		require.Equal(t, i, r.ID)
		require.True(t, i == 0 || r.At >= sent[i-1].At)
		require.Len(t, r.Shared, 2)
		require.Equal(t, r.Prompt, r.Shared[0].Len+r.Shared[1].Len, "the whole prompt is text that comes again")
		before, again := last[r.Shared[1].Source]
		if again {
			require.GreaterOrEqual(t, r.Prompt, before.Prompt+before.Output+20)
			require.GreaterOrEqual(t, r.At, before.At.Add(units.Second), "a turn waits for the answer")
			turns++
		}
		last[r.Shared[1].Source] = r
	}
	require.Len(t, last, 50)
	require.InDelta(t, 50*2.5, turns, 40)

	s.MaxContext = 200
	for _, r := range play(t, s.Play(), units.Second) {
		require.LessOrEqual(t, r.Prompt+r.Output, units.Tokens(200))
	}
	require.ErrorContains(t, Sessions{Count: 1, Starts: Closed{1}, Turns: Fixed(1), New: Fixed(1), Output: Fixed(1)}.Validate(), "cannot start in a closed loop")
}
