package configmatrix

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// TestSweepOfBatches plays one job of 2,000 rows under each batch size and concurrency.
func TestSweepOfBatches(t *testing.T) {
	s := suite.Spec{
		Asks:    "Which batch_size and concurrency does a job of 2,000 rows want, on which GPU? 7B; max_num_seqs is their product, at most 1,024.",
		Columns: slices.DeleteFunc(columns(), func(c suite.Column) bool { return c.Name == "failed" || c.Name == "HBM" || c.Name == "preempted" }),
	}
	m := deploy.Matrix{Base: base(), Axes: []deploy.Axis{onGPUs("l40s", "h100-sxm"), numbers("batch", batchSize, 32, 128, 512), numbers("concurrency", concurrency, 1, 4, 8)}}
	for name, d := range m.All() {
		p := d.Pipeline
		d.Engine.MaxNumSeqs = min(p.BatchSize*p.Concurrency, 1024)
		s.Cases = append(s.Cases, suite.Case{Name: name, On: d, Want: suite.Completes(), Play: workload.Pipeline{Rows: workload.BatchChat(2000), Seed: seed,
			BatchSize: p.BatchSize, MaxConcurrentBatches: p.Concurrency, MaxNumSeqs: d.Engine.MaxNumSeqs}})
	}
	rs := suite.Run(t, s)
	if rs == nil {
		return // a part of it was played, or it failed
	}
	front := slo.Front(rs, rps, func(r suite.Result) float64 { return float64(r.Summary.TTFT.P99) })
	require.NotEmpty(t, front)
	require.Less(t, len(front), len(rs), "some combinations are beaten in both rate and latency")
}
