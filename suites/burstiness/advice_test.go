package burstiness

import (
	"strings"
	"testing"

	"github.com/testing-symbiote/symbiote/harness/suite"
)

// TestAdvice asks what would have helped the bursts that were not absorbed.
func TestAdvice(t *testing.T) {
	s := spec(t)
	picked := suite.Spec{Asks: "What helps a server that a burst overruns?", SLO: s.SLO}
	for _, c := range s.Cases {
		if strings.HasPrefix(c.Name, "burst_5x_spike/base=40%") || c.Name == "burst_oscillating/base=40%/seats=16" {
			picked.Cases = append(picked.Cases, c)
		}
	}
	suite.Advise(t, picked)
}
