package memory

import "github.com/testing-symbiote/symbiote/harness/units"

// A Figure is a number that no formula gives: it was fitted to start-up logs. All of them stand here, each with
// the rows it came from, so that anyone can see how few they are and leave a source out.
type Figure struct {
	Name  string
	Value float64
	Unit  string
	Rows  string // of real start-ups, by their case id
}

// The figures by name; figures() lists them with their rows.
const (
	sortSampler   = 36.9  // B an element beside the logits: PyTorch's sort-based top-k and top-p
	tritonSampler = 12.65 // B an element beside the logits: Triton top-k and top-p
	residual      = 1.5   // hidden states alive beside the sampler
	hiddenWidths  = 4.3   // hidden-size tensors alive at the peak of a layer

	nonTorchSmall  = 0.08 // GiB
	nonTorchV1     = 0.13
	nonTorchHopper = 0.25
	nonTorchV2     = 0.22
	nonTorchStage  = 0.07
	tpPCIe         = 0.15
	tpNVLink       = 0.43
	tpFused        = 1.82
	tpFusedRank    = 0.06
	tpEager        = 0.60

	graphLayer     = 0.0100 // GiB a layer and 51 graphs
	contextOutside = 0.50   // GiB: CUDA context, taken before the snapshot
	coldCompile    = 0.46   // GiB
)

// Figures lists every fitted number of this package.
func Figures() []Figure {
	return []Figure{
		{"sort-based sampler", sortSampler, "B per max_num_seqs × vocabulary", "c012 c032 c033 c069 c070 c077"},
		{"Triton sampler", tritonSampler, "B per max_num_seqs × vocabulary", "c080 c185 c188 c211 c213 c222"},
		{"hidden states beside the sampler", residual, "tensors of max_num_batched_tokens × hidden size", "c185 c188 c213"},
		{"hidden states at a layer's peak", hiddenWidths, "tensors of max_num_batched_tokens × hidden size", "c002 c016 c035 c182"},
		{"non-torch, small cards", nonTorchSmall, "GiB", "c015 c017 c032 c033 c039 c040 c043"},
		{"non-torch, V1 to 0.16", nonTorchV1, "GiB", "c066 c069 c070 c077"},
		{"non-torch, compute capability 9 from 0.17", nonTorchHopper, "GiB", "c080 c185 c211 c213 c222"},
		{"non-torch, runner V2", nonTorchV2, "GiB", "h100 q05 q7 q14 7b_awq"},
		{"non-torch, stage without the sampler", nonTorchStage, "GiB", "c192 c193"},
		{"tensor parallel over PCIe", tpPCIe, "GiB", "c003 c008 c117"},
		{"tensor parallel over NVLink to 0.16", tpNVLink, "GiB", "c086 c088"},
		{"tensor parallel with fused all-reduce from 0.17", tpFused, "GiB", "c195 c212 c219 c171"},
		{"the same, each doubling of ranks", tpFusedRank, "GiB", "c195 c171 c219 c063"},
		{"tensor parallel, eager", tpEager, "GiB", "c056 c058 c059 c060 c061"},
		{"CUDA graphs", graphLayer, "GiB per layer and 51 graphs", "c185 c186 c213 c222 c241 c244"},
		{"CUDA context outside the budget", contextOutside, "GiB", "h100 q05 q7 q14"},
		{"cold compile cache", coldCompile, "GiB", "c050 c051"},
	}
}

func gib(g float64) units.Bytes { return units.Gibibytes(g) }
