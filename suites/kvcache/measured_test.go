package kvcache

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// A real vLLM 0.32 on a CPU with 12 usable blocks of 32 tokens and 4 seats, asked by six clients 4 ms apart for 200
// tokens after 32, preempted exactly 10 times, in both runs that were made.
func TestPreemptsAsOftenAsTheRealOne(t *testing.T) {
	d := suite.On("Qwen/Qwen2.5-0.5B-Instruct", "h100-sxm")
	d.VLLMVersion = "0.32.0"
	off := false
	d.Engine.NumGPUBlocksOverride, d.Engine.BlockSize, d.Engine.MaxNumSeqs, d.Engine.MaxModelLen = 13, 32, 4, 256
	d.Engine.AsyncScheduling = &off
	var rows []workload.Request
	for i := range 6 {
		rows = append(rows, workload.Request{At: units.Time(units.Span(4*i) * units.Millisecond), Prompt: 32, Output: 200})
	}
	run, err := sim.Backend{}.Run(t.Context(), d, workload.List{Requests: rows}.At(nil))
	require.NoError(t, err)
	require.Nil(t, run.Failure)
	require.Equal(t, 10, run.Engine.Preemptions)
}

// The streams of requests that a real H100 was sent.
const measured = "../../../shared/groundtruth/replay/traces/"

func readMeasured(t *testing.T, name string, o workload.TraceOptions) *workload.Trace {
	t.Helper()
	file := filepath.Join(measured, name)
	if _, err := os.Stat(file); err != nil {
		t.Skip("no measured request streams: ../shared/groundtruth/replay is not beside the repository")
	}
	trace, err := workload.ReadTrace(file, o)
	require.NoError(t, err)
	return trace
}

// 1,000 requests with one of ten prefixes of 512 tokens hit 506,880 tokens.
func TestHitsAsOftenAsTheRealOne(t *testing.T) {
	trace := readMeasured(t, "h100-q05_kv-shared_100.csv.gz", workload.TraceOptions{Reuse: workload.ReusePromptID, PrefixTokens: 512})
	d := suite.On("Qwen/Qwen2.5-0.5B-Instruct", "h100-sxm")
	d.VLLMVersion = "0.26.0"
	d.Engine.NumGPUBlocksOverride, d.Engine.MaxNumSeqs, d.Engine.MaxModelLen = 2000, 512, 4096
	run, err := sim.Backend{}.Run(t.Context(), d, trace.At(nil))
	require.NoError(t, err)
	require.InEpsilon(t, 506_880, int(run.Engine.Hits), 0.01)
	require.Zero(t, run.Engine.Preemptions)
}

// 512 requests in flight on 3,000 blocks computed 113,206 tokens again; the order of events depends on the step times,
// so this is within 15 %.
func TestRecomputesAsMuchAsTheRealOne(t *testing.T) {
	trace := readMeasured(t, "h100-q7_kv-chat_512_long.csv.gz", workload.TraceOptions{Reuse: workload.ReuseNone})
	d := suite.On("Qwen/Qwen2.5-7B-Instruct", "h100-sxm")
	d.VLLMVersion, d.Host = "0.26.0", "h100"
	d.Engine.NumGPUBlocksOverride, d.Engine.MaxNumSeqs, d.Engine.MaxModelLen = 3000, 512, 8192
	run, err := sim.Backend{}.Run(t.Context(), d, trace.At(workload.Closed{InFlight: 512}))
	require.NoError(t, err)
	require.InEpsilon(t, 113_206, int(run.Engine.Recomputed), 0.15)
}
