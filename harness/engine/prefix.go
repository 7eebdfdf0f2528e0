package engine

import "github.com/testing-symbiote/symbiote/harness/units"

// ownText is the source of a request's own tokens: position i of its sequence, prompt or output, is token i of it.
// Callers that continue a conversation name it in a Segment through OwnText.
func OwnText(id RequestID) uint64 { return units.OwnText(int(id)) }

// mix is the finalizer of splitmix64: every bit of the input reaches every bit of the output.
func mix(h uint64) uint64 {
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// mixRun folds one run into a chain hash. The odd constants spread its three numbers over the word before it is mixed.
func mixRun(h uint64, source uint64, from, n units.Tokens) uint64 {
	return mix(h ^ (source*0xd6e8feb86659fd93 + uint64(from)*0xa0761d6478bd642f + uint64(n)*0xe7037ed1a0b428db))
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
// are blocks, in open addressing at half load, so that it never grows. There is none of it until something is cached:
// most servers' prompts all differ, and an empty table of a large cache is megabytes.
type hashTable struct {
	slots []slot
	dup   []blockID // dup[b] = the next block cached under b's hash
	mask  int
}

type slot struct {
	key   uint64 // 0 = empty
	first blockID
	last  blockID // of those under the key: many equal prompts cost no walk
}

func newHashTable(blocks int) hashTable {
	size := 4
	for size < 2*blocks {
		size *= 2
	}
	return hashTable{mask: size - 1}
}

// at returns where key is, or where it would go. A key is a hash, so its low bits are as good as any.
func (t *hashTable) at(key uint64) int {
	i := int(key) & t.mask
	for t.slots[i].key != 0 && t.slots[i].key != key {
		i = (i + 1) & t.mask
	}
	return i
}

func (t *hashTable) find(key uint64) (blockID, bool) {
	if t.slots == nil {
		return noBlock, false
	}
	s := t.slots[t.at(key)]
	return s.first, s.key != 0
}

func (t *hashTable) add(key uint64, b blockID) {
	if t.slots == nil {
		t.slots, t.dup = make([]slot, t.mask+1), make([]blockID, (t.mask+1)/2)
	}
	t.reach(b)
	t.dup[b] = noBlock
	s := &t.slots[t.at(key)]
	if s.key == 0 {
		*s = slot{key, b, b}
		return
	}
	t.dup[s.last], s.last = b, b
}

// addFirst puts b before what is cached under key.
func (t *hashTable) addFirst(key uint64, b blockID) {
	t.add(key, b)
	if s := &t.slots[t.at(key)]; s.first != b {
		a := s.first
		for t.dup[a] != b {
			a = t.dup[a]
		}
		t.dup[a], t.dup[b], s.first, s.last = noBlock, s.first, b, a
	}
}

// replace puts n where b is.
func (t *hashTable) replace(key uint64, b, n blockID) {
	t.reach(n)
	s := &t.slots[t.at(key)]
	t.dup[n] = t.dup[b]
	if s.last == b {
		s.last = n
	}
	if s.first == b {
		s.first = n
		return
	}
	a := s.first
	for t.dup[a] != b {
		a = t.dup[a]
	}
	t.dup[a] = n
}

func (t *hashTable) reach(b blockID) {
	for int(b) >= len(t.dup) {
		t.dup = append(t.dup, noBlock)
	}
}

func (t *hashTable) remove(key uint64, b blockID) {
	i := t.at(key)
	s := &t.slots[i]
	switch {
	case s.first != b:
		a := s.first
		for t.dup[a] != b {
			a = t.dup[a]
		}
		t.dup[a] = t.dup[b]
		if s.last == b {
			s.last = a
		}
		return
	case t.dup[b] != noBlock:
		s.first = t.dup[b]
		return
	}
	// Backward-shift deletion: move up each follower that would no longer be found.
	for j := (i + 1) & t.mask; t.slots[j].key != 0; j = (j + 1) & t.mask {
		home := int(t.slots[j].key) & t.mask
		if (j-home)&t.mask >= (j-i)&t.mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot{}
}
