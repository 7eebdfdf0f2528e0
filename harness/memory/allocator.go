package memory

import "github.com/testing-symbiote/symbiote/harness/units"

// allocator counts memory as PyTorch's caching CUDA allocator does: small requests share segments of 2 MiB, middle
// ones segments of 20 MiB, large ones have their own, rounded up to 2 MiB; a block is split only if what remains
// is worth it, else the remainder counts as used. This is why a 24.5 MiB matrix can cost 26 MiB, and why weights
// computed so agree with the printed figure to its last digit.
type allocator struct {
	splitLimit units.Bytes // blocks of this size and more are never split; 0 = no limit
	small      []units.Bytes
	large      []units.Bytes
	used       units.Bytes

	room   units.Bytes // what there is; 0 = do not ask
	failed units.Bytes // the request that did not fit, 0 = all did
	left   units.Bytes // what was free then
}

const (
	smallest     = 512
	smallRequest = units.MiB
	smallSegment = 2 * units.MiB
	midRequest   = 10 * units.MiB
	midSegment   = 20 * units.MiB
)

// take allocates n bytes and counts what they cost.
func (a *allocator) take(n units.Bytes) {
	size := max(smallest, units.CeilDiv(n, units.Bytes(smallest))*smallest)
	pool, segment := &a.small, smallSegment
	if size > smallRequest {
		pool, segment = &a.large, midSegment
		if size >= midRequest {
			segment = units.CeilDiv(size, smallSegment) * smallSegment
		}
	}
	block := a.bestFit(pool, size, segment)
	rest := block - size
	split := rest >= smallest
	if size > smallRequest {
		split = rest > smallRequest && (a.splitLimit == 0 || size < a.splitLimit)
	}
	if split {
		*pool = append(*pool, rest)
		block = size
	}
	if a.room > 0 && a.failed == 0 && a.used+block > a.room {
		a.failed, a.left = size, a.room-a.used
	}
	a.used += block
}

// bestFit removes the smallest free block that holds size from the pool, or opens a segment.
func (a *allocator) bestFit(pool *[]units.Bytes, size, segment units.Bytes) units.Bytes {
	best := -1
	for i, b := range *pool {
		if b >= size && (best < 0 || b < (*pool)[best]) {
			best = i
		}
	}
	if best < 0 {
		return segment
	}
	b := (*pool)[best]
	(*pool)[best] = (*pool)[len(*pool)-1]
	*pool = (*pool)[:len(*pool)-1]
	return b
}
