package memory

import "github.com/testing-symbiote/symbiote/harness/units"

// The figures that no formula gives: each was fitted to real start-up logs. They are few, they stand here alone, and
// each names the rows it came from, so that a source can be left out and the rest fitted again.
const (
	contextOutside = iota
	nonTorchSmall
	nonTorchHopper
	nonTorchWide
	nonTorchV2
	nonTorchV2Small
	keptV2
	tensorPCIe
	tensorNVLink
	tensorFused
	tensorDoubling
	tensorEager
	graphLayer
	graphLayerFirst
	figures
)

// Fit is a value for every figure, in the order of Figures.
type Fit [figures]float64

// Figure says what one value of a Fit is and which real start-ups it was fitted to: the ids are those of the list of
// 149 public start-up logs that backtest memory reads, and of this project's own starts on an H100.
type Figure struct {
	Name  string
	Value float64
	Unit  string
	Rows  string
	Like  string // the figure that it refines, itself if none
}

// Figures lists every fitted number of this package.
func Figures() [figures]Figure {
	all := [figures]Figure{
		contextOutside:  {"CUDA context, outside the budget", 0.37, "GiB", "c050 c095 (an H100 shows 0.52, an L4 less than 0.44)", ""},
		nonTorchSmall:   {"non-torch, compute capability below 9 or 12, and stages without the sampler", 0.08, "GiB", "c192 c193 c015 c017 c032 c033 c039 c040 c043", ""},
		nonTorchHopper:  {"non-torch, compute capability 9 or 10 to 0.16", 0.13, "GiB", "c066 c069 c070 c077", ""},
		nonTorchWide:    {"non-torch, compute capability 9 or 10 from 0.17", 0.25, "GiB", "c080 c185 c211 c213 c222", ""},
		nonTorchV2:      {"non-torch, runner V2, compute capability 9", 0.22, "GiB", "h100 q05 q7 q14 7b_awq", ""},
		nonTorchV2Small: {"non-torch, runner V2, compute capability other than 9", 0.12, "GiB", "c144 c145 c149", ""},
		keptV2:          {"small buffers and segments that are not given back, runner V2, compute capability 9, counted from 0.27 to 0.32", 0.11, "GiB", "h100 q05 q7 q14 7b_awq (free memory before and after the pass, less weights, non-torch and the sampler's counts)", ""},
		tensorPCIe:      {"tensor parallel over PCIe", 0.06, "GiB", "c003 c008 c117", ""},
		tensorNVLink:    {"tensor parallel over NVLink to 0.16", 0.43, "GiB", "c086 c088", ""},
		tensorFused:     {"tensor parallel with fused all-reduce from 0.17", 1.82, "GiB", "c195 c212 c219 c171", ""},
		tensorDoubling:  {"the same, each doubling of ranks beyond two", 0.10, "GiB", "c063 c171 c195 c198 c204 c219", ""},
		tensorEager:     {"tensor parallel, eager", 0.60, "GiB", "c056 c058 c059 c060 c061", ""},
		graphLayer:      {"CUDA graphs from 0.10", 0.0090, "GiB per layer and 51 graphs", "c050 c144 c145 c185 c195 c203 c204 c213 c219, h100 q05 q7 q7_t2048 q14", ""},
		graphLayerFirst: {"CUDA graphs to 0.9", 0.043, "GiB per layer and 51 graphs", "c095 c162", ""},
	}
	for i, like := range [figures]int{
		nonTorchHopper: nonTorchSmall, nonTorchWide: nonTorchHopper, nonTorchV2: nonTorchWide, nonTorchV2Small: nonTorchSmall,
		tensorNVLink: tensorPCIe, tensorFused: tensorNVLink, tensorDoubling: tensorPCIe, tensorEager: tensorNVLink,
		graphLayerFirst: graphLayer,
	} {
		all[i].Like = all[i].Name
		if like != 0 { // none refines the first
			all[i].Like = all[like].Name
		}
	}
	return all
}

// Fitted is the Fit that For plans with.
func Fitted() Fit {
	var f Fit
	for i, figure := range Figures() {
		f[i] = figure.Value
	}
	return f
}

func gib(g float64) units.Bytes { return units.Gibibytes(g) }
