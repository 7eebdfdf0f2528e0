package burstiness

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// A scenario is a shape that was measured or published, with its evidence: testdata/scenarios.json.
type scenario struct {
	Name           string       `json:"name"`
	CV             float64      `json:"cv"` // of the gaps
	Profile        [][2]float64 `json:"profile"`
	Hours          []float64    `json:"hours"` // of a day, multiples of the mean
	SecondsPerHour float64      `json:"seconds_per_hour"`
	Sine           struct {
		Amplitude float64 `json:"amplitude"`
		Period    float64 `json:"period_s"`
	} `json:"sine"`
	Evidence string `json:"evidence"`
}

func (s scenario) at(base float64) workload.Load {
	p := workload.Profile{Base: base}
	switch {
	case s.Hours != nil:
		var steps []workload.Point
		for _, x := range s.Hours {
			steps = append(steps, workload.Point{T: s.SecondsPerHour, X: x})
		}
		p = workload.Steps(base, steps...)
	case s.Profile != nil:
		for _, q := range s.Profile {
			p.Points = append(p.Points, workload.Point{T: q[0], X: q[1]})
		}
	default:
		p = workload.Sine(base, 1-s.Sine.Amplitude, 1+s.Sine.Amplitude, time.Duration(s.Sine.Period*float64(time.Second)), 5)
	}
	p.Name, p.CV = s.Name, s.CV
	return workload.BatchChat(0).At(p)
}

// TestMeasuredShapes plays each at 40 % of what a small server sustains. What asks for half as much again as the capacity
// has to miss, and so has a tenant whose gaps have a heavy tail, although its rate never changes. The twin has three times
// the load, or a tenth.
func TestMeasuredShapes(t *testing.T) {
	content, err := os.ReadFile("testdata/scenarios.json")
	require.NoError(t, err)
	var all []scenario
	require.NoError(t, json.Unmarshal(content, &all))
	d := suite.On("Qwen/Qwen2.5-7B-Instruct", "rtx-3090")
	d.Engine.MaxNumSeqs, d.Engine.MaxModelLen = 256, 8192
	c := capacity(t, d, 8)
	base := 0.4 * c.Load
	s := suite.Spec{
		Asks: fmt.Sprintf("Which shapes that were seen in real services does one RTX 3090 with a 7B model absorb, at 40 %% of the %.4g requests a second that it sustains?", c.Load),
		SLO:  target, Columns: columns()[:9],
	}
	for _, x := range all {
		require.NotEmpty(t, x.Evidence)
		play := x.at(base)
		want := suite.Meets(99)
		for _, p := range play.Arrivals.(workload.Profile).Points {
			if p.X*base > 1.5*c.Load || x.CV > 2 {
				want = suite.Misses(99)
			}
		}
		s.Cases = append(s.Cases, suite.Case{Name: "shape=" + x.Name, On: d, Play: play, Want: suite.All(suite.Completes(), want)})
	}
	suite.Run(t, s)
	suite.Twins(t, s, func(c suite.Case) suite.Twin {
		p := c.Play.(workload.Load).Arrivals.(workload.Profile)
		twin := suite.Twin{Is: "rate=3x", Case: c}
		p.Base *= 3
		if strings.Contains(c.Want.Says, "misses") {
			twin.Is = "rate=1/10"
			p.Base /= 30
		}
		twin.Play = workload.BatchChat(0).At(p)
		return twin
	})
}
