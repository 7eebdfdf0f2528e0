//go:build !gpu && !ray

package suite

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// A run that no hardware could have done is refused, whatever its profile says.
func TestImpossibleRunsAreRefused(t *testing.T) {
	b, err := serving()
	require.NoError(t, err)
	c := Case{Name: "chat", On: On("Qwen/Qwen2.5-7B-Instruct", "h100-sxm"), Play: workload.BatchChat(50).At(workload.Poisson{Rate: 10})}
	r, err := c.measure(t.Context(), b, slo.Target{})
	require.NoError(t, err)
	require.NoError(t, r.physical())
	for _, lie := range []struct {
		says string
		tell func(*record.Run)
	}{
		{"MFU above 1", func(r *record.Run) { r.Engine.BusyTime /= 1000 }},
		{"bandwidth above the peak", func(r *record.Run) { r.Engine.BusyTime /= 4 }},
		{"of a busy GPU in", func(r *record.Run) { r.Engine.BusyTime *= 10 }},
		{"output tokens in 1 steps", func(r *record.Run) { r.Engine.Steps = 1 }},
		{"Little's law", func(r *record.Run) { r.Engine.RunningMean *= 3 }},
		{"request 7: TTFT", func(r *record.Run) { r.Requests[7].First = r.Requests[7].Sent.Add(units.Millisecond) }},
		{"request 7: its last token comes before", func(r *record.Run) { r.Requests[7].Last = r.Requests[7].First - 1 }},
	} {
		run := *r.Run
		run.Requests = slices.Clone(run.Requests)
		lie.tell(&run)
		told := r
		told.Run = &run
		require.ErrorContains(t, told.physical(), lie.says)
	}
}
