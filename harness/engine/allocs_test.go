package engine_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/engine/enginetest"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// A server in its stride, with requests that come, share a prefix, and go, takes no memory for a step.
func TestAStepAllocatesNothing(t *testing.T) {
	shared := []units.Segment{{Source: 1, Len: 64}}
	for _, reference := range []bool{false, true} {
		for _, blocks := range []units.Blocks{4000, 150} { // enough; too few, so that requests wait and are preempted
			t.Run(fmt.Sprintf("reference=%v/blocks=%d", reference, blocks), func(t *testing.T) {
				e, err := engine.New(engine.Config{NumBlocks: blocks, BlockSize: 16, MaxModelLen: 1000, MaxNumSeqs: 32, MaxNumBatchedTokens: 512,
					EnablePrefixCaching: true, EnableChunkedPrefill: true, AsyncScheduling: true, Reference: reference}, enginetest.Linear{Base: units.Millisecond})
				require.NoError(t, err)
				id, finished, preempted := 0, 0, 0
				var now units.Time
				steps := func() {
					for range 100 {
						if next, busy := e.Next(); busy {
							now = next
						}
						for e.Gauge().Arriving+e.Gauge().Waiting.Now+e.Gauge().Running.Now < 40 {
							id++
							require.NoError(t, e.Submit(now, engine.Request{ID: engine.RequestID(id), Prompt: units.Tokens(100 + id%50), MaxTokens: units.Tokens(50 + id%80), Shared: shared}))
						}
						for _, ev := range e.Advance(now) {
							switch ev.Kind {
							case engine.Finished:
								finished++
							case engine.Preempted:
								preempted++
							}
						}
					}
				}
				for range 30 {
					steps()
				}
				require.Positive(t, finished)
				require.Equal(t, blocks < 1000, preempted > 0)
				preempted = 0
				allocs := testing.AllocsPerRun(20, steps)
				require.LessOrEqual(t, allocs, float64(preempted)/20, "a preempted request leaves its text in the prefix cache, nothing else")
			})
		}
	}
}
