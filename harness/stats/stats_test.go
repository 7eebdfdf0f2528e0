package stats

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

const ms = units.Millisecond

func at(milliseconds int) units.Time { return units.Time(units.Span(milliseconds) * ms) }

func TestPercentilesOfTen(t *testing.T) {
	sample := func() []units.Span {
		return []units.Span{10 * ms, 1 * ms, 9 * ms, 2 * ms, 8 * ms, 3 * ms, 7 * ms, 4 * ms, 6 * ms, 5 * ms}
	}
	require.Equal(t, Dist{N: 10, Mean: 5_500_000_000, P50: 5 * ms, P90: 9 * ms, P95: 10 * ms, P99: 10 * ms, Max: 10 * ms},
		Of(NearestRank, sample()))
	// numpy.percentile([1..10], [50, 90, 95, 99]) = 5.5, 9.1, 9.55, 9.91
	require.Equal(t, Dist{N: 10, Mean: 5_500_000_000, P50: 5_500_000_000, P90: 9_100_000_000, P95: 9_550_000_000, P99: 9_910_000_000, Max: 10 * ms},
		Of(Linear, sample()))
	require.Equal(t, Dist{}, Of(NearestRank, nil))
	one := []units.Span{7}
	require.Equal(t, Dist{N: 1, Mean: 7, P50: 7, P90: 7, P95: 7, P99: 7, Max: 7}, Of(Linear, one))
}

func TestGapsAreWhatTheyWouldBeWrittenOut(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var g record.Gaps
		var all []units.Span
		for range 1 + r.IntN(60) {
			gap, n := units.Span(r.Int64N(100)), 1+r.Int64N(20)
			g.Add(gap, n)
			for range n {
				all = append(all, gap)
			}
		}
		for _, m := range []Method{NearestRank, Linear} {
			require.Equal(t, Of(m, all), OfGaps(m, g), "seed %d method %d", seed, m)
		}
	}
	var huge record.Gaps
	huge.Add(1000*units.Second, 1e8) // 3,000 years
	require.Equal(t, 1000*units.Second, OfGaps(NearestRank, huge).Mean)
}

func TestPercentile(t *testing.T) {
	v := []float64{1, 2, 3, 4}
	require.Equal(t, 2.5, Percentile(Linear, v, 50))
	require.Equal(t, 2.0, Percentile(NearestRank, v, 50))
	require.Equal(t, 4.0, Percentile(NearestRank, v, 100))
	require.Equal(t, 1.0, Percentile(NearestRank, v, 0))
	require.InDelta(t, 3.97, Percentile(Linear, v, 99), 1e-12)
}

// The stream of vLLM's own benchmark arithmetic: POST at 0, events at 120, 140, 165, 165, 200 ms, 6 tokens.
func TestSummarizeAsVLLMCounts(t *testing.T) {
	run := &record.Run{
		Requests: []record.Record{
			{Sent: 0, Admitted: at(1), First: at(120), Last: at(200), Prompt: 10, Output: 6},
			{Intended: at(100), Sent: at(130), Admitted: at(140), First: at(150), Last: at(150), Prompt: 5, Output: 1},
			{Intended: at(300), Sent: at(300), Admitted: units.Never, First: units.Never, Last: units.Never, Prompt: 5, Outcome: failure.Rejected},
		},
		Start: 0, End: at(2000),
		Engine: record.Engine{Queries: 15, Hits: 3},
	}
	s := Summarize(run)
	require.Equal(t, 3, s.Requests)
	require.Equal(t, 2, s.Completed)
	require.Equal(t, 1, s.Failed)
	require.Equal(t, []Failures{{failure.Rejected, 1}}, s.Failures)
	require.Equal(t, 120*ms, s.TTFT.Max, "counts from the intended send")
	require.Equal(t, 50*ms, s.TTFT.P50)
	require.Equal(t, 20*ms, s.ServiceTTFT.P50, "counts from the real send")
	require.Equal(t, 30*ms, s.Lag.Max)
	require.Equal(t, Dist{N: 1, Mean: 16 * ms, P50: 16 * ms, P90: 16 * ms, P95: 16 * ms, P99: 16 * ms, Max: 16 * ms}, s.TPOT,
		"one token has no TPOT")
	require.Equal(t, 200*ms, s.E2EL.Max)
	require.Equal(t, 40*ms, s.Queue.Max)
	require.InDelta(t, 1, s.RequestThroughput, 1e-12)
	require.InDelta(t, 3.5, s.OutputThroughput, 1e-12)
	require.InDelta(t, 11, s.TotalThroughput, 1e-12)
	require.InDelta(t, 0.2, s.PrefixHitRate, 1e-12)
	require.Equal(t, Window{}, s.Steady)
	require.Equal(t, 1700*ms, s.DrainTail)
}

func TestArrivalsAsAchieved(t *testing.T) {
	var run record.Run
	for i := range 11 {
		run.Requests = append(run.Requests, record.Record{Intended: at(100 * i), Outcome: failure.TimedOut})
	}
	s := Summarize(&run)
	require.InDelta(t, 10, s.ArrivalRate, 1e-9)
	require.InDelta(t, 0, s.ArrivalCV, 1e-9)
}

func TestSteadyWindowLeavesOutBothEnds(t *testing.T) {
	var run record.Run
	for i := range 100 { // 10 a second, after a warm-up of 5 s and with a last one that takes a minute
		run.Requests = append(run.Requests, record.Record{Last: at(5000 + 100*i), Prompt: 3, Output: 2})
	}
	run.Requests[99].Last = at(60_000)
	run.End = at(60_000)
	s := Summarize(&run)
	require.InDelta(t, 10, s.Steady.RequestThroughput, 1e-9)
	require.InDelta(t, 20, s.Steady.OutputThroughput, 1e-9)
	require.Less(t, s.RequestThroughput, 2.0)
}

func TestDocumentHasTheAgreedKeys(t *testing.T) {
	var run record.Run
	run.Requests = []record.Record{{First: at(1), Last: at(2), Output: 2, Admitted: 0}}
	out, err := json.Marshal(Summarize(&run).Document())
	require.NoError(t, err)
	require.JSONEq(t, `{"requests":1,"completed":1,"failed":0,"duration_s":0,"request_throughput_rps":0,
		"output_throughput_tok_s":0,"total_throughput_tok_s":0,
		"ttft_ms":{"mean":1,"p50":1,"p90":1,"p95":1,"p99":1,"max":1},"tpot_ms":{"mean":1,"p50":1,"p90":1,"p95":1,"p99":1,"max":1},
		"itl_ms":null,"e2el_ms":{"mean":2,"p50":2,"p90":2,"p95":2,"p99":2,"max":2},"queue_ms":{"mean":0,"p50":0,"p90":0,"p95":0,"p99":0,"max":0},
		"preemptions":0,"prefix_hit_rate":0,"kv_usage_peak":0,"running_mean":0,"running_peak":0,"waiting_peak":0,"steps":0,
		"num_gpu_blocks":0,"goodput_rps":0,"wall_s":0,"seed":0,"warnings":[]}`, string(out))
}

func BenchmarkSummarize100k(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	var run record.Run
	for i := range 100_000 {
		sent := at(i)
		first := sent.Add(units.Span(r.Int64N(int64(units.Second))))
		run.Requests = append(run.Requests, record.Record{Intended: sent, Sent: sent, Admitted: sent, First: first,
			Last: first.Add(units.Span(r.Int64N(int64(10 * units.Second)))), Prompt: 512, Output: 128})
	}
	for range 60_000 {
		run.Gaps.Add(units.Span(r.Int64N(int64(30*ms))), 1+r.Int64N(256))
	}
	for b.Loop() {
		Summarize(&run)
	}
}
