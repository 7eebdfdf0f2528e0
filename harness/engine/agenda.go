package engine

import "math"

// agenda is when decodes will leave, earliest first and then in order of admission. Those that are entered in this order, as
// answers of one length are, queue; only the others are in a heap. It forgets of itself who left otherwise.
type agenda struct {
	line fifo[end]
	heap []end
}

// end says that r leaves after call at, if nothing happens to it before.
type end struct {
	at    int
	seq   int64 // of its admission
	epoch int
	r     *member
}

func (e *end) valid() bool { return e.r.state != isGone && e.epoch == e.r.epoch && e.at < e.r.cut }

func (e *end) before(o *end) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

func (a *agenda) len() int { return a.line.len() + len(a.heap) }

// next is the first call after which somebody leaves.
func (a *agenda) next() int {
	for {
		e := a.first()
		if e == nil {
			return math.MaxInt
		}
		if e.valid() {
			return e.at
		}
		a.pop()
	}
}

// due removes and returns the first end if it is not after call by.
func (a *agenda) due(by int) (end, bool) {
	for e := a.first(); e != nil && e.at <= by; e = a.first() {
		if x := a.pop(); x.valid() {
			return x, true
		}
	}
	return end{}, false
}

// alone says whether nobody else leaves after the call that next returned.
func (a *agenda) alone() bool {
	at, same := a.first().at, 0
	for i := 0; i < min(2, a.line.len()); i++ {
		if a.line.items[a.line.head+i].at == at {
			same++
		}
	}
	for i := 0; i < min(3, len(a.heap)); i++ {
		if a.heap[i].at == at {
			same++
		}
	}
	return same == 1
}

// first is the earliest entry; nil if there is none.
func (a *agenda) first() *end {
	switch inLine, inHeap := a.line.len() > 0, len(a.heap) > 0; {
	case inHeap && !(inLine && a.line.front().before(&a.heap[0])):
		return &a.heap[0]
	case inLine:
		return a.line.front()
	}
	return nil
}

func (a *agenda) push(e end) {
	if n := a.line.len(); n == 0 || !e.before(&a.line.items[a.line.head+n-1]) {
		a.line.push(e)
		return
	}
	a.heap = append(a.heap, e)
	s, i := a.heap, len(a.heap)-1
	for i > 0 && e.before(&s[(i-1)/2]) {
		s[i] = s[(i-1)/2]
		i = (i - 1) / 2
	}
	s[i] = e
}

func (a *agenda) pop() end {
	s := a.heap
	if len(s) == 0 || a.line.len() > 0 && a.line.front().before(&s[0]) {
		return a.line.pop()
	}
	top, e := s[0], s[len(s)-1]
	s[len(s)-1] = end{}
	s = s[:len(s)-1]
	a.heap = s
	if len(s) == 0 {
		return top
	}
	i := 0
	for {
		c := 2*i + 1
		if c+1 < len(s) && s[c+1].before(&s[c]) {
			c++
		}
		if c >= len(s) || !s[c].before(&e) {
			break
		}
		s[i] = s[c]
		i = c
	}
	s[i] = e
	return top
}
