package backtest

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// oneCase is a run of three requests, one after another.
const oneCase = `{"id":"x/serial","set":"x","role":"validation","trust":"A","deployment":{"model":"Qwen/Qwen2.5-7B-Instruct",` +
	`"gpu":"h100-sxm","vllm_version":"0.26.0","engine":{"max_num_seqs":256}},"real_num_gpu_blocks":5000,` +
	`"workload":{"kind":"closed","inflight":1,"requests":3,"prompt_tokens":[512,0],"output_tokens":[10,0],"prefix_cache":"none"},` +
	`"measured":{"ttft_ms":{"mean":20},"tpot_ms":{"mean":6},"e2e_ms":{"mean":80},"measured_at":"engine"},"notes":""}` + "\n"

func replayFile(t *testing.T, lines string) string {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(lines), 0o644))
	return path
}

func TestServingSaysTheErrorOfEveryMeasuredMetric(t *testing.T) {
	rep, err := Serving(context.Background(), ServingOptions{RealBlocks: true, BoundPct: 25}, replayFile(t, oneCase))
	require.NoError(t, err)
	require.Len(t, rep.PerCase, 1)
	c := rep.PerCase[0]
	require.Equal(t, 5000, c.Blocks)
	require.Zero(t, c.Failed)
	require.Len(t, c.Errors, 3, "only what was measured has an error")
	require.InDelta(t, 100*(c.Predicted.TPOT.Mean/6-1), c.Errors["tpot_mean"], 0.01)
	require.Equal(t, 1, rep.Metrics["e2e_mean"].N)
}

func TestServingRefusesWhatItCannotReplay(t *testing.T) {
	unknown := `{"id":"a","set":"x","deployment":{"model":"Qwen/Qwen2.5-7B-Instruct","gpu":"h100-sxm"},"workload":{"kind":"closed","inflight":1,"odd":2},"measured":{}}` + "\n"
	unsupported := `{"id":"b","set":"x","deployment":{"model":"m"},"unsupported":"LoRA","workload":{"kind":"closed"},"measured":{}}` + "\n"
	rep, err := Serving(context.Background(), ServingOptions{}, replayFile(t, unknown+unsupported))
	require.NoError(t, err)
	require.Zero(t, rep.Cases)
	require.Equal(t, []SkippedCase{{"a", `workload: json: unknown field "odd"`},
		{"b", "needs what a deployment file cannot say: LoRA"}}, rep.Skipped)

	_, err = Serving(context.Background(), ServingOptions{}, replayFile(t, "{"))
	require.ErrorContains(t, err, "x.jsonl:1: ")
}

func TestScriptWarmsThenKeepsItsLoopFull(t *testing.T) {
	text := []units.Segment{{Source: 1, Len: 100}}
	w := script{name: "s", requests: make([]workload.Request, 5), inflight: 2, warmup: []workload.Request{{Prompt: 100, Output: 1, Shared: text}}}
	p := w.Play()
	at, ok := p.Next()
	require.True(t, ok)
	require.Equal(t, units.Time(0), at)
	p.Send()
	_, ok = p.Next()
	require.False(t, ok, "nothing is sent before the warm-up is answered")
	p.Done(0, 7)
	at, _ = p.Next()
	require.Equal(t, units.Time(7).Add(units.Second), at)
	p.Send()
	p.Send()
	_, ok = p.Next()
	require.False(t, ok, "two are in flight")
	p.Done(1, at+5)
	next, ok := p.Next()
	require.True(t, ok)
	require.Equal(t, at+5, next)
}

// The public runs are not ours to ship; where they lie beside the repository, all of them must replay.
func TestEveryPublicRunReplays(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/groundtruth/replay/*.jsonl")
	if len(files) == 0 {
		t.Skip("no folder ../shared/groundtruth/replay beside the repository")
	}
	rep, err := Serving(context.Background(), ServingOptions{BoundPct: 25}, files...)
	require.NoError(t, err)
	for _, s := range rep.Skipped {
		require.Contains(t, s.Why, "trust C", s.ID)
	}
	for _, c := range rep.PerCase {
		require.Empty(t, c.Failure, c.ID)
		require.Zero(t, c.Failed, c.ID)
	}
}
