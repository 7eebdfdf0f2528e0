package engine

import "github.com/testing-symbiote/symbiote/harness/units"

type blockID = int32

// noBlock ends a list. Block 0, the null block, doubles as the head of the free queue: it is never handed out.
const (
	noBlock   blockID = -1
	freeQueue blockID = 0
)

// pool is vLLM's BlockPool: the free queue in eviction order, reference counts, and the hash of each cached block.
// Free blocks keep their hash until they are handed out again, so the free queue is the cache's LRU list too.
type pool struct {
	next, prev []blockID // the free queue, a ring through freeQueue
	refs       []int32
	hash       []uint64 // 0 = not cached
	cache      hashTable
	free       units.Blocks // free + used == len(refs) - 1
	caching    bool
	toTail     bool // freed blocks without a hash go to the tail too (0.23 and older)
	unhashed   []blockID
	evicts     int // cached blocks that were handed out again
}

func newPool(n units.Blocks, caching, toTail bool) *pool {
	p := &pool{
		next: make([]blockID, n), prev: make([]blockID, n), refs: make([]int32, n),
		free: n - 1, caching: caching, toTail: toTail,
	}
	for b := range n {
		p.next[b] = blockID((b + 1) % n)
		p.prev[b] = blockID((b + n - 1) % n)
	}
	if caching {
		p.hash = make([]uint64, n)
		p.cache = newHashTable(int(n))
	}
	return p
}

func (p *pool) unlink(b blockID) {
	n, q := p.next[b], p.prev[b]
	p.next[q], p.prev[n] = n, q
	p.free--
}

// insert puts b between a and its successor.
func (p *pool) insert(a, b blockID) {
	n := p.next[a]
	p.next[a], p.prev[b], p.next[b], p.prev[n] = b, a, n, b
	p.free++
}

// take hands out the block at the head of the free queue; if it was cached it is evicted now.
func (p *pool) take() blockID {
	b := p.next[freeQueue]
	p.unlink(b)
	p.refs[b] = 1
	if p.caching && p.hash[b] != 0 {
		p.cache.remove(p.hash[b], b)
		p.hash[b] = 0
		p.evicts++
	}
	return b
}

// touch attaches a cached block to one more request.
func (p *pool) touch(b blockID) {
	if p.refs[b] == 0 {
		p.unlink(b)
	}
	p.refs[b]++
}

// register makes a full block findable under its hash.
func (p *pool) register(b blockID, hash uint64) {
	p.hash[b] = hash
	p.cache.add(hash, b)
}

// release gives back a request's blocks, tail first: cached ones to the tail of the queue, so that within a request
// the deepest is evicted first, the others to the head, where they are used again at once.
func (p *pool) release(blocks []blockID) {
	p.unhashed = p.unhashed[:0]
	for i := len(blocks) - 1; i >= 0; i-- {
		b := blocks[i]
		if p.refs[b]--; p.refs[b] > 0 {
			continue
		}
		if p.toTail || p.caching && p.hash[b] != 0 {
			p.insert(p.prev[freeQueue], b)
		} else {
			p.unhashed = append(p.unhashed, b)
		}
	}
	for i := len(p.unhashed) - 1; i >= 0; i-- {
		p.insert(freeQueue, p.unhashed[i])
	}
}

// inFreeQueue counts how many of these cached blocks no request holds.
func (p *pool) inFreeQueue(blocks []blockID) units.Blocks {
	var n units.Blocks
	for _, b := range blocks {
		if p.refs[b] == 0 {
			n++
		}
	}
	return n
}

func (p *pool) freeList() []int {
	var l []int
	for b := p.next[freeQueue]; b != freeQueue; b = p.next[b] {
		l = append(l, int(b))
	}
	return l
}
