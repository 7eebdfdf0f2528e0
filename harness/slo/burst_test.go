package slo

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// One request a second; TTFT is 100 ms but 5 s for those sent from 10 to 14 s; the queue is 1, and 50 from 10 to 17 s.
func TestWeatherFindsTheRecovery(t *testing.T) {
	run := &record.Run{Engine: record.Engine{WaitingPeak: 50}}
	for s := range 30 {
		ttft, waiting := 100, 1
		if s >= 10 && s < 15 {
			ttft = 5000
		}
		if s >= 10 && s < 18 {
			waiting = 50
		}
		run.Requests = append(run.Requests, answer(1000*s, ttft, 1))
		run.Samples = append(run.Samples, record.Sample{At: at(1000 * s), Waiting: waiting})
	}
	w := Weather(run, Burst{From: at(10_000), To: at(12_000)}, Target{TTFT: time.Second})
	require.True(t, w.Recovers)
	require.Equal(t, 6*units.Second, w.Recovered)
	require.Equal(t, 1, w.QueueBefore)
	require.Equal(t, 50, w.PeakQueue)
	require.Equal(t, 100*units.Millisecond, w.Before.P99)
	require.Equal(t, 5*units.Second, w.During.P99)
	require.Equal(t, int64(18), w.After.N)

	never := Weather(run, Burst{From: at(10_000), To: at(12_000)}, Target{TTFT: time.Millisecond})
	require.False(t, never.Recovers)
}
