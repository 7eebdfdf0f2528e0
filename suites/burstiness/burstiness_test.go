// Package burstiness asks how much of a burst a server absorbs. Each shape is played at 40 % of the load that the server
// sustains, on a server of a sixteenth of the seats, which must miss, and at the 202 requests a second of the reports that
// this project grew from, which is overload already.
package burstiness

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

var target = slo.Target{TTFT: time.Second, TPOT: 50 * time.Millisecond}

// production is the configuration under test; small has a sixteenth of the seats.
func production() deploy.Deployment {
	d := suite.On("Qwen/Qwen2.5-0.5B-Instruct", "a100-40gb-sxm")
	d.Engine.MaxNumSeqs = 256
	return d
}

func small() deploy.Deployment {
	d := production()
	d.Engine.MaxNumSeqs = 16
	return d
}

// capacity is the largest Poisson rate at which 99 % of a minute's requests, but at least 3,000, keep the SLO.
func capacity(t testing.TB, d deploy.Deployment, start float64) slo.Capacity {
	t.Helper()
	c, err := slo.Search{Start: start, Most: 10_000}.Find(func(rate float64) (bool, error) {
		run, err := sim.Backend{}.Run(t.Context(), d, workload.BatchChat(max(int(60*rate), 3000)+1).At(workload.Poisson{Rate: rate}))
		if err != nil {
			return false, err
		}
		return slo.Judge(run, target).Share >= 0.99, nil
	})
	require.NoError(t, err)
	return c
}

func spec(t testing.TB) suite.Spec {
	c := capacity(t, production(), 100)
	base := 0.4 * c.Load
	require.Less(t, c.Load, 202.0, "the reports' rate is overload")
	s := suite.Spec{
		Asks: fmt.Sprintf("How much of a burst does one A100-40GB absorb? It sustains %.4g requests a second of batch-chat (%d runs to find); base=40%% is %.4g/s, base=202 %.0f%%: overload before the burst.",
			c.Load, c.Runs, base, 100*202/c.Load),
		SLO: target, Columns: columns(),
	}
	for _, b := range shapes() {
		within := b.bound(base, c.Load)
		s.Cases = append(s.Cases,
			suite.Case{Name: b.name + "/base=40%", On: production(), Play: b.at(base), Want: b.recovers(within)},
			suite.Case{Name: b.name + "/base=40%/seats=16", On: small(), Play: b.at(base), Want: b.tooSlow(within)},
			suite.Case{Name: b.name + "/base=202", On: production(), Play: b.at(202), Want: suite.All(suite.Completes(), suite.Misses(50))},
		)
	}
	chat := workload.BatchChat(6000)
	for _, a := range []struct {
		name    string
		arrives workload.Arrivals
		want    suite.Want
	}{
		{"arrivals=poisson", workload.Poisson{Rate: base}, suite.Meets(99)},
		{"arrivals=gamma/cv=2", workload.Gamma{Rate: base, CV: 2}, suite.Meets(99)},
		{"arrivals=gamma/cv=3.5", workload.Gamma{Rate: base, CV: 3.5}, suite.Meets(99)},
		{"arrivals=gamma/cv=8", workload.Gamma{Rate: base, CV: 8}, suite.Completes()},
		{"arrivals=onoff", workload.CodeOnOff(base), suite.Completes()},
		{"arrivals=all", workload.AllAtOnce{}, suite.All(suite.Completes(), suite.Misses(50))},
	} {
		s.Cases = append(s.Cases, suite.Case{Name: a.name, On: production(), Play: chat.At(a.arrives), Want: a.want})
	}
	return s
}

func TestBurstiness(t *testing.T) {
	s := spec(t)
	suite.Run(t, s)
	suite.Twins(t, s, twin)
}

// twin breaks a case's promise: fewer seats where it keeps the SLO, more seats or less load where it must miss it.
func twin(c suite.Case) suite.Twin {
	twin := suite.Twin{Case: c}
	seats := func(n int) { twin.Is, twin.On.Engine.MaxNumSeqs = fmt.Sprintf("seats=%d", n), n }
	switch load := c.Play.(workload.Load); {
	case strings.HasSuffix(c.Name, "/base=40%"):
		seats(16)
	case strings.HasSuffix(c.Name, "/seats=16"):
		seats(256)
	case strings.HasSuffix(c.Name, "/base=202"):
		p := load.Arrivals.(workload.Profile)
		p.Base = 10
		twin.Is, twin.Play = "base=10", load.Rows.(workload.Rows).At(p)
	case c.Name == "arrivals=all":
		twin.Is, twin.Play = "rows=20", workload.BatchChat(20).At(load.Arrivals)
	case strings.HasSuffix(c.Name, "cv=8"), c.Name == "arrivals=onoff": // they promise no more than that nothing is lost
		twin.Is, twin.On.Engine.MaxModelLen = "max-model-len=64", 64
	default:
		seats(8)
	}
	return twin
}

func BenchmarkBurstiness(b *testing.B) { suite.Bench(b, spec(b)) }
