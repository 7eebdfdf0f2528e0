package kvcache

import (
	"slices"
	"strings"
	"testing"

	"github.com/testing-symbiote/symbiote/harness/suite"
)

// TestAdvice asks what would have helped the caches that broke a limit.
func TestAdvice(t *testing.T) {
	s := suite.Spec{Asks: "What brings more requests a second through a cache that is under stress?"}
	s.Cases = slices.DeleteFunc(spec().Cases, func(c suite.Case) bool { return !strings.Contains(c.Want.Says, "breaks") })
	for i := range s.Cases {
		s.Cases[i].On.Engine.NumGPUBlocksOverride = 0 // memory decides, so that a change of it counts
	}
	suite.Advise(t, s)
}
