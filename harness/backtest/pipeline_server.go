package backtest

import (
	"container/heap"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// rowServer answers each row after its time, first come first served, or with the fault that was injected, at once.
type rowServer struct {
	service []units.Span // by row
	faults  faults
	seats   int // 0 = no limit

	busy  finishes
	queue []workload.Request // wait for a seat
	tries map[int]int
	seen  curve
}

// serve plays p to its end and returns what the server saw. When a task's failure ends the job, so does the curve.
func (s *rowServer) serve(p workload.Pipeline) (curve, workload.Player) {
	player := p.Play()
	s.tries = map[int]int{}
	for {
		at, ok := player.Next()
		if len(s.busy) > 0 && (!ok || s.busy[0].at <= at) {
			f := heap.Pop(&s.busy).(finish)
			s.seen.change(f.at, -1)
			s.seat(f.at)
			player.Done(f.row, f.at)
			continue
		}
		if !ok {
			break
		}
		s.take(player, player.Send(), at)
	}
	fate, _ := workload.Outcome(player)
	return s.seen.cut(fate.Stopped).sorted(), player
}

// take serves one request, or does to it what is to be done.
func (s *rowServer) take(player workload.Player, q workload.Request, at units.Time) {
	f, ok := s.faults[q.ID]
	if s.tries[q.ID]++; ok && s.tries[q.ID] <= f.times {
		if !f.early {
			s.seen.change(at, +1)
			s.seen.change(at, -1)
		}
		if f.how == workload.EngineDead {
			s.hangUp(q.Replica, at)
		}
		workload.Fail(player, q.ID, at, f.how)
		return
	}
	s.seen.change(at, +1)
	s.queue = append(s.queue, q)
	s.seat(at)
}

// seat gives a seat to who waits for one.
func (s *rowServer) seat(at units.Time) {
	for len(s.queue) > 0 && (s.seats == 0 || len(s.busy) < s.seats) {
		q := s.queue[0]
		s.queue = s.queue[1:]
		heap.Push(&s.busy, finish{at.Add(s.service[q.ID]), q.ID, q.Replica})
	}
}

// hangUp ends what a dead actor had asked.
func (s *rowServer) hangUp(actor int, at units.Time) {
	before := len(s.busy) + len(s.queue)
	s.busy = slices.DeleteFunc(s.busy, func(f finish) bool { return f.actor == actor })
	s.queue = slices.DeleteFunc(s.queue, func(q workload.Request) bool { return q.Replica == actor })
	for range before - len(s.busy) - len(s.queue) {
		s.seen.change(at, -1)
	}
	heap.Init(&s.busy)
	s.seat(at)
}

type finish struct {
	at         units.Time
	row, actor int
}

// finishes is a heap by time, then by row.
type finishes []finish

func (f finishes) Len() int { return len(f) }
func (f finishes) Less(i, j int) bool {
	return f[i].at < f[j].at || f[i].at == f[j].at && f[i].row < f[j].row
}
func (f finishes) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *finishes) Push(x any)   { *f = append(*f, x.(finish)) }
func (f *finishes) Pop() any {
	old := *f
	x := old[len(old)-1]
	*f = old[:len(old)-1]
	return x
}
