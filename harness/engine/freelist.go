package engine

// freeList is the free queue of pool with everything in it that cannot matter left out: a run of blocks that nobody can
// ever hit again is one entry with a count. Blocks that may be hit are entries of their own, called nodes; their order
// among each other and among the runs is that of the free queue.
type freeList struct {
	next, prev []int32  // a ring through entry 0
	count      []int32  // of a run; 0 for a node
	refs       []int32  // of a node: requests that hold it; it is in the ring while there are none
	hash       []uint64 // of a node; 0 = not (yet) in the cache
	spare      []int32
	free       int
	cache      hashTable
	toTail     bool
}

func newFreeList(blocks int, caching, toTail bool) *freeList {
	f := &freeList{next: []int32{0}, prev: []int32{0}, count: []int32{0}, refs: []int32{0}, hash: []uint64{0}, toTail: toTail}
	if caching {
		f.cache = newHashTable(blocks)
	}
	f.push(f.prev[0], blocks)
	return f
}

func (f *freeList) entry() int32 {
	if k := len(f.spare) - 1; k >= 0 {
		e := f.spare[k]
		f.spare = f.spare[:k]
		return e
	}
	f.next, f.prev = append(f.next, 0), append(f.prev, 0)
	f.count, f.refs, f.hash = append(f.count, 0), append(f.refs, 0), append(f.hash, 0)
	return int32(len(f.next) - 1)
}

func (f *freeList) unlink(e int32) {
	n, p := f.next[e], f.prev[e]
	f.next[p], f.prev[n] = n, p
}

func (f *freeList) insert(after, e int32) {
	n := f.next[after]
	f.next[after], f.prev[e], f.next[e], f.prev[n] = e, after, n, e
}

// push puts a run of n blocks behind entry after, merged with a run that is there.
func (f *freeList) push(after int32, n int) {
	if n == 0 {
		return
	}
	f.free += n
	for _, e := range [2]int32{after, f.next[after]} {
		if e != 0 && f.count[e] > 0 {
			f.count[e] += int32(n)
			return
		}
	}
	e := f.entry()
	f.count[e] = int32(n)
	f.insert(after, e)
}

// take hands out n blocks from the head; nodes among them are evicted.
func (f *freeList) take(n int) {
	f.free -= n
	for n > 0 {
		e := f.next[0]
		c := int(f.count[e])
		if c > n {
			f.count[e] -= int32(n)
			return
		}
		f.unlink(e)
		if c == 0 {
			c = 1
			f.cache.remove(f.hash[e], e)
			f.hash[e] = 0
		}
		f.count[e] = 0
		f.spare = append(f.spare, e)
		n -= c
	}
}

// node returns a node for a block that was just taken.
func (f *freeList) node() int32 {
	e := f.entry()
	f.count[e], f.refs[e], f.hash[e] = 0, 1, 0
	return e
}

func (f *freeList) touch(e int32) {
	if f.refs[e] == 0 {
		f.unlink(e)
		f.free--
	}
	f.refs[e]++
}

func (f *freeList) register(e int32, hash uint64) {
	f.hash[e] = hash
	f.cache.add(hash, e)
}

// release gives back a request's blocks: its nodes, and behind them hashed and then unhashed blocks that nobody can hit.
func (f *freeList) release(nodes []int32, hashed, unhashed int) {
	if f.toTail {
		hashed, unhashed = hashed+unhashed, 0
	}
	f.push(f.prev[0], hashed)
	for i := len(nodes) - 1; i >= 0; i-- {
		e := nodes[i]
		if f.refs[e]--; f.refs[e] > 0 {
			continue
		}
		if f.hash[e] == 0 {
			f.spare = append(f.spare, e)
			if f.toTail {
				f.push(f.prev[0], 1)
			} else {
				unhashed++
			}
			continue
		}
		f.insert(f.prev[0], e)
		f.free++
	}
	f.push(0, unhashed)
}

// inFreeList counts the nodes that no request holds.
func (f *freeList) inFreeList(nodes []int32) int {
	n := 0
	for _, e := range nodes {
		if f.refs[e] == 0 {
			n++
		}
	}
	return n
}
