package slo

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Ten requests a second, each begun after 10 ms and answered 100 ms after it was sent; those of the seconds 10 to 15 wait
// until second 18.
func TestWeatherFindsTheRecovery(t *testing.T) {
	run := &record.Run{}
	for i := range 300 {
		sent := 100 * i
		r := answer(sent, 100, 1)
		r.Admitted = at(sent + 10)
		if sent >= 10_000 && sent < 15_000 {
			r.Admitted, r.First, r.Last = at(18_000), at(18_050), at(18_200)
		}
		run.Requests = append(run.Requests, r)
	}
	w := Weather(run, Burst{From: at(10_000), To: at(12_000)}, Target{TTFT: time.Second})
	require.True(t, w.Recovers)
	require.Equal(t, 6*units.Second, w.Recovered, "the queue is back at one when the fifty that waited have begun")
	require.Equal(t, 1, w.QueueBefore)
	require.Equal(t, 51, w.PeakQueue, "fifty, and the one that is sent as they begin")
	require.Equal(t, 100*units.Millisecond, w.Before.P99)
	require.Equal(t, int64(20), w.During.N)

	never := Weather(run, Burst{From: at(10_000), To: at(12_000)}, Target{TTFT: time.Millisecond})
	require.GreaterOrEqual(t, never.Recovered, 17_900*units.Millisecond, "not before the last request, which is late too")
	quiet := Weather(run, Burst{From: at(20_000), To: at(21_000)}, Target{TTFT: 10 * time.Second})
	require.True(t, quiet.Recovers)
	require.Less(t, quiet.Recovered, 100*units.Millisecond)
}
