package storage

import (
	"strings"
	"testing"

	"github.com/testing-symbiote/symbiote/harness/suite"
)

// Each verdict can be another one: nothing fits a card that somebody else fills, and half a billion parameters fit an
// H100 in any precision.
func TestEachVerdictCanBeAnother(t *testing.T) {
	suite.Twins(t, spec(), func(c suite.Case) suite.Twin {
		precision := c.Name[strings.LastIndexByte(c.Name, '_')+1:]
		if !strings.HasSuffix(c.Want.Says, production) {
			return suite.Twin{Is: "model=0.5b/gpu=h100_80gb", Case: stored(models()[0].id, "h100-sxm", precision)}
		}
		twin := suite.Twin{Is: "held=all", Case: c}
		twin.On.MemoryHeld = c.On.GPU.Memory
		return twin
	})
}
