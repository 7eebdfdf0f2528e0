package workload

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
)

func TestSessionsRepeatWhatWasSaid(t *testing.T) {
	s := Sessions{Count: 50, Starts: Poisson{2}, Turns: Uniform{1, 6}, System: 100, New: Uniform{20, 60}, Output: Uniform{5, 30}, Think: 5 * time.Second, Seed: 3}
	sent := play(t, s.Play(), units.Second)
	require.Equal(t, sent, play(t, s.Play(), units.Second))
	said := map[uint64]Request{} // the last turn of each conversation, by its own text
	turns := 0
	for i, r := range sent {
		require.Equal(t, i, r.ID)
		require.True(t, i == 0 || r.At >= sent[i-1].At)
		require.Equal(t, units.Tokens(100), r.Shared[0].Len, "the system prompt comes first")
		if len(r.Shared) > 1 {
			own := r.Shared[len(r.Shared)-1]
			before, again := said[own.Source]
			require.True(t, again && before.Open, "what is named was said before and stays open")
			require.Equal(t, append(slices.Clone(before.Shared), own), r.Shared, "everything that was said before, in order")
			require.Equal(t, before.Prompt+before.Output, own.From+own.Len, "to the end of the answer")
			require.GreaterOrEqual(t, r.Prompt, before.Prompt+before.Output+20)
			require.GreaterOrEqual(t, r.At, before.At.Add(units.Second), "a turn waits for the answer")
			delete(said, own.Source)
			turns++
		}
		said[units.OwnText(r.ID)] = r
	}
	require.Len(t, said, 50)
	require.InDelta(t, 50*2.5, turns, 40)

	s.MaxContext = 200
	for _, r := range play(t, s.Play(), units.Second) {
		require.LessOrEqual(t, r.Prompt+r.Output, units.Tokens(200))
	}
	require.ErrorContains(t, Sessions{Count: 1, Starts: Closed{1}, Turns: Fixed(1), New: Fixed(1), Output: Fixed(1)}.Validate(), "cannot start in a closed loop")
}
