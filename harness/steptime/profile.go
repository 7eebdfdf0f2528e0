package steptime

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/testing-symbiote/symbiote/fixtures/calibration"
	"github.com/testing-symbiote/symbiote/harness/catalog"
)

// Origin says where the figures of a profile come from and how far they can be trusted.
type Origin struct {
	Source   string `json:"source"`
	Date     string `json:"date"`
	FittedOn string `json:"fitted_on"`
	Derived  string `json:"derived,omitempty"` // the sibling that lent its figures, where there are no own ones
	Error    string `json:"error"`
}

// Curve is a piecewise linear function of the logarithm of x, constant beyond its ends.
type Curve [][2]float64

// At returns the curve's value at x.
func (c Curve) At(x float64) float64 {
	for i, p := range c {
		if x > p[0] {
			continue
		}
		if i == 0 {
			return p[1]
		}
		q := c[i-1]
		share := (math.Log2(x) - math.Log2(q[0])) / (math.Log2(p[0]) - math.Log2(q[0]))
		return q[1] + float64(share*(p[1]-q[1]))
	}
	return c[len(c)-1][1]
}

// GEMM is what a family of matrix kernels reaches: a fixed time and a share of the roofline by rows.
type GEMM struct {
	FixedUS    float64 `json:"fixed_us"`
	Efficiency Curve   `json:"efficiency"` // [rows, share of the roofline]
}

// Attention is what the attention kernels reach in one layer.
type Attention struct {
	FixedUS float64 `json:"fixed_us"`
	// Decoding costs ItemUS for each sequence and KV head, and the reading of the cache at a share of the bandwidth;
	// the two overlap as a norm of order Overlap (1 = they add, large = the longer one hides the other).
	ItemUS    float64 `json:"item_us"`
	Bandwidth float64 `json:"bandwidth"`
	Overlap   float64 `json:"overlap"`
	// A prompt's queries reach a share of the peak, as if each saw ExtraKeys more keys than it does.
	Peak      float64 `json:"prefill_peak"`
	ExtraKeys float64 `json:"prefill_extra_keys"`
}

// Stream is a kernel that moves bytes: a fixed time and a share of the bandwidth.
type Stream struct {
	FixedUS   float64 `json:"fixed_us"`
	Bandwidth float64 `json:"bandwidth"`
}

// AllReduce is what one reduction over the GPUs of a node costs, by their number.
type AllReduce struct {
	GPUs int `json:"gpus"`
	Stream
	SkewUS float64 `json:"skew_us"` // what a reduction in a model waits for the slowest GPU
}

// GPU says what one GPU reaches of its datasheet. Shares are of the datasheet's bandwidth and dense peak.
type GPU struct {
	ID string `json:"gpu"`
	Origin
	DefaultHost string      `json:"default_host"` // the host profile of the machines that this GPU was measured in
	BF16        GEMM        `json:"gemm_bf16"`
	FP8         GEMM        `json:"gemm_fp8"`
	INT8        GEMM        `json:"gemm_int8"`
	INT4        GEMM        `json:"gemm_int4"`
	Attention   Attention   `json:"attention"`
	Elementwise Stream      `json:"elementwise"`
	Sampling    Stream      `json:"sampling"`
	AllReduce   []AllReduce `json:"all_reduce"`
	Sustained   float64     `json:"sustained"` // share of the kernels' arithmetic speed that whole steps keep (clocks under load)
}

// Host says what the CPU side costs, in microseconds.
type Host struct {
	ID string `json:"host"`
	Origin
	VLLM string `json:"vllm"` // the version it was measured with

	// The engine core before a launch and after a result.
	SchedulePerStep    float64 `json:"schedule_per_step_us"`
	SchedulePerRequest float64 `json:"schedule_per_request_us"`
	SchedulePerPrefill float64 `json:"schedule_per_prefill_us"`
	SchedulePerToken   float64 `json:"schedule_per_prompt_token_us,omitempty"` // of a prompt, cached or not: its blocks are looked up and listed
	UpdatePerStep      float64 `json:"update_per_step_us"`
	UpdatePerToken     float64 `json:"update_per_token_us"`
	UpdatePerFinished  float64 `json:"update_per_finished_us"`

	// Kernel launches: one graph, one graph a layer piece, or kernel by kernel.
	LaunchFull             float64 `json:"launch_full_per_layer_us"`
	LaunchPiecewisePerStep float64 `json:"launch_piecewise_per_step_us"`
	LaunchPiecewise        float64 `json:"launch_piecewise_per_layer_us"`
	LaunchCompiled         float64 `json:"launch_compiled_per_layer_us"`
	LaunchEager            float64 `json:"launch_eager_per_layer_us"`

	// The front end (API process) and the client's connection.
	DeliverPerStep     float64 `json:"deliver_per_step_us"`
	DeliverPerToken    float64 `json:"deliver_per_token_us"`
	DeliverPerFinished float64 `json:"deliver_per_finished_us"`
	WritePerToken      float64 `json:"write_per_token_us,omitempty"` // a chunk to one client; tokens that the front end is behind with share one
	IntakePerRequest   float64 `json:"intake_per_request_us"`
	IntakePerToken     float64 `json:"intake_per_token_us"`
	IntakeAwaits       int     `json:"intake_awaits,omitempty"` // of a request on its way in; each waits for a pass over the streams while the front end is behind

	// Connection passes between client and front end without keeping either busy: network, HTTP, event loops.
	Connection float64 `json:"connection_us"`
}

// GPUProfile returns the profile of one GPU; that of a GPU that nobody heard of is derived on the spot.
func GPUProfile(g catalog.GPU) (GPU, error) {
	id, known := g.ID, slices.Contains(calibration.GPUs(), g.ID)
	if !known {
		id = Sibling(g)
	}
	data, err := calibration.GPU(id)
	if err != nil {
		return GPU{}, err
	}
	var p GPU
	if err := decode(data, "gpus/"+id+".json", &p); err != nil {
		return GPU{}, err
	}
	if !known {
		p = p.Derive(g)
	}
	return p, p.Validate()
}

// Derive returns the profile of a GPU without measurements of its own: what p reaches, as shares of g's datasheet.
func (p GPU) Derive(g catalog.GPU) GPU {
	p.Error = "not measured: the datasheet with what the " + p.ID + " reaches of its own; expect up to 25 % (there: " + p.Error + ")"
	p.Source = "datasheet of the " + g.Name + "; shares of it from the " + p.ID
	p.ID, p.Derived, p.FittedOn = g.ID, p.ID, "nothing of its own"
	return p
}

// Sibling is the measured GPU whose kernels are most like those of g: the same architecture, else the same kind of
// memory.
func Sibling(g catalog.GPU) string {
	switch {
	case strings.HasPrefix(g.Capability, "9"), strings.HasPrefix(g.Capability, "10"):
		return "h100-sxm"
	case strings.HasPrefix(g.Capability, "12"):
		return "rtx-pro-6000"
	case g.Capability == "8.9":
		return "l40s"
	case g.Capability == "8.0", g.Bandwidth > 1.2e12:
		return "a100-80gb-sxm"
	}
	return "a10g"
}

// HostProfile returns the profile of one host.
func HostProfile(id string) (Host, error) {
	data, err := calibration.Host(id)
	if err != nil {
		return Host{}, err
	}
	var h Host
	if err := decode(data, "hosts/"+id+".json", &h); err != nil {
		return Host{}, err
	}
	return h, h.Validate()
}

func decode(data []byte, name string, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("calibration: %s: %w", name, err)
	}
	return nil
}
