package memory

import (
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// A layout is how one GPU's KV cache is divided. Layers that look at everything and layers with a window are put
// into groups of equal size that share one pool of blocks; a block holds BlockSize tokens of one group.
type layout struct {
	block        units.Bytes // one block: all layers of one group
	fullGroups   int
	windowGroups int
	window       int // tokens that a windowed layer keeps
	size         int // tokens a block
}

// layoutOf divides the layers of a stage. The smaller kind sets the group size, unless the larger one is only a
// little larger, and groups are padded with empty layers.
func layoutOf(d deploy.Deployment, s stage) layout {
	e := d.Engine
	l := layout{size: e.BlockSize}
	layers := s.layers
	windowed := 0
	if w := d.Model.SlidingWindow; w != nil && d.Runner != "V0" {
		windowed = w.Layers * layers / d.Model.Layers
		l.window = int(w.Window)
	}
	full := layers - windowed
	group := max(full, windowed)
	if low := min(full, windowed); low > 0 && float64(group) >= 1.25*float64(low) {
		group = low
	}
	l.fullGroups = units.CeilDiv(full, group)
	l.windowGroups = units.CeilDiv(windowed, group)
	l.block = units.Bytes(group) * pageBytes(d)
	return l
}

// pageBytes is one block of one layer on one GPU: keys and values of its heads, or one latent vector a token.
func pageBytes(d deploy.Deployment) units.Bytes {
	m, e := d.Model, d.Engine
	size := width(e.DType)
	switch e.KVCacheDType {
	case "fp8", "fp8_e4m3", "fp8_e5m2":
		size = 1
	case "bfloat16", "float16":
		size = 2
	}
	if m.MLA != nil {
		return units.Bytes(e.BlockSize*(m.MLA.KVLoRARank+m.MLA.RopeHeadDim)) * size
	}
	return units.Bytes(2*e.BlockSize*max(1, m.KVHeads/e.TensorParallelSize)*m.HeadDim) * size
}

// groups is how many blocks a stretch of BlockSize tokens takes while no window cuts it.
func (l layout) groups() int { return l.fullGroups + l.windowGroups }

// blocksFor is what one request of n tokens needs at most; budget is how many tokens a step may add.
func (l layout) blocksFor(n, budget int) int {
	blocks := l.fullGroups * units.CeilDiv(n, l.size)
	if l.windowGroups > 0 {
		kept := min(l.window-1+budget, n)
		blocks += l.windowGroups * (units.CeilDiv(kept, l.size) + 1)
	}
	return blocks
}

// longest is the longest request that fits in the given memory, at most limit.
func (l layout) longest(room units.Bytes, budget, limit int) int {
	low, high := 0, limit // low fits, high+1 does not
	for low < high {
		mid := (low + high + 1) / 2
		if units.Bytes(l.blocksFor(mid, budget))*l.block <= room {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low
}
