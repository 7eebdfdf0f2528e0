package engine

import (
	"math"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// backlog is a queue of requests that nothing was done for yet, and when each came. It holds an ordinary one in 24 bytes
// that the garbage collector need not look at, so that an overloaded server may have millions of them waiting.
type backlog struct {
	pages    fifo[*[backlogPage]brief]
	head, n  int // in the first page; in all
	spare    *[backlogPage]brief
	more     fifo[Request] // those of them that are not ordinary, in order
	arrivals bool          // Request.Arrival matters
}

const backlogPage = 512

type brief struct {
	id           RequestID
	at           units.Time
	prompt, most int32 // prompt 0 = the request is in more
}

func (q *backlog) len() int { return q.n }

func (q *backlog) place(i int) *brief {
	i += q.head
	return &q.pages.at(i / backlogPage)[i%backlogPage]
}

func (q *backlog) push(r Request, at units.Time) {
	if q.head+q.n == q.pages.len()*backlogPage {
		page := q.spare
		if q.spare = nil; page == nil {
			page = new([backlogPage]brief)
		}
		q.pages.push(page)
	}
	b := brief{id: r.ID, at: at, prompt: int32(min(r.Prompt, math.MaxInt32)), most: int32(min(r.MaxTokens, math.MaxInt32))}
	if !q.ordinary(&r) {
		q.more.push(r)
		b.prompt = 0
	}
	*q.place(q.n) = b
	q.n++
}

// ordinary says whether a brief tells all of r.
func (q *backlog) ordinary(r *Request) bool {
	return r.StopAt == 0 && len(r.Shared) == 0 && !r.Open && r.Cached == 0 && !q.arrivals &&
		r.Prompt <= math.MaxInt32 && r.MaxTokens <= math.MaxInt32
}

// next is when the request came that pop would return.
func (q *backlog) next() units.Time { return q.place(0).at }

func (q *backlog) pop() (Request, units.Time) {
	b := *q.place(0)
	q.n--
	if q.head++; q.head == backlogPage {
		q.spare, q.head = q.pages.pop(), 0
	}
	if b.prompt == 0 {
		return q.more.pop(), b.at
	}
	return Request{ID: b.id, Prompt: units.Tokens(b.prompt), MaxTokens: units.Tokens(b.most)}, b.at
}

// remove takes a request out; false if it is not here.
func (q *backlog) remove(id RequestID) bool {
	for i := range q.n {
		gone := *q.place(i)
		if gone.id != id {
			continue
		}
		if gone.prompt == 0 {
			q.more.remove(func(r Request) bool { return r.ID == id })
		}
		for ; i > 0; i-- {
			*q.place(i) = *q.place(i - 1)
		}
		*q.place(0) = brief{id: id, prompt: 1}
		q.pop()
		return true
	}
	return false
}
