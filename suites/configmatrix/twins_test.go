package configmatrix

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// weaker is each job, with 512 rows, under a setting that breaks its promise.
func weaker(c suite.Case) suite.Twin {
	twin := suite.Twin{Is: "max-model-len=64", Case: c}
	twin.On.Engine.MaxModelLen = 64 // most prompts are longer
	if c.Name == sla().Name {
		twin.Is, twin.On = "model=13b", suite.On(large, a100)
	}
	p := c.Play.(workload.Pipeline)
	p.Rows, p.Blocks = workload.BatchChat(512), units.CeilDiv(512, p.BatchSize)
	twin.Play = p
	return twin
}

// No setting computes more than the hardware can, or the model of step times would be wrong; so what is shown here is
// that a run that took a hundredth of its time is noticed.
func TestPhysicalBoundsAreNoticed(t *testing.T) {
	rs, err := suite.Spec{Cases: cases()[:1]}.Measure(t.Context())
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("not on this backend: %v", err)
	}
	require.NoError(t, err)
	require.NoError(t, physical.Check(rs[0]))
	rs[0].Summary.Duration /= 100
	require.Error(t, physical.Check(rs[0]))
}
