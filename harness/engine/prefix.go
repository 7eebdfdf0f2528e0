package engine

import "github.com/testing-symbiote/symbiote/harness/units"

// ownText is the source of a request's own tokens: position i of its sequence, prompt or output, is token i of it.
// Callers that continue a conversation name it in a Segment through OwnText.
func OwnText(id RequestID) uint64 { return 1<<63 | uint64(id) }

// mix is the finalizer of splitmix64: every bit of the input reaches every bit of the output.
func mix(h uint64) uint64 {
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func mixRun(h uint64, source uint64, from, n units.Tokens) uint64 {
	h = mix(h ^ source)
	return mix(h ^ uint64(from)<<32 ^ uint64(n))
}

// text is a request's tokens, as far as prefix caching needs them.
type text struct {
	id         RequestID
	shared     []units.Segment
	hashes     []uint64 // of the leading full blocks, as far as they were needed
	cursor     int      // where segmentAt stands in shared …
	cursorFrom units.Tokens
}

// hashTo extends r.hashes, the chain hash of each full block, to n blocks. Equal chains of tokens have equal hashes:
// a block's tokens are hashed as maximal runs, which the tokens alone determine.
func (r *text) hashTo(n int, bs units.Tokens) {
	for b := len(r.hashes); b < n; b++ {
		h := uint64(0x6e6f6e65)
		if b > 0 {
			h = r.hashes[b-1]
		}
		at, end := units.Tokens(b)*bs, units.Tokens(b+1)*bs
		var run units.Segment
		for at < end {
			s := r.segmentAt(at, end)
			if run.Len > 0 && s.Source == run.Source && s.From == run.From+run.Len {
				run.Len += s.Len
			} else {
				if run.Len > 0 {
					h = mixRun(h, run.Source, run.From, run.Len)
				}
				run = s
			}
			at += s.Len
		}
		h = mixRun(h, run.Source, run.From, run.Len)
		r.hashes = append(r.hashes, max(h, 1))
	}
}

// segmentAt returns the longest run of one source that starts at position at and ends before end. Positions are asked
// for in rising order, so the cursor into shared only moves forward.
func (r *text) segmentAt(at, end units.Tokens) units.Segment {
	for r.cursor < len(r.shared) {
		s := r.shared[r.cursor]
		if at < r.cursorFrom+s.Len {
			skip := at - r.cursorFrom
			n := min(s.Len-skip, end-at)
			return units.Segment{Source: s.Source, From: s.From + skip, Len: n}
		}
		r.cursorFrom += s.Len
		r.cursor++
	}
	return units.Segment{Source: OwnText(r.id), From: at, Len: end - at}
}

// hashTable maps a block hash to its cached blocks, first inserted first. It holds at most as many entries as there
// are blocks, in open addressing at half load, so that it never grows.
type hashTable struct {
	keys  []uint64 // 0 = empty
	first []blockID
	dup   []blockID // dup[b] = the next block cached under b's hash
	shift uint
}

func newHashTable(blocks int) hashTable {
	size, shift := 4, uint(62)
	for size < 2*blocks {
		size, shift = size*2, shift-1
	}
	t := hashTable{keys: make([]uint64, size), first: make([]blockID, size), dup: make([]blockID, blocks), shift: shift}
	return t
}

// slot returns where key is, or where it would go.
func (t *hashTable) slot(key uint64) int {
	mask := len(t.keys) - 1
	i := int(key * 0x9e3779b97f4a7c15 >> t.shift)
	for t.keys[i] != 0 && t.keys[i] != key {
		i = (i + 1) & mask
	}
	return i
}

func (t *hashTable) find(key uint64) (blockID, bool) {
	i := t.slot(key)
	return t.first[i], t.keys[i] != 0
}

func (t *hashTable) add(key uint64, b blockID) {
	for int(b) >= len(t.dup) {
		t.dup = append(t.dup, noBlock)
	}
	t.dup[b] = noBlock
	i := t.slot(key)
	if t.keys[i] == 0 {
		t.keys[i], t.first[i] = key, b
		return
	}
	last := t.first[i]
	for t.dup[last] != noBlock {
		last = t.dup[last]
	}
	t.dup[last] = b
}

func (t *hashTable) remove(key uint64, b blockID) {
	i := t.slot(key)
	if t.first[i] != b {
		a := t.first[i]
		for t.dup[a] != b {
			a = t.dup[a]
		}
		t.dup[a] = t.dup[b]
		return
	}
	if t.dup[b] != noBlock {
		t.first[i] = t.dup[b]
		return
	}
	// Backward-shift deletion: move up each follower that would no longer be found.
	mask := len(t.keys) - 1
	for j := (i + 1) & mask; t.keys[j] != 0; j = (j + 1) & mask {
		home := int(t.keys[j] * 0x9e3779b97f4a7c15 >> t.shift)
		if (j-home)&mask >= (j-i)&mask {
			t.keys[i], t.first[i] = t.keys[j], t.first[j]
			i = j
		}
	}
	t.keys[i] = 0
}
