package burstiness

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// The public traces belong to others and are read from a folder beside the repository.
const traceFolder = "../../../shared/traces"

// TestRealTraces plays ten real minutes at 40 % of the largest speed-up that keeps the SLO, and at two and a half times it,
// which must miss.
func TestRealTraces(t *testing.T) {
	if _, err := os.Stat(traceFolder); err != nil {
		t.Skip("no public traces: ../shared/traces is not beside the repository")
	}
	s := suite.Spec{
		Asks: "How fast may real traffic be replayed on one A100-40GB? Ten real minutes at 40 % of the speed-up that keeps the SLO, and at 250 %. Prompts above the model's context are refused.",
		SLO:  target,
	}
	for _, c := range []struct {
		file   string
		block  int
		jitter time.Duration
	}{
		{"azure2023_conv_busy10m", 0, 0},
		{"azure2023_code_busy10m", 0, 0},
		{"mooncake_conversation_busy10m", 512, 3 * time.Second}, // its clock ticks every 3 s
	} {
		trace, err := workload.ReadTrace(filepath.Join(traceFolder, c.file+".csv.gz"), workload.TraceOptions{HashBlockTokens: c.block})
		require.NoError(t, err)
		at := func(scale float64) workload.Load {
			return trace.At(workload.Replay{RateScale: scale, Jitter: c.jitter})
		}
		found := speedUp(t, at)
		s.Cases = append(s.Cases,
			suite.Case{Name: fmt.Sprintf("%s/x=%.3g", c.file, 0.4*found.Load), On: production(), Play: at(0.4 * found.Load), Want: keeps(99)},
			suite.Case{Name: fmt.Sprintf("%s/x=%.3g", c.file, 2.5*found.Load), On: production(), Play: at(2.5 * found.Load), Want: breaks(99)},
		)
	}
	suite.Run(t, s)
	suite.Twins(t, s, other(s))
}

// speedUp is the largest replay speed at which 99 % of the requests that are served keep the SLO.
func speedUp(t *testing.T, at func(float64) workload.Load) slo.Capacity {
	t.Helper()
	c, err := slo.Search{Start: 4, Steps: 16}.Find(func(scale float64) (bool, error) {
		run, err := sim.Backend{}.Run(t.Context(), production(), at(scale))
		if err != nil {
			return false, err
		}
		return served(slo.Judge(run, target)) >= 0.99, nil
	})
	require.NoError(t, err)
	require.Positive(t, c.Load)
	return c
}

// served is the share among the requests that the model's context has room for.
func served(v slo.Verdict) float64 { return float64(v.Met) / float64(v.Requests-v.Failed) }

func keeps(percent float64) suite.Want {
	return suite.Want{Says: fmt.Sprintf("keeps the SLO for %g%% of what fits the context", percent), Check: func(r suite.Result) error {
		if got := 100 * served(r.Verdict); got < percent {
			return fmt.Errorf("%.2f%% met it", got)
		}
		return nil
	}}
}

func breaks(percent float64) suite.Want {
	in := keeps(percent)
	return suite.Want{Says: "breaks it", Check: func(r suite.Result) error {
		if in.Check(r) == nil {
			return fmt.Errorf("%.2f%% met it", 100*served(r.Verdict))
		}
		return nil
	}}
}
