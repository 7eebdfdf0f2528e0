package steptime

import (
	"cmp"
	"fmt"
	"math"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Timer is the engine.StepTimer of one deployment. It is immutable and cheap to copy.
type Timer struct{ *model }

var _ engine.StepTimer = Timer{}

// model is the Timer's tables, all in picoseconds.
type model struct {
	kernels kernels
	host    Host
	launch  launches

	rows      []units.Span // linear, elementwise and all-reduce by tokens, [0..fine)
	coarse    []units.Span // the same every coarseStep tokens
	sample    []units.Span // lm_head and sampling by sampled rows
	decodes   []decodes    // by their number
	attention units.Span   // the attention kernels' fixed time
	kilopairs units.Span   // 1,024 pairs of query and key of a prompt
	extraKeys int64        // keys that every prompt token sees beyond its own
	graphs    graphs
}

// decodes is what so many decodes cost the GPU in a step.
type decodes struct {
	alone  units.Span        // apart from the context, if the step has nothing else
	pieces [len(bends)]piece // of their attention
}

// piece is a line in picoseconds, which holds up to a context.
type piece struct {
	base, slope units.Span
	upTo        units.Tokens
}

const endless units.Tokens = math.MaxInt

const (
	fine       = 1025 // tokens up to which every step size has its own entry
	coarseStep = 64
)

// For returns the Timer of a deployment: the profile of its GPU and that of its host, applied to its model. No host
// means the one that the GPU was measured with.
func For(d deploy.Deployment) (Timer, error) {
	fit, err := GPUProfile(d.GPU)
	if err != nil {
		return Timer{}, fmt.Errorf("steptime: gpu %s: %w", d.GPU.ID, err)
	}
	host, err := HostProfile(cmp.Or(d.Host, fit.DefaultHost))
	if err != nil {
		return Timer{}, fmt.Errorf("steptime: host %s: %w", d.Host, err)
	}
	return New(d, fit, host)
}

// ErrorText says where the times come from and how wrong they are.
func (t Timer) ErrorText() string {
	gpu, host := t.kernels.fit, t.host
	return fmt.Sprintf("GPU %s: %s. Host %s: %s.", gpu.ID, gpu.Error, host.ID, host.Error)
}

// New returns the Timer of a deployment under the given profiles.
func New(d deploy.Deployment, fit GPU, host Host) (Timer, error) {
	if d.GPU.Bandwidth <= 0 || d.GPU.PeakBF16 <= 0 {
		return Timer{}, fmt.Errorf("steptime: gpu %s: bandwidth and peak must be known", d.GPU.ID)
	}
	if d.Model.Layers <= 0 || d.Model.HiddenSize <= 0 {
		return Timer{}, fmt.Errorf("steptime: model %s: layers and hidden_size must be known", d.Model.ID)
	}
	m := &model{kernels: kernelsOf(d, fit), host: host}
	m.launch = launchesOf(host, m.kernels.shape.layers, d.Engine.EnforceEager)
	m.tabulate(d)
	return Timer{m}, nil
}
