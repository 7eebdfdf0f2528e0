package backtest

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/engine/enginetest"
	"github.com/testing-symbiote/symbiote/harness/units"
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

// The recorded loads, sent to the engine as decodes held in aggregate and as decodes looked at one by one, give the same
// events.
func TestAggregateAgreesOnTheVectors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "*.gz"))
	require.NoError(t, err)
	step := enginetest.Linear{Base: 10 * units.Millisecond, PerToken: 3 * units.Microsecond, PerContext: 7 * units.Nanosecond, Bend: 900, Schedule: 500 * units.Microsecond, Update: 200 * units.Microsecond}
	compared := 0
	for _, file := range files {
		scenarios, err := readScenarios(file)
		require.NoError(t, err)
		for _, sc := range scenarios {
			cfg := sc.config()
			sc.ids()
			var runs [2][]engine.Event
			for i, reference := range []bool{true, false} {
				cfg.Reference = reference
				e, err := engine.New(cfg, step)
				require.NoError(t, err)
				for _, q := range sc.order {
					at := units.Time(10*units.Millisecond) * units.Time(q.step-1)
					runs[i] = slices.AppendSeq(runs[i], engine.OneByOne(e.Advance(at)))
					require.NoError(t, e.Submit(at, q.Request))
				}
				for at, ok := e.Next(); ok; at, ok = e.Next() {
					runs[i] = slices.AppendSeq(runs[i], engine.OneByOne(e.Advance(at.Add(units.Second))))
				}
			}
			require.Equal(t, runs[0], runs[1], sc.Name)
			compared += len(runs[0])
		}
	}
	require.Greater(t, compared, 100_000, "events")
}
