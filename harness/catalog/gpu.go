package catalog

import (
	"regexp"

	"github.com/testing-symbiote/symbiote/harness/units"
)

var capability = regexp.MustCompile(`^[0-9]+\.[0-9]$`)

// DecodeGPU reads one accelerator. Every field is checked, an unknown one is refused.
func DecodeGPU(name string, data []byte) (GPU, error) {
	f, v, err := parse(name, data)
	if err != nil {
		return GPU{}, err
	}
	f.only(v, "id", "aliases", "source", "name", "memory_gib", "memory_bytes", "nvidia_smi_mib", "capability", "bandwidth_gb_s", "sms",
		"peak_bf16_tflops", "peak_fp8_tflops", "peak_int8_tops", "l2_mib", "interconnect_gb_s", "nvlink")
	if f.err != nil {
		return GPU{}, f.err
	}
	g := GPU{
		ID:           f.text(v, "id", ""),
		Aliases:      f.texts(v, "aliases"),
		Source:       f.text(v, "source", ""),
		Name:         f.text(v, "name", ""),
		Memory:       units.Bytes(f.whole(v, "memory_bytes", 0, 0)),
		Board:        units.Bytes(f.whole(v, "nvidia_smi_mib", 0, 0)) * units.MiB,
		Capability:   f.text(v, "capability", ""),
		Bandwidth:    f.number(v, "bandwidth_gb_s", 0) * 1e9,
		SMs:          f.whole(v, "sms", 0, 0),
		PeakBF16:     f.number(v, "peak_bf16_tflops", 0) * 1e12,
		PeakFP8:      f.number(v, "peak_fp8_tflops", 0) * 1e12,
		PeakINT8:     f.number(v, "peak_int8_tops", 0) * 1e12,
		L2:           units.Bytes(f.number(v, "l2_mib", 0) * float64(units.MiB)),
		Interconnect: f.number(v, "interconnect_gb_s", 0) * 1e9,
		NVLink:       f.truth(v, "nvlink", false),
	}
	if g.Memory == 0 {
		g.Memory = units.Gibibytes(f.number(v, "memory_gib", 0))
	}
	for _, field := range []struct {
		key    string
		absent bool
	}{{"id", g.ID == ""}, {"source", g.Source == ""}, {"name", g.Name == ""}, {"memory_gib", g.Memory == 0}} {
		if field.absent {
			f.fault(v.at, "%s is missing", field.key)
		}
	}
	if !capability.MatchString(g.Capability) {
		f.fault(v.at, "capability = %q, want the compute capability, such as \"9.0\"", g.Capability)
	}
	return g, f.err
}
