package oom

import (
	"strings"
	"testing"

	"github.com/testing-symbiote/symbiote/harness/suite"
)

// Each verdict can be another one: on a cache of 1,000 blocks what was safe exceeds it, and an eighth of the sequences
// does not exceed it any more.
func TestEachVerdictCanBeAnother(t *testing.T) {
	suite.Twins(t, spec(), func(c suite.Case) suite.Twin {
		if strings.Contains(c.Want.Says, "exceeds") {
			return suite.Twin{Is: "sequences=64", Case: batch("", c.On.Model.ID, c.On.GPU.ID, 64, 682, "")}
		}
		twin := suite.Twin{Is: "blocks=1000", Case: c}
		twin.On.Engine.NumGPUBlocksOverride = 1000
		return twin
	})
	suite.Twins(t, refusals(), func(c suite.Case) suite.Twin {
		if strings.HasPrefix(c.Name, "cause=none") {
			twin := suite.Twin{Is: "max-model-len=131072", Case: c}
			twin.On.Engine.MaxModelLen = 131072
			return twin
		}
		return suite.Twin{Is: "model=0.5b/gpu=h100-sxm", Case: suite.Case{On: suite.On(small, "h100-sxm")}}
	})
}
