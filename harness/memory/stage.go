package memory

import "github.com/testing-symbiote/symbiote/harness/deploy"

// A stage is one pipeline-parallel rank's share of the layers.
type stage struct {
	index, from, layers int
	first, last         bool
}

// stages splits the layers as vLLM does: evenly, and what is left over goes to the stages before the last.
func stages(d deploy.Deployment) []stage {
	n := d.Engine.PipelineParallelSize
	share := make([]int, n)
	for i := range share {
		share[i] = d.Model.Layers / n
	}
	for i := range d.Model.Layers % n {
		at := n - 2 - i
		if at < 0 {
			at = n - 1
		}
		share[at]++
	}
	out := make([]stage, n)
	from := 0
	for i, layers := range share {
		out[i] = stage{index: i, from: from, layers: layers, first: i == 0, last: i == n-1}
		from += layers
	}
	return out
}
