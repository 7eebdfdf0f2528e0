package live

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/workload"
)

// One stream whose events come at 120, 140, 165, 165 and 200 ms, with six tokens in all.
func TestBenchCountsAsVLLMBenchServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(w http.ResponseWriter, a asked) {
			open(w)
			for i, wait := range []time.Duration{120, 20, 25, 0, 35} {
				time.Sleep(wait * time.Millisecond)
				tokens(w, a, []int{1, 2, 3, 5, 6}[i], map[bool]string{true: "length"}[i == 4])
			}
			time.Sleep(time.Millisecond)
			usageEnd(w, a, 6)
		}}
		w := rows(1, 10, 6).At(workload.Closed{InFlight: 3})
		m := measured(t, f.start(t), w)
		b := m.Bench(w, time.Unix(0, 0).UTC(), 1)
		figure := func(i int) BenchMetric { return b.Metrics[i] }
		require.InDelta(t, 120, figure(0).Mean, 0.01)
		require.InDelta(t, 16, figure(1).Mean, 0.01)
		require.InDelta(t, 20, figure(2).Mean, 0.03) // of 20, 25, 0, 35
		require.InDelta(t, 22.5, figure(2).Median, 0.03)
		require.InDelta(t, 12.75, figure(2).Std, 0.02)
		require.InDelta(t, 200, figure(3).Mean, 0.01)
		data, err := json.Marshal(b)
		require.NoError(t, err)
		var keys map[string]any
		require.NoError(t, json.Unmarshal(data, &keys))
		require.InDelta(t, 34.7, keys["p99_itl_ms"], 0.05)
		require.Equal(t, "inf", keys["request_rate"])
		require.EqualValues(t, 3, keys["max_concurrency"])
		require.EqualValues(t, 5, keys["max_output_tokens_per_s"])
		require.EqualValues(t, 6, keys["total_output_tokens"])
		require.InDelta(t, 1/0.2, keys["request_goodput"], 0.01)
		require.Nil(t, keys["label"])
	})
}
