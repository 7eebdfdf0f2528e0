package slo

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

func at(milliseconds int) units.Time { return units.Time(units.Span(milliseconds) * units.Millisecond) }

// answer has the given TTFT and TPOT in ms over 11 tokens.
func answer(sent, ttft, tpot int) record.Record {
	return record.Record{Intended: at(sent), Sent: at(sent), First: at(sent + ttft), Last: at(sent + ttft + 10*tpot), Output: 11}
}

// vLLM's own example: (90, 9), (90, 11), (101, 5), (100, 10) in 2 s, limits 100 and 10 inclusive.
func TestJudgeAsVLLMDoes(t *testing.T) {
	run := &record.Run{Requests: []record.Record{answer(0, 90, 9), answer(1, 90, 11), answer(2, 101, 5), answer(3, 100, 10)}, End: at(2000)}
	v := Judge(run, Target{TTFT: 100 * time.Millisecond, TPOT: 10 * time.Millisecond})
	require.Equal(t, 2, v.Met)
	require.Equal(t, 1.0, v.GoodputPerSec)
	require.Equal(t, 0.5, v.Share)
	require.Equal(t, 1, v.MissedTTFT)
	require.Equal(t, 1, v.MissedTPOT)
	require.Equal(t, at(1), v.FirstViolation)
	require.Equal(t, at(2), v.LastViolation)
	require.Equal(t, "50.0% of 4 met TTFT ≤ 100ms, TPOT ≤ 10ms; goodput 1/s", v.String())
}

func TestUndefinedIsMetAndFailedIsNot(t *testing.T) {
	single := answer(0, 50, 0)
	single.Output = 1
	lost := record.Record{Intended: at(5), First: units.Never, Last: units.Never, Outcome: failure.ConnectionLost}
	run := &record.Run{Requests: []record.Record{single, lost}, End: at(1000)}
	v := Judge(run, Target{TPOT: time.Millisecond})
	require.Equal(t, 1, v.Met)
	require.Equal(t, 1, v.Undefined)
	require.Equal(t, 1, v.Failed)
	require.Equal(t, 1, Judge(run, Target{}).Met, "no answer is no answer, whatever was promised")
	require.Equal(t, "any answer", Target{}.String())
	met, _ := Target{E2EL: 49 * time.Millisecond}.Met(&single)
	require.False(t, met)
}
