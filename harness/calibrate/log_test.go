package calibrate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/steptime"
	"github.com/testing-symbiote/symbiote/harness/units"
)

func qwen7(t *testing.T) deploy.Deployment {
	d, err := deploy.DecodeJSON("d", []byte(`{"model":"Qwen/Qwen2.5-7B-Instruct","gpu":"h100-sxm","engine":{"max_model_len":8192}}`))
	require.NoError(t, err)
	d, _, err = d.Resolve()
	require.NoError(t, err)
	return d
}

// serverLog is what vLLM would log of stretches of decodes, with prompts among the first ones, under known profiles:
// each step takes the longer of what the GPU and what the host needs.
func serverLog(t *testing.T, p Profiles, withUsage bool) string {
	d := qwen7(t)
	var out strings.Builder
	fmt.Fprintln(&out, "(EngineCore pid=7) INFO 11-24 14:49:37 [kv_cache_utils.py:2177] GPU KV cache size: 1,071,136 tokens")
	clock, index := time.Date(2026, 11, 24, 15, 0, 0, 0, time.UTC), 0
	for _, n := range []int{1, 8, 32, 64, 100, 128, 200, 256, 16, 48} {
		held := 0
		var last engine.Work
		for k := range 800 {
			w := engine.Work{Decodes: n, Tokens: units.Tokens(n), Sampled: n, Running: n, DecodeContext: units.Tokens(held + n)}
			requests, tokens := 0, 0
			switch {
			case k == 0: // all of them enter
				w = engine.Work{Running: n, Sampled: n, Tokens: units.Tokens(64 * n)}
				requests, tokens = n, 64*n
				for range n {
					w.Chunks = append(w.Chunks, engine.Chunk{Tokens: 64})
				}
			case k%5 == 4 && k < 400: // one leaves, one enters
				requests, tokens = 1, 100
				held -= held / n
				w = engine.Work{Decodes: n - 1, DecodeContext: units.Tokens(held), Tokens: units.Tokens(n - 1 + tokens), Sampled: n, Running: n,
					Chunks: []engine.Chunk{{Tokens: units.Tokens(tokens)}}}
			}
			if n == 1 && k > 0 { // alone: no one leaves
				requests, tokens = 0, 0
				w = engine.Work{Decodes: 1, Tokens: 1, Sampled: 1, Running: 1, DecodeContext: units.Tokens(held + 1)}
			}
			held += tokens + n - requests
			gpu := steptime.GPUTime(d, p.GPU, &w)
			host := steptime.HostTime(d, p.Host, &last, &w)
			last = w
			clock = clock.Add(max(gpu, host).Duration())
			usage := ""
			if withUsage {
				usage = fmt.Sprintf(", GPU KV cache usage: %.1f%%", 100*float64(held)/1071136)
			}
			who := "(EngineCore pid=7) INFO %s [core.py:430] "
			if withUsage {
				who = "(APIServer pid=5) INFO %s [loggers.py:182] Engine 000: "
			}
			fmt.Fprintf(&out, who+"Iteration(%d): %d context requests, %d context tokens, %d generation requests, %d generation tokens, iteration elapsed time: %.2f ms%s\n",
				clock.Format("01-02 15:04:05"), index, requests, tokens, w.Decodes, w.Decodes, max(0.03, (gpu-host).Milliseconds()), usage)
			index++
		}
		clock = clock.Add(5 * time.Second)
	}
	return out.String()
}

// A fit to a server's log finds the profile that made its times, as far as steps tell of it.
func TestALogIsFitted(t *testing.T) {
	for _, withUsage := range []bool{false, true} {
		truth := h100(t)
		truth.GPU.Elementwise.FixedUS *= 4
		truth.Host.SchedulePerStep *= 1.4
		truth.Host.LaunchPiecewise *= 0.8
		runs, err := readLog(strings.NewReader(serverLog(t, truth, withUsage)), "vllm.log", qwen7(t))
		require.NoError(t, err)
		require.Len(t, runs, 10, "one for each time that it was busy")
		require.Equal(t, 66947, runs[0].Blocks)
		live, err := Steps(runs, h100(t))
		require.NoError(t, err)
		require.Greater(t, live.GPUSteps, 2)
		require.Less(t, live.GPUError, 2.5)
		require.Greater(t, live.BeforeGPU, 3*live.GPUError)
		require.Less(t, live.HostError, 3.0)
		require.Greater(t, live.BeforeHost, 3*live.HostError)
		require.Equal(t, []string{"vllm.log/iterations 1600 to 2399", "vllm.log/iterations 4000 to 4799", "vllm.log/iterations 6400 to 7199"}, live.HeldOut)
	}
}

func TestLogsThatAreNoneAreRefused(t *testing.T) {
	step := "INFO 11-24 14:49:38 [core.py:430] Iteration(7): 2 context requests, 795 context tokens, 43 generation requests, 43 generation tokens, iteration elapsed time: 12.94 ms"
	for _, c := range []struct{ log, err string }{
		{"INFO 11-24 14:49:37 nothing\n", "vllm.log: no line with Iteration(…), start vLLM with --enable-logging-iteration-details"},
		{step + "\n" + strings.Replace(step, "795", "many", 1), `vllm.log:2: "Iteration(7): 2 context requests, many context tokens`},
		{strings.Replace(step, "INFO 11-24 14:49:38 [core.py:430] ", "", 1), "vllm.log:1:"},
		{strings.Replace(step, "12.94 ms", "12.94", 1), "is no step as vLLM logs it"},
		{strings.Replace(step, "2 context requests", "0 context requests", 1), "vllm.log:1: 0 context requests with 795 context tokens"},
		{strings.Replace(step, "43 generation tokens", "3 generation tokens", 1), "vllm.log:1: 43 generation requests with 3 generation tokens"},
		{strings.Replace(step, "11-24", "13-44", 1), "vllm.log:1: parsing time"},
		{strings.Replace(step, "Iter", "Engine 000: Iter", 1) + "\n" + strings.Replace(step, "Iter", "Engine 001: Iter", 1), "vllm.log:2: a step of engine 001 after one of engine 000"},
	} {
		_, err := readLog(strings.NewReader(c.log), "vllm.log", qwen7(t))
		require.ErrorContains(t, err, c.err)
	}
	_, err := readIteration(strings.Replace(step, "12.94 ms", "0.94 ms, GPU KV cache usage: 3.5% (dummy)", 1))
	require.NoError(t, err)
	d := qwen7(t)
	off := false
	d.Engine.AsyncScheduling = &off
	_, err = readLog(strings.NewReader(step), "vllm.log", d)
	require.ErrorContains(t, err, "without async scheduling")
}

// A server's own log, 32,000 steps over HTTP. Its seconds say what the host costs; few of them are decodes alone.
func TestARealLog(t *testing.T) {
	runs, err := ReadLog("../../fixtures/calibration/q7-http.log.gz", qwen7(t))
	require.NoError(t, err)
	require.Greater(t, len(runs), 10)
	live, err := Steps(runs[len(runs)-9:], h100(t))
	require.NoError(t, err)
	t.Logf("%d steps: GPU %.1f %% (shipped %.1f %%), %d seconds: host %.1f %% (shipped %.1f %%)", live.GPUSteps, live.GPUError, live.BeforeGPU,
		live.HostTurns, live.HostError, live.BeforeHost)
	require.Greater(t, live.HostTurns, 20)
	require.Less(t, live.HostError, live.BeforeHost)
}
