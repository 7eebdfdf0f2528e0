package configmatrix

import (
	"strings"
	"testing"

	"github.com/testing-symbiote/symbiote/harness/suite"
)

// TestAdvice asks what would have helped the jobs of the matrix, and one that does not start.
func TestAdvice(t *testing.T) {
	s := suite.Spec{Asks: "What brings more rows a second through a batch job, or makes a model start that is too large?"}
	for _, c := range cases() {
		if strings.HasPrefix(c.Name, "baseline") || strings.HasPrefix(c.Name, "large") {
			s.Cases = append(s.Cases, c)
		}
	}
	s.Cases = append(s.Cases, job("13b_on_rtx-4090", large, "rtx-4090", 32, 2, 500))
	suite.Advise(t, s)
}
