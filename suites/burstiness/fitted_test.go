package burstiness

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures/traces"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// TestFittedShapes needs no trace: lengths and rates are those of fixtures/traces, an hour in three minutes and a day in
// four. The mean is 40 % of the steady rate that the same lengths sustain; the twin is at 120 %.
func TestFittedShapes(t *testing.T) {
	s := suite.Spec{
		Asks: "Does traffic in the shape of real services keep the SLO at a mean of 40 % of what one A100-40GB sustains of it? At 120 % it must not.",
		SLO:  target, Columns: columns()[:8],
	}
	for _, c := range []struct {
		lengths, shape string
		compressed     float64
		at40           suite.Want
	}{
		{"azure2023_conv", "azure2023_conv", 20, suite.Meets(99)},
		{"azure2023_code", "azure2023_code", 20, suite.Misses(99)}, // its busiest minute has four times the mean: 40 % is too much
		{"azure2023_conv", "diurnal_conv", 360, suite.Meets(99)},
		{"azure2023_code", "diurnal_code", 360, suite.Meets(99)},
		{"ragpulse_week", "diurnal_conv", 360, suite.Meets(99)},
	} {
		rows := traces.Of(c.lengths)
		found, err := slo.Search{Start: 32, Most: 4096, Steps: 16}.Find(func(rate float64) (bool, error) {
			run, err := sim.Backend{}.Run(t.Context(), production(), rows.Rows(int(30*rate)+1).At(workload.Poisson{Rate: rate}))
			if err != nil {
				return false, err
			}
			return slo.Judge(run, target).Share >= 0.99, nil
		})
		require.NoError(t, err)
		require.Positive(t, found.Load)
		for _, at := range []struct {
			share float64
			want  suite.Want
		}{{0.4, suite.All(suite.Completes(), c.at40)}, {1.2, suite.All(suite.Completes(), suite.Misses(90))}} {
			s.Cases = append(s.Cases, suite.Case{
				Name: fmt.Sprintf("lengths=%s/shape=%s/mean=%.0f%%", c.lengths, c.shape, 100*at.share),
				On:   production(), Play: rows.Rows(0).At(traces.Of(c.shape).Compressed(at.share*found.Load, c.compressed)), Want: at.want,
			})
		}
	}
	suite.Run(t, s)
	suite.Twins(t, s, other(s))
}

// other is the same traffic at the other of two rates, of which one keeps the SLO and one must not. Where both miss it,
// the twin is a tenth of it.
func other(s suite.Spec) func(suite.Case) suite.Twin {
	return func(c suite.Case) suite.Twin {
		i := slices.IndexFunc(s.Cases, func(x suite.Case) bool { return x.Name == c.Name })
		o := s.Cases[i^1]
		if strings.Contains(c.Want.Says, "misses") && strings.Contains(o.Want.Says, "misses") {
			load := c.Play.(workload.Load)
			p := load.Arrivals.(workload.Profile)
			p.Base /= 10
			return suite.Twin{Is: "a-tenth", Case: suite.Case{On: c.On, Play: load.Rows.(workload.Rows).At(p)}}
		}
		return suite.Twin{Is: o.Name, Case: o}
	}
}
