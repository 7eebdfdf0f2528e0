package backtest

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every decision of vLLM's own scheduler classes, recorded, must come out the same: schedule, order, hits, preemptions,
// queues, blocks, outputs, free queue.
func TestSchedulerVectors(t *testing.T) {
	for file, want := range map[string]int{
		"vllm-vectors.json.gz":        26,
		"vllm-vectors-fuzz.jsonl.gz":  193,
		"vllm-vectors-v033.jsonl.gz":  250,
		"vllm-vectors-large.jsonl.gz": 20,
	} {
		t.Run(file, func(t *testing.T) {
			rep, err := Scheduler(filepath.Join("testdata", "vectors", file))
			require.NoError(t, err)
			require.Equal(t, want, rep.Vectors)
			require.Empty(t, rep.First)
		})
	}
}
