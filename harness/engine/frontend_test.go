package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
)

const ms = units.Millisecond

func at(n units.Span) units.Time { return units.Time(n * ms) }

// A front end that is behind writes the tokens of several steps as one chunk to each client.
func TestStepsThatWaitShareTheirChunks(t *testing.T) {
	f := frontEnd{}
	step := &Cost{Deliver: 2 * ms, Write: 10 * ms}
	require.Equal(t, at(12), f.hand(0, step, 64))
	require.Equal(t, at(24), f.hand(at(1), step, 64), "it came after the pass had begun")
	require.Equal(t, at(26), f.hand(at(5), step, 64), "it came before the second pass, which writes once")
	require.Equal(t, at(28), f.hand(at(12), step, 64), "at the last moment")
	more := &Cost{Deliver: 2 * ms, Write: 13 * ms}
	require.Equal(t, at(28+2+13), f.hand(at(13), more, 80))
	require.Equal(t, at(100+12), f.hand(at(100), step, 64), "idle again")
}

// More than 128 outputs are written before the front end looks at the next step.
func TestLargeStepsAreWrittenEach(t *testing.T) {
	f := frontEnd{}
	step := &Cost{Deliver: 2 * ms, Write: 10 * ms}
	require.Equal(t, at(12), f.hand(0, step, 129))
	require.Equal(t, at(24), f.hand(at(1), step, 129))
	require.Equal(t, at(36), f.hand(at(2), step, 129))
	require.Equal(t, at(48), f.hand(at(3), step, 1), "a small one joins no large one")
	require.Equal(t, at(50), f.hand(at(4), step, 1))
}

// Without a cost of writing, a front end is a queue.
func TestAFrontEndThatOnlyDelivers(t *testing.T) {
	f := frontEnd{}
	step := &Cost{Deliver: 3 * ms}
	for i, want := range []units.Span{3, 6, 9} {
		require.Equal(t, at(want), f.hand(at(units.Span(i)), step, 64))
	}
	require.Equal(t, at(10), f.take(at(1), ms, 0))
	require.Equal(t, at(13), f.hand(at(4), step, 64))
}

// A request waits for a pass at each await on its way in, while the front end is behind; none overtakes another.
func TestRequestsWaitForPasses(t *testing.T) {
	f := frontEnd{}
	require.Equal(t, at(1), f.take(0, ms, 5), "an idle one takes it in at once")
	f.hand(at(1), &Cost{Deliver: 2 * ms, Write: 10 * ms}, 64) // until 13
	require.Equal(t, at(14+5*12), f.take(at(2), ms, 5))
	require.Equal(t, at(14+5*12), f.take(at(30), ms, 5), "idle by then, but the other one is before it")
	require.Equal(t, at(101), f.take(at(100), ms, 5))
}
