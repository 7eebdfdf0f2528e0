package engine

import "slices"

// queue holds waiting requests: a deque under FCFS, a heap under the priority policy.
type queue struct {
	priority bool
	ring     []*request // FCFS: ring[head:head+n], modulo its length, a power of two
	head, n  int
	heap     []*request
}

func (q *queue) len() int {
	if q.priority {
		return len(q.heap)
	}
	return q.n
}

func (q *queue) at(i int) *request { return q.ring[(q.head+i)&(len(q.ring)-1)] }

func (q *queue) peek() *request {
	if q.priority {
		return q.heap[0]
	}
	return q.at(0)
}

// push adds r at the tail, or where its priority puts it.
func (q *queue) push(r *request) {
	if q.priority {
		q.pushHeap(r)
		return
	}
	q.grow()
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = r
	q.n++
}

// pushFront adds r at the head, or where its priority puts it.
func (q *queue) pushFront(r *request) {
	if q.priority {
		q.pushHeap(r)
		return
	}
	q.grow()
	q.head = (q.head - 1) & (len(q.ring) - 1)
	q.ring[q.head] = r
	q.n++
}

func (q *queue) pop() *request {
	if q.priority {
		r := q.heap[0]
		q.removeHeap(0)
		return r
	}
	r := q.at(0)
	q.ring[q.head] = nil
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return r
}

// remove takes out r, wherever it is; false if it is not here.
func (q *queue) remove(r *request) bool {
	if q.priority {
		i := slices.Index(q.heap, r)
		if i < 0 {
			return false
		}
		q.removeHeap(i)
		return true
	}
	for i := range q.n {
		if q.at(i) == r {
			for ; i < q.n-1; i++ {
				q.ring[(q.head+i)&(len(q.ring)-1)] = q.at(i + 1)
			}
			q.ring[(q.head+q.n-1)&(len(q.ring)-1)] = nil
			q.n--
			return true
		}
	}
	return false
}

// ordered lists the queue in the order in which it would be popped.
func (q *queue) ordered() []*request {
	if q.priority {
		l := slices.Clone(q.heap)
		slices.SortFunc(l, func(a, b *request) int {
			if a.before(b) {
				return -1
			}
			return 1
		})
		return l
	}
	l := make([]*request, q.n)
	for i := range l {
		l[i] = q.at(i)
	}
	return l
}

func (q *queue) grow() {
	if q.n < len(q.ring) {
		return
	}
	ring := make([]*request, max(16, 2*len(q.ring)))
	for i := range q.n {
		ring[i] = q.at(i)
	}
	q.ring, q.head = ring, 0
}

func (q *queue) pushHeap(r *request) {
	q.heap = append(q.heap, r)
	q.up(len(q.heap) - 1)
}

func (q *queue) removeHeap(i int) {
	last := len(q.heap) - 1
	q.heap[i] = q.heap[last]
	q.heap[last] = nil
	q.heap = q.heap[:last]
	if i < last {
		q.down(i)
		q.up(i)
	}
}

func (q *queue) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if !q.heap[i].before(q.heap[p]) {
			return
		}
		q.heap[i], q.heap[p] = q.heap[p], q.heap[i]
		i = p
	}
}

func (q *queue) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(q.heap) {
			return
		}
		if c+1 < len(q.heap) && q.heap[c+1].before(q.heap[c]) {
			c++
		}
		if !q.heap[c].before(q.heap[i]) {
			return
		}
		q.heap[i], q.heap[c] = q.heap[c], q.heap[i]
		i = c
	}
}
