package calibrate

import (
	"fmt"
	"math"

	"github.com/testing-symbiote/symbiote/harness/steptime"
)

// Live is what a fit to the engine steps of somebody's own runs found.
type Live struct {
	GPU  steptime.GPU  `json:"gpu"`
	Host steptime.Host `json:"host"`

	FittedOn []string `json:"fitted_on"`
	HeldOut  []string `json:"held_out"`
	// Mean absolute errors on the runs held out, percent; steps that the GPU bounded, and turns that the host did.
	GPUSteps   int     `json:"held_out_gpu_steps"`
	GPUError   float64 `json:"held_out_gpu_pct"`
	HostTurns  int     `json:"held_out_host_turns"`
	HostError  float64 `json:"held_out_host_pct"`
	BeforeGPU  float64 `json:"shipped_gpu_pct"` // the same with the profiles that the fit began with
	BeforeHost float64 `json:"shipped_host_pct"`
}

// liveFree are the figures that one machine's steps can tell apart.
var liveFree = [...]string{"gpu.elementwise.fixed_us", "gpu.sustained", "gpu.attention.item_us", "gpu.sampling.fixed_us"}

var liveHostFree = [...]string{"host.schedule_per_step_us", "host.schedule_per_request_us", "host.launch_piecewise_per_layer_us", "host.launch_compiled_per_layer_us"}

// Steps fits a GPU and a host to runs, beginning with p. Every third run is held out: the steps of one run resemble
// each other, so an error on them would say nothing of the next run.
func Steps(runs []Run, p Profiles) (Live, error) {
	if len(runs) < 3 {
		return Live{}, fmt.Errorf("calibrate: %d runs with engine steps, want at least 3: one of three is held out", len(runs))
	}
	var out Live
	for i := range runs {
		name := runs[i].Tag + "/" + runs[i].Name
		if runs[i].Role = "calibration"; i%3 == 2 {
			runs[i].Role = "validation"
			out.HeldOut = append(out.HeldOut, name)
		} else {
			out.FittedOn = append(out.FittedOn, name)
		}
	}
	shipped, err := p.clone()
	if err != nil {
		return out, err
	}
	if _, _, err := fit(&p, liveFree[:], stepLoss(&p, runs, Fit{})); err != nil {
		return out, err
	}
	if _, _, err := fit(&p, liveHostFree[:], hostLoss(&p, runs, Fit{})); err != nil {
		return out, err
	}
	out.GPUSteps, out.GPUError = gpuError(runs, p.GPU)
	out.HostTurns, out.HostError = hostError(runs, p.Host)
	_, out.BeforeGPU = gpuError(runs, shipped.GPU)
	_, out.BeforeHost = hostError(runs, shipped.Host)
	said := fmt.Sprintf("held out by run: GPU steps %.1f %%, host turns %.1f %% (mean absolute)", out.GPUError, out.HostError)
	on := fmt.Sprintf("engine steps of %d runs, %d held out", len(out.FittedOn), len(out.HeldOut))
	p.GPU.Error, p.GPU.FittedOn, p.Host.Error, p.Host.FittedOn = said, on, said, on
	out.GPU, out.Host = p.GPU, p.Host
	if err := p.GPU.Validate(); err != nil {
		return out, err
	}
	return out, p.Host.Validate()
}

func gpuError(runs []Run, g steptime.GPU) (n int, pct float64) {
	obs := gpuBound(runs, "validation")
	for i := range obs {
		b := &obs[i]
		pct += math.Abs(steptime.GPUTime(runs[b.run].Deployment, g, &b.work).Milliseconds()/b.ms - 1)
	}
	return len(obs), round(100*pct/float64(max(1, len(obs))), 2)
}

func hostError(runs []Run, h steptime.Host) (n int, pct float64) {
	obs := hostTurns(runs, "validation")
	for i := range obs {
		pct += math.Abs(hostTime(runs, h, &obs[i])/obs[i].ms - 1)
	}
	return len(obs), round(100*pct/float64(max(1, len(obs))), 2)
}
