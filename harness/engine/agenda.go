package engine

import "math"

// agenda is when decodes will leave, earliest first and then in order of admission. Those that are entered in this order, as
// answers of one length are, queue; only the others are in a heap. It forgets of itself who left otherwise.
type agenda struct {
	members *seats
	line    fifo[end]
	heap    []end
}

// end says that a member leaves after call at, if nothing happens to it before.
type end struct {
	at    int
	seq   int64 // of its admission
	epoch int
	seat
}

// stays says whether nothing has happened to r since that was said.
func (r *member) stays(e *end) bool { return r.state != isGone && e.epoch == r.epoch && e.at < r.cut }

func (e *end) before(o *end) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

func (a *agenda) len() int { return a.line.len() + len(a.heap) }

// next is the first call after which somebody leaves, or would have left.
func (a *agenda) next() int {
	at := math.MaxInt
	if a.line.len() > 0 {
		at = a.line.front().at
	}
	if len(a.heap) > 0 {
		at = min(at, a.heap[0].at)
	}
	return at
}

// due removes and returns the first end if it is not after call by.
func (a *agenda) due(by int) (end, bool) {
	for a.next() <= by {
		if x := a.pop(); a.members.at(x.seat).stays(&x) {
			return x, true
		}
	}
	return end{}, false
}

// alone says whether somebody leaves after the call that next returned, and nobody else.
func (a *agenda) alone() bool {
	var e *end
	line, heap := a.line.items[a.line.head:], a.heap
	if len(heap) == 0 || len(line) > 0 && line[0].before(&heap[0]) {
		e, line = &line[0], line[1:]
	} else {
		e, heap = &heap[0], heap[1:]
	}
	if len(line) > 0 && line[0].at == e.at {
		return false
	}
	for i := 0; i < min(2, len(heap)); i++ { // in the heap itself the next is among the two that follow
		if heap[i].at == e.at {
			return false
		}
	}
	return a.members.at(e.seat).stays(e)
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
