package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// What the users of live load tools complain of most, each as a test that it is not so here.

func TestSameSeedHitsAWarmPrefixCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := f.start(t)
		w := rows(6, 100, 2).At(workload.Closed{InFlight: 2}).Seeded(7)
		for range 3 { // the same seed, the same server: still cold
			m := measured(t, b, w)
			require.Zero(t, m.Cache.Hits)
			require.Equal(t, declared, m.Cache.From)
			require.NoError(t, m.Cache.Broken())
		}
		b.Cache = Warm()
		m := measured(t, b, w)
		require.EqualValues(t, 6*96, m.Cache.Expected) // six whole blocks of 16
		require.Equal(t, m.Cache.Expected, m.Cache.Hits)
		b.Cache = Hit(0.5)
		m = measured(t, b, w)
		require.EqualValues(t, 6*48, m.Cache.Hits)
		require.NoError(t, m.Cache.Broken())

		// A server that hits although cold was declared: the run is no measurement.
		b.Cache = Cold()
		f.answer = func(w http.ResponseWriter, a asked) {
			f.mu.Lock()
			f.hits += 64
			f.mu.Unlock()
			good(w, a)
		}
		_, err := b.Run(t.Context(), deploy.Deployment{}, w)
		require.ErrorContains(t, err, "declared cold, so 0 of 600 prompt tokens should hit, but the server counted 384")
	})
}

func TestITLIsWrongWhenAChunkCarriesSeveralTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(w http.ResponseWriter, a asked) {
			open(w)
			for _, total := range []int{1, 5, 9} { // four tokens a chunk, 40 ms apart
				time.Sleep(4 * step)
				tokens(w, a, total, map[bool]string{true: "length"}[total == 9])
			}
			usageEnd(w, a, 9)
		}}
		m := measured(t, f.start(t), rows(1, 10, 9).At(workload.AllAtOnce{}))
		require.EqualValues(t, 8, m.Run.Gaps.Count, "eight gaps between nine tokens")
		require.InDelta(t, 10, m.Run.Gaps.Max.Milliseconds(), 0.01)
		require.EqualValues(t, 2, m.ICL.Count, "two gaps between three chunks")
		require.InDelta(t, 40, m.ICL.Max.Milliseconds(), 0.01)
		require.True(t, f.seen[0].StreamOptions.ContinuousUsageStats)
	})
}

func TestClientQueueTimeIsExcluded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := f.start(t)
		b.Limits.InFlight = 1 // 80 ms each, 100 a second are asked for
		m := measured(t, b, rows(5, 10, 4).At(workload.Constant{Rate: 100}))
		last := m.Run.Requests[4]
		ttft, _ := last.TTFT()
		require.InDelta(t, 4*80+50-4*10, ttft.Milliseconds(), 1, "the wait counts: the clock starts when it was meant to be sent")
		require.InDelta(t, 50, last.First.Sub(last.Sent).Milliseconds(), 1)
		require.InDelta(t, 280, m.Client.LagMax.Milliseconds(), 1)
	})
}

func TestTheClientIsTheBottleneckMistakenForTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := f.start(t)
		m := measured(t, b, rows(20, 10, 4).At(workload.Constant{Rate: 100}))
		require.Empty(t, m.Client.Limited)
		b.Limits.InFlight = 1
		m = measured(t, b, rows(20, 10, 4).At(workload.Constant{Rate: 100}))
		require.NotEmpty(t, m.Client.Limited)
		require.True(t, warned(m, "CLIENT-LIMITED: at its limit of 1 in flight it sent late"), m.Run.Warnings)
		require.Positive(t, m.Client.Held)
	})
}

func TestPromptLengthIsNotWhatWasAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := f.start(t)
		m := measured(t, b, rows(3, 37, 2).At(workload.AllAtOnce{}))
		for _, a := range f.seen {
			require.Len(t, a.Prompt, 37, "token ids leave no tokenizer between us and the length")
		}
		require.Equal(t, Lengths{111, 111, 6, 6}, m.Lengths)

		f.answer = func(w http.ResponseWriter, a asked) { // a server that adds a token of its own
			a.Prompt = append(a.Prompt, 0)
			good(w, a)
		}
		m = measured(t, b, rows(2, 37, 2).At(workload.AllAtOnce{}))
		require.Equal(t, []string{"wrong_length", "wrong_length"}, classes(m))
		require.Contains(t, m.Run.Requests[0].Detail, "prompt_tokens = 38, sent 37")
		require.True(t, warned(m, "prompts were asked for 74 tokens, the server counted 76"))

		b.Prompts = Text // there the server's count is the truth, and no failure
		m = measured(t, b, rows(2, 37, 2).At(workload.AllAtOnce{}))
		require.Equal(t, []string{"", ""}, classes(m))
	})
}

func TestOutputLengthIsNotHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(w http.ResponseWriter, a asked) {
			if a.N == 1 {
				a.MaxTokens = 3
			}
			good(w, a)
		}}
		m := measured(t, f.start(t), rows(3, 10, 8).At(workload.Closed{InFlight: 1}))
		require.Equal(t, []string{"", "wrong_length", ""}, classes(m))
		require.Contains(t, m.Run.Requests[1].Detail, "completion_tokens = 3, asked for 8")
		a := f.seen[0]
		require.Equal(t, 8, a.MaxTokens)
		require.Equal(t, 8, a.MinTokens)
		require.True(t, a.IgnoreEOS)
		require.NotNil(t, a.Temperature, "a zero that is left out lets the server sample")
		require.Zero(t, *a.Temperature)
	})
}

func TestTwoToolsGiveDifferentNumbers(t *testing.T) {
	names := map[string]bool{}
	for _, d := range Definitions() {
		require.NotEmpty(t, d.Formula, d.Metric)
		names[d.Metric] = true
	}
	for _, metric := range []string{"ttft", "tpot", "itl", "icl", "e2el", "request_throughput", "output_throughput", "goodput", "lag", "percentile"} {
		require.True(t, names[metric], "no definition of %s", metric)
	}
}

func TestUsageIsMissingOrNull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, usage := range []string{"", `,"usage":null`} {
			f := &fake{answer: func(w http.ResponseWriter, a asked) {
				open(w)
				for i := range 3 {
					time.Sleep(step)
					event(w, fmt.Sprintf(`{"choices":[{"text":"a","finish_reason":%s}]%s}`, map[bool]string{true: `"length"`, false: "null"}[i == 2], usage))
				}
				event(w, "[DONE]")
			}}
			m := measured(t, f.start(t), rows(1, 10, 3).At(workload.AllAtOnce{}))
			require.Equal(t, "estimated", m.Tokens)
			require.EqualValues(t, 3, m.Run.Requests[0].Output)
			require.Equal(t, []string{""}, classes(m))
			require.True(t, warned(m, "1 answers carried no usage, 1 none in their events"), m.Run.Warnings)
		}
	})
}

func TestHangsAtHighConcurrencyOrOnBadConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: hang}
		b := f.start(t)
		b.Limits.Stall = 20 * time.Second
		m := measured(t, b, rows(50, 10, 4).At(workload.AllAtOnce{}))
		for _, r := range m.Run.Requests {
			require.Equal(t, failure.Stalled, r.Outcome, r.Detail)
		}
		require.Contains(t, m.Dump, "goroutine")

		for _, bad := range []Backend{{}, {Endpoint: "fake:1"}, {Endpoint: "http://u:p@fake"}, {Endpoint: "http://fake", Limits: Limits{InFlight: -1}}} {
			bad.Transport = b.Transport
			_, err := bad.Measure(t.Context(), deploy.Deployment{}, rows(1, 1, 1).At(workload.AllAtOnce{}))
			require.Error(t, err)
		}
		require.Len(t, f.seen, 50, "nothing is sent before the configuration is known to be good")
	})
}

// hang sends one token and nothing ever again, as vLLM does after a SIGTERM with requests in flight.
func hang(w http.ResponseWriter, a asked) {
	open(w)
	tokens(w, a, 1, "")
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	io.Copy(io.Discard, conn) // until the client goes
	conn.Close()
}

func TestConcurrencyIsOffByOneAboveOrCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, n := range []int{1, 2, 7, 45} {
			f := &fake{}
			b := f.start(t)
			m := measured(t, b, rows(4*n, 10, 3).At(workload.Closed{InFlight: n}))
			require.Equal(t, n, f.peak, "closed loop of %d", n)
			require.Equal(t, n, m.Client.InFlightPeak)

			f.peak = 0
			b.Limits.InFlight = n
			measured(t, b, rows(4*n, 10, 3).At(workload.AllAtOnce{}))
			require.Equal(t, n, f.peak, "an open load at a limit of %d", n)
		}
	})
}

func TestFailedRequestsPolluteOrVanish(t *testing.T) {
	ways := []struct {
		want   failure.Class
		answer func(http.ResponseWriter, asked)
	}{
		{failure.None, good},
		{failure.Rejected, status(400, `{"error":{"message":"too long","type":"BadRequestError","param":null,"code":400}}`)},
		{failure.Rejected, status(401, `{"error":"Unauthorized"}`)},
		{failure.Rejected, status(307, ``)},
		{failure.Overloaded, status(429, `slow down`)},
		{failure.Overloaded, status(503, `{"error":{"message":"The engine is currently busy and cannot accept new requests.","code":503}}`)},
		{failure.ServerError, status(500, `{"error":{"message":"","code":500}}`)},
		{failure.EngineDied, status(500, `{"error":{"message":"EngineCore encountered an issue. See stack trace (above) for the root cause.","code":500}}`)},
		{failure.StreamError, events(tokenEvent, `{"error": {"message": "Token id 99999 is out of vocabulary", "code": 400}}`, "[DONE]")},
		{failure.EngineDied, events(tokenEvent, `{"error": {"message": "EngineCore encountered an issue. See", "code": 500}}`, "[DONE]")},
		{failure.Truncated, events(tokenEvent, `{"choices":[{"text":"","finish_reason":"length"}],"usage":{"prompt_tokens":10,"completion_tokens":4}}`)},
		{failure.Truncated, events(tokenEvent)},
		{failure.Truncated, func(w http.ResponseWriter, _ asked) { io.WriteString(w, `{"choices":[]}`) }},
		{failure.Aborted, events(`{"choices":[{"text":"","finish_reason":"abort"}],"usage":{"prompt_tokens":10,"completion_tokens":0}}`, "[DONE]")},
		{failure.StreamError, events(`{"choices":[{"text":"","finish_reason":"error"}]}`, "[DONE]")},
		{failure.StreamError, events(`{"choices":`, "[DONE]")},
		{failure.ConnectionLost, cut},
		{failure.ConnectionLost, func(w http.ResponseWriter, _ asked) { // before any answer
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
		}},
		{WrongLength, func(w http.ResponseWriter, a asked) { a.MaxTokens = 2; good(w, a) }},
	}
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(w http.ResponseWriter, a asked) { ways[a.N].answer(w, a) }}
		m := measured(t, f.start(t), rows(len(ways), 10, 4).At(workload.Closed{InFlight: 1}))
		require.Len(t, m.Run.Requests, len(ways))
		for i, r := range m.Run.Requests {
			require.Equal(t, ways[i].want, r.Outcome, "request %d: %s", i, r.Detail)
			require.Equal(t, r.Outcome == failure.None, r.Detail == "")
		}
	})
}

func status(code int, body string) func(http.ResponseWriter, asked) {
	return func(w http.ResponseWriter, _ asked) {
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

func events(all ...string) func(http.ResponseWriter, asked) {
	return func(w http.ResponseWriter, _ asked) {
		open(w)
		for _, e := range all {
			event(w, e)
		}
	}
}

// cut ends the connection in the middle of a stream.
func cut(w http.ResponseWriter, a asked) {
	open(w)
	tokens(w, a, 1, "")
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	conn.Close()
}

func TestNoRunToRunVariance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := f.start(t)
		r, err := b.Repeat(t.Context(), deploy.Deployment{}, func(seed uint64) workload.Workload {
			return rows(4, 10, 4).At(workload.Poisson{Rate: 20}).Seeded(seed)
		}, 1, 5)
		require.NoError(t, err)
		require.Len(t, r, 5)
		prompts := map[string]bool{}
		for _, a := range f.seen {
			prompts[fmt.Sprint(a.Prompt)] = true
		}
		require.Len(t, prompts, 20, "each repeat has prompts of its own")
		i := Mean([]float64{10, 12, 11, 13, 9})
		require.InDelta(t, 11, i.Mean, 1e-9)
		require.InDelta(t, 2.776*math.Sqrt(2.5)/math.Sqrt(5), i.Half, 1e-3)
		require.True(t, math.IsInf(Mean([]float64{1}).Half, 1), "one run says nothing about the next")
	})
}

func TestFindMaxLoadUnderAnSLO(t *testing.T) {
	// The search is slo.Capacity's; what it needs of a backend is that a run at any rate is a run of that rate.
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := f.start(t)
		for _, rate := range []float64{5, 50} {
			m := measured(t, b, rows(50, 10, 2).At(workload.Constant{Rate: rate}))
			span := m.Run.Requests[49].Sent.Sub(m.Run.Requests[0].Sent).Seconds()
			require.InDelta(t, rate, 49/span, 0.01*rate)
		}
	})
}

func TestBurstyGammaAndRealTraces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := f.start(t)
		for _, a := range []workload.Arrivals{
			workload.Gamma{Rate: 20, CV: 4},
			workload.OnOff{On: time.Second, Off: time.Second, OnRate: 40},
			workload.Ramp(20, 0.1, 2, 2*time.Second),
		} {
			w := rows(60, 10, 2).At(a)
			var want []units.Time
			for _, r := range workload.Requests(w) {
				want = append(want, r.At)
			}
			m := measured(t, b, w)
			for i, r := range m.Run.Requests {
				require.Equal(t, want[i], r.Intended)
				require.Less(t, r.Lag(), units.Millisecond, "%v: sent as drawn", a)
			}
		}
	})
}

func TestHeavyInstallsTokenizersHugeFilesAndPortExhaustion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := f.start(t)
		var dials atomic.Int32
		tr := b.Transport.(*http.Transport)
		inner := tr.DialContext
		tr.DialContext = func(ctx contextT, network, addr string) (net.Conn, error) {
			dials.Add(1)
			return inner(ctx, network, addr)
		}
		b.Journal.Path = filepath.Join(t.TempDir(), "run.jsonl")
		measured(t, b, rows(200, 10, 8).At(workload.Closed{InFlight: 4}))
		require.LessOrEqual(t, dials.Load(), int32(5), "connections are kept: four streams and the looks at /metrics")
		for _, a := range f.seen {
			require.Len(t, a.Prompt, 10)
		}
		size := fileSize(t, b.Journal.Path)
		require.Less(t, size, int64(200*1024), "under 1 KiB a request")
	})
}

func TestAPIKeysAppearNowhere(t *testing.T) {
	const marker = "sk-marker-0123456789"
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(w http.ResponseWriter, a asked) {
			if a.N%2 == 0 { // a server that echoes what it was sent
				status(403, `{"error":{"message":"key `+a.Key+` is unknown","code":403}}`)(w, a)
				return
			}
			good(w, a)
		}}
		b := f.start(t)
		b.APIKey = marker
		var log bytes.Buffer
		b.Log = &log
		b.Journal.Path = filepath.Join(t.TempDir(), "run.jsonl")
		m := measured(t, b, rows(4, 10, 2).At(workload.Closed{InFlight: 1}))
		require.Equal(t, "Bearer "+marker, f.seen[0].Key)
		require.Contains(t, m.Run.Requests[0].Detail, "key Bearer *** is unknown")
		all, err := json.Marshal(m)
		require.NoError(t, err)
		for _, text := range []string{string(all), fmt.Sprintf("%+v", m), log.String(), readFile(t, b.Journal.Path)} {
			require.NotContains(t, text, marker)
		}
		b.Journal.Path = ""
		b.Endpoint = "http://nowhere"
		f.listener.Close()
		_, err = b.Measure(t.Context(), deploy.Deployment{}, rows(1, 1, 1).At(workload.AllAtOnce{}))
		require.Error(t, err)
		require.NotContains(t, err.Error(), marker)
	})
}
