package engine

import "github.com/testing-symbiote/symbiote/harness/units"

// freeList is the free queue and the prefix cache of pool, held in stretches of blocks that fare alike. Blocks that nobody
// can ever hit again are a number. Blocks that may be hit are extents: so many blocks of one sequence, one behind the
// other, held by the same requests or by none. An extent is cut where a request hits only its beginning; in the queue its
// deepest block goes first, so that eviction shortens it.
//
// What is cached has all before it cached too: deeper blocks are registered later and evicted earlier. So only an
// extent's first block needs a place in the table. A block whose copy is cached already is an extent of its own: then one
// copy's blocks are found where the other's are gone.
type freeList struct {
	list   []extent
	spare  []int32
	free   int // blocks
	table  hashTable
	block  units.Tokens
	toTail bool
	evicts int // cached blocks that were handed out again
}

// extent is an entry of the free queue, a ring through entry 0, or, while requests hold it, of none.
type extent struct {
	stretch
	text []run // that hold its tokens, if it has a key
}

// stretch is blocks side by side.
type stretch struct {
	next, prev int32
	blocks     int32
	start      int32  // blocks of the sequence before it
	refs       int32  // requests that hold it
	above      int32  // what was cut off in front of it: held by all who held it then
	key        uint64 // of the sequence up to the end of the first block; 0 = blocks that nobody can hit
	hashed     bool   // they are in vLLM's cache all the same; with a key they are anyway
}

func (x *stretch) end() int { return int(x.start + x.blocks) }

func newFreeList(blocks int, cfg Config) *freeList {
	f := &freeList{list: make([]extent, 1), toTail: cfg.Rules == V023, block: cfg.BlockSize}
	if cfg.EnablePrefixCaching {
		f.table = newHashTable(blocks)
	}
	f.push(0, blocks, false)
	return f
}

func (f *freeList) entry(x stretch, text []run) int32 {
	if k := len(f.spare) - 1; k >= 0 {
		e := f.spare[k]
		f.spare = f.spare[:k]
		if f.list[e].stretch = x; text != nil {
			f.list[e].text = text
		}
		return e
	}
	f.list = append(f.list, extent{x, text})
	return int32(len(f.list) - 1)
}

func (f *freeList) unlink(e int32) {
	n, p := f.list[e].next, f.list[e].prev
	f.list[p].next, f.list[n].prev = n, p
}

func (f *freeList) insert(after, e int32) {
	n := f.list[after].next
	f.list[e].next, f.list[e].prev = n, after
	f.list[after].next, f.list[n].prev = e, e
}

func (f *freeList) tail() int32 { return f.list[0].prev }

// push puts n blocks that nobody can hit behind entry after, together with others of their kind that are there.
func (f *freeList) push(after int32, n int, hashed bool) {
	if n == 0 {
		return
	}
	f.free += n
	for _, e := range [2]int32{after, f.list[after].next} {
		if x := &f.list[e]; e != 0 && x.key == 0 && x.hashed == hashed {
			x.blocks += int32(n)
			return
		}
	}
	f.insert(after, f.entry(stretch{blocks: int32(n), hashed: hashed}, nil))
}

// take hands out n blocks from the head; cached ones among them are evicted.
func (f *freeList) take(n int) {
	f.free -= n
	for n > 0 {
		e := f.list[0].next
		x := &f.list[e]
		if x.key != 0 || x.hashed {
			f.evicts += min(n, int(x.blocks))
		}
		if int(x.blocks) > n {
			x.blocks -= int32(n)
			return
		}
		n -= int(x.blocks)
		f.unlink(e)
		if x.key != 0 {
			f.table.remove(x.key, e)
			x.text = nil
		}
		f.spare = append(f.spare, e)
	}
}

// hit is the beginning of an extent, or all of it.
type hit struct {
	extent int32
	blocks int32
}

// lookup finds the longest cached prefix of a sequence, at most so many blocks, in hits.
func (f *freeList) lookup(runs []run, most int, hits []hit) ([]hit, int) {
	at := 0
	for at < most {
		start := units.Tokens(at) * f.block
		runs = from(runs, start)
		e, ok := f.table.find(from(runs, start+f.block-1)[0].keyAt(start + f.block))
		if !ok {
			break
		}
		x := &f.list[e]
		same := common(runs, x.text, start, units.Tokens(min(most, x.end()))*f.block)
		n := int(same/f.block) - at
		if n == 0 {
			break
		}
		hits = append(hits, hit{e, int32(n)})
		at += n
	}
	return hits, at
}

// held counts the hit blocks that requests hold already.
func (f *freeList) held(hits []hit) int {
	n := 0
	for _, h := range hits {
		if f.list[h.extent].refs > 0 {
			n += int(h.blocks)
		}
	}
	return n
}

// touch attaches what was hit to one more request, which then holds the extents that are appended to held.
func (f *freeList) touch(hits []hit, held []int32) []int32 {
	for _, h := range hits {
		e := h.extent
		if h.blocks < f.list[e].blocks {
			e = f.cut(e, h.blocks)
		}
		x := &f.list[e]
		if x.refs == 0 {
			f.unlink(e)
			f.free -= int(x.blocks)
		}
		x.refs++
		held = append(held, e)
	}
	return held
}

// cut makes an extent of e's first n blocks and returns it; e is the rest. Of all copies of the blocks in the rest, e's are
// the oldest.
func (f *freeList) cut(e, n int32) int32 {
	x := f.list[e]
	u := f.entry(stretch{blocks: n, start: x.start, refs: x.refs, above: x.above, key: x.key}, x.text)
	f.table.replace(x.key, e, u)
	if x.refs == 0 {
		f.insert(e, u)
	}
	d := &f.list[e]
	d.start, d.blocks, d.above = x.start+n, x.blocks-n, u
	at := units.Tokens(d.start) * f.block
	d.text = from(x.text, at)
	d.key = from(d.text, at+f.block-1)[0].keyAt(at + f.block)
	f.table.addFirst(d.key, e)
	return u
}

// register makes blocks from start to end of a sequence findable; held gains their extents. With apart, each may have a
// copy; else the first alone.
func (f *freeList) register(runs []run, start, end int, apart bool, held []int32) []int32 {
	for first := true; start < end; first = false {
		at := units.Tokens(start) * f.block
		runs = from(runs, at)
		key := from(runs, at+f.block-1)[0].keyAt(at + f.block)
		n := end - start
		if apart {
			n = 1
		} else if _, copied := f.table.find(key); first && copied {
			n = 1
		}
		e := f.entry(stretch{blocks: int32(n), start: int32(start), refs: 1, key: key}, upTo(runs, units.Tokens(start+n)*f.block))
		f.table.add(key, e)
		held = append(held, e)
		start += n
	}
	return held
}

// release gives back a request's blocks: its extents, and behind them hashed and then unhashed blocks that nobody can hit.
func (f *freeList) release(held []int32, hashed, unhashed int) {
	if f.toTail {
		f.push(f.tail(), unhashed, false)
		unhashed = 0
	}
	f.push(f.tail(), hashed, true)
	for i := len(held) - 1; i >= 0; i-- {
		start := 0
		if i > 0 {
			start = f.list[held[i-1]].end()
		}
		for e := held[i]; ; e = f.list[e].above {
			x := &f.list[e]
			if x.refs--; x.refs == 0 {
				f.insert(f.tail(), e)
				f.free += int(x.blocks)
			}
			if int(x.start) <= start {
				break
			}
		}
	}
	f.push(0, unhashed, false)
}
