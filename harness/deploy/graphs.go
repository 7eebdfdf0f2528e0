package deploy

import "slices"

// CaptureSizes lists the batch sizes, in tokens, for which a resolved deployment captures CUDA graphs; none with
// enforce_eager. A step runs the smallest that holds it, a larger step runs without a graph.
func CaptureSizes(d Deployment) []int {
	e := d.Engine
	if e.EnforceEager {
		return nil
	}
	v := d.Version()
	limit := 512
	if v.AtLeast(28, 0) && len(d.GPU.Capability) == 4 && d.GPU.Capability[:2] == "10" {
		limit = 1024
	}
	longest := min(2*e.MaxNumSeqs, limit)
	coarse := 256 // from here on every sixteenth, before 0.12 every eighth throughout
	if !v.AtLeast(12, 0) {
		coarse = limit + 1
	}
	sizes := grid(min(longest, e.MaxNumBatchedTokens), coarse, e.PerformanceMode == "interactivity")
	if e.MaxNumBatchedTokens <= longest {
		sizes = append(sizes, e.MaxNumBatchedTokens)
	}
	if v.AtLeast(31, 0) && e.MaxNumSeqs <= longest && e.MaxNumSeqs <= e.MaxNumBatchedTokens {
		sizes = append(sizes, e.MaxNumSeqs)
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// grid is 1, 2, 4, then every eighth, from coarse on every sixteenth.
func grid(longest, coarse int, everyone bool) []int {
	var sizes []int
	for n := 1; n <= longest; n++ {
		switch {
		case everyone && n <= 32,
			n == 1 || n == 2 || n == 4,
			n >= 8 && n < coarse && n%8 == 0,
			n >= coarse && n%16 == 0:
			sizes = append(sizes, n)
		}
	}
	return sizes
}

// Padded is the captured size that a step of n tokens runs as; false where it runs without a graph.
func Padded(sizes []int, n int) (int, bool) {
	i, _ := slices.BinarySearch(sizes, n)
	if i == len(sizes) {
		return 0, false
	}
	return sizes[i], true
}

// DecodeGraphs is the largest number of requests whose decode step runs as one full graph: with full graphs a
// captured size serves at most max_num_seqs requests.
func DecodeGraphs(d Deployment) int {
	largest := 0
	for _, n := range CaptureSizes(d) {
		if n <= d.Engine.MaxNumSeqs {
			largest = n
		}
	}
	return largest
}
