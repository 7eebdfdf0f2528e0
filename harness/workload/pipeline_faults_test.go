package workload

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// A faultyServer answers rows after a second and does to others what the test says.
type faultyServer struct {
	t       *testing.T
	player  Player
	service func(row int) units.Span
	fault   func(row, try int) (Fault, bool)
	kills   map[units.Time]int // an actor, at an instant

	tries   map[int]int
	sent    []Request
	answers []answered
	last    units.Time // answer or request
}

type answered struct {
	at       units.Time
	row, rep int
}

type answeredHeap []answered

func (h answeredHeap) Len() int { return len(h) }
func (h answeredHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].row < h[j].row
}
func (h answeredHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *answeredHeap) Push(x any)   { *h = append(*h, x.(answered)) }
func (h *answeredHeap) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}

// play plays p to its end and checks that each row has one fate and no row is answered for nobody.
func (s faultyServer) play(p Pipeline) (Fate, faultyServer) {
	s.player, s.tries = p.Play(), map[int]int{}
	out := (*answeredHeap)(&s.answers)
	drop := func(rep int) { // the engine is gone, and its answers with it
		kept := (*out)[:0]
		for _, a := range *out {
			if a.rep != rep {
				kept = append(kept, a)
			}
		}
		*out = kept
		heap.Init(out)
	}
	for {
		at, ok := s.player.Next()
		for when, actor := range s.kills {
			if (len(*out) == 0 || when < (*out)[0].at) && (!ok || when < at) {
				delete(s.kills, when)
				drop(actor)
				Kill(s.player, actor, when)
				at, ok = s.player.Next()
			}
		}
		if len(*out) > 0 && (!ok || (*out)[0].at <= at) {
			a := heap.Pop(out).(answered)
			s.last = a.at
			s.player.Done(a.row, a.at)
			continue
		}
		if !ok {
			f, is := Outcome(s.player)
			require.True(s.t, is)
			require.Equal(s.t, f.Asked, f.OK+f.Failed+f.Dropped+f.Lost)
			require.Equal(s.t, f.Stopped == units.Never, f.Lost == 0, "rows are lost when the job is ended, and only then: %+v", f)
			require.Equal(s.t, len(s.sent)-len(s.tries), f.Resent)
			return f, s
		}
		q := s.player.Send()
		s.sent, s.last = append(s.sent, q), at
		s.tries[q.ID]++
		f, bad := Fault(0), false
		if s.fault != nil {
			f, bad = s.fault(q.ID, s.tries[q.ID])
		}
		if bad {
			if f == EngineDead && p.Kind == VLLM {
				drop(q.Replica)
			}
			Fail(s.player, q.ID, at, f)
			continue
		}
		heap.Push(out, answered{at.Add(s.service(q.ID)), q.ID, q.Replica})
	}
}

func always(f Fault, rows ...int) func(int, int) (Fault, bool) {
	return func(row, _ int) (Fault, bool) {
		for _, r := range rows {
			if r == row {
				return f, true
			}
		}
		return 0, false
	}
}

func once(f Fault, rows ...int) func(int, int) (Fault, bool) {
	return func(row, try int) (Fault, bool) {
		g, hit := always(f, rows...)(row, try)
		return g, hit && try == 1
	}
}

// Four blocks of 16 rows; row 5 fails. What real runs came to is said beside each.
func TestWhatBecomesOfAPipelineWhoseRowFails(t *testing.T) {
	http := Pipeline{Kind: HTTP, Rows: rowsOf(64), BatchSize: 16, Blocks: 4}
	vllm := Pipeline{Rows: rowsOf(64), BatchSize: 16, Blocks: 4, Costs: Costs{Supply: 1e6}}
	for _, c := range []struct {
		name  string
		p     Pipeline
		on    OnError
		fault func(int, int) (Fault, bool)
		want  Fate // Stopped aside
		sent  int
	}{
		{"http: 429 twice, three tries more", http, OnError{MaxRetries: 3}, func(row, try int) (Fault, bool) { return Retryable, row == 5 && try <= 2 },
			Fate{Asked: 64, OK: 64, Resent: 2}, 66},
		{"http: 429 for good ends the job", http, OnError{MaxRetries: 2}, always(Retryable, 5), Fate{Asked: 64, Lost: 64, Resent: 2}, 5 + 3 + 1},
		{"http: 429 for good, a task may fail", http, OnError{MaxErroredBlocks: 1}, always(Retryable, 5), Fate{Asked: 64, OK: 48, Dropped: 16}, 54},
		{"http: an error in JSON is a result", http, OnError{}, always(Rejected, 5), Fate{Asked: 64, OK: 63, Failed: 1}, 64},
		{"http: an error that is no JSON", http, OnError{MaxRetries: 3}, always(Raised, 5), Fate{Asked: 64, Lost: 64}, 6 + 1},
		{"vllm: a row that it refuses ends the job", vllm, OnError{}, always(Rejected, 5), Fate{Asked: 64, Lost: 64}, 64},
		{"vllm: a task may fail, its other rows are sent all the same", vllm, OnError{MaxErroredBlocks: 1}, always(Raised, 5), Fate{Asked: 64, OK: 48, Dropped: 16}, 64},
		{"vllm: goes on", vllm, OnError{Continue: true}, always(Rejected, 5, 40), Fate{Asked: 64, OK: 62, Failed: 2}, 64},
		{"vllm: two tasks fail where one may", vllm, OnError{MaxErroredBlocks: 1}, always(Raised, 5, 20), Fate{Asked: 64, Dropped: 16, Lost: 48}, 64},
		{"vllm: any number may", vllm, OnError{MaxErroredBlocks: -1}, always(Raised, 5, 20), Fate{Asked: 64, OK: 32, Dropped: 32}, 64},
		{"vllm: the engine dies once", vllm, OnError{}, once(EngineDead, 63), Fate{Asked: 64, OK: 64, Resent: 64}, 128},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.p.OnError = c.on
			s := faultyServer{t: t, fault: c.fault, service: func(int) units.Span { return units.Second }}
			got, s := s.play(c.p)
			require.Equal(t, c.want.Lost > 0, got.Stopped < units.Never)
			got.Stopped = 0
			require.Equal(t, c.want, got)
			require.Len(t, s.sent, c.sent)
		})
	}
}

// A row is tried again after 0.2 s and 0.4 s, and after the last try that is allowed Ray waits once more, for nothing.
func TestRetriesWaitTwiceAsLongEachTime(t *testing.T) {
	p := Pipeline{Kind: HTTP, Rows: rowsOf(8), BatchSize: 4, Blocks: 2, OnError: OnError{MaxRetries: 2, BaseRetryWait: 200 * time.Millisecond, MaxErroredBlocks: 1}}
	_, s := faultyServer{t: t, fault: always(Retryable, 0), service: func(int) units.Span { return units.Second }}.play(p)
	overhead := p.filled().Costs.Overhead
	at := func(i int) time.Duration { return s.sent[i].At.Sub(s.sent[0].At).Duration() }
	require.Equal(t, 200*time.Millisecond+overhead, at(1))
	require.Equal(t, 600*time.Millisecond+2*overhead, at(2))
	require.Equal(t, 4, s.sent[3].ID, "the next task")
	require.Equal(t, 1400*time.Millisecond+3*overhead, at(3))
}

// An actor that dies computes what it ran again and no other actor's; the job only takes longer.
func TestAnActorThatDiesComputesItsTasksAgain(t *testing.T) {
	p := Pipeline{Rows: rowsOf(160), BatchSize: 16, Blocks: 10, MaxConcurrentBatches: 2, MaxTasksInFlight: 3, MinActors: 2, MaxActors: 2,
		Costs: Costs{Supply: 1e6, Stagger: time.Millisecond}}
	service := func(int) units.Span { return units.Second }
	calm, _ := faultyServer{t: t, service: service}.play(p)
	require.Equal(t, Fate{Asked: 160, OK: 160, Stopped: units.Never}, calm)
	fate, s := faultyServer{t: t, service: service, kills: map[units.Time]int{units.Time(2 * units.Second): 1}}.play(p)
	require.Equal(t, Fate{Asked: 160, OK: 160, Resent: 32, Stopped: units.Never}, fate, "two tasks were running")
	again := map[int]int{}
	for _, q := range s.sent {
		again[q.ID]++
		if again[q.ID] == 2 {
			require.Equal(t, 1, q.Replica, "a task never moves to another actor")
			require.GreaterOrEqual(t, q.At, units.Time(2*units.Second).Add(units.FromDuration(p.filled().Costs.Restart)))
		}
	}
}

// After the failure that ends the job the others go on sending until the driver has ended them.
func TestAJobThatFailsStillSends(t *testing.T) {
	p := Pipeline{Rows: rowsOf(4000), BatchSize: 10, MaxConcurrentBatches: 4, Costs: Costs{Supply: 1e6}}
	fate, s := faultyServer{t: t, fault: always(Raised, 200), service: func(int) units.Span { return 50 * units.Millisecond }}.play(p)
	require.Positive(t, fate.OK, "tasks that ended before are out")
	var failed units.Time
	for _, q := range s.sent {
		if q.ID == 200 {
			failed = q.At
		}
	}
	abort := units.FromDuration(p.filled().Costs.Abort)
	require.Equal(t, failed.Add(abort), fate.Stopped)
	require.Greater(t, s.sent[len(s.sent)-1].At, failed.Add(abort/2))
	require.LessOrEqual(t, s.sent[len(s.sent)-1].At, fate.Stopped)
}

// Whatever fails: each row has one fate, nothing hangs, and the same again does the same.
func TestFaultLaws(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 98))
			n := 1 + r.IntN(200)
			p := Pipeline{Rows: rowsOf(n), BatchSize: 1 + r.IntN(30), MaxConcurrentBatches: 1 + r.IntN(4), Blocks: 1 + r.IntN(n),
				MaxNumSeqs: r.IntN(30), MinActors: 1 + r.IntN(3), OnError: OnError{MaxErroredBlocks: r.IntN(4) - 1, Continue: r.IntN(3) == 0}}
			if r.IntN(2) == 0 {
				p.Kind, p.OnError.Continue, p.OnError.MaxRetries = HTTP, false, r.IntN(4)
			}
			faults := map[int]Fault{}
			for range r.IntN(6) {
				faults[r.IntN(n)] = Fault(r.IntN(4))
			}
			times := 1 + r.IntN(4)
			kills := map[units.Time]int{}
			if r.IntN(3) == 0 {
				kills[units.Time(r.Int64N(int64(6*units.Second)))] = 0
			}
			play := func() (Fate, faultyServer) {
				again := map[units.Time]int{}
				for k, v := range kills {
					again[max(k, units.Time(1600*units.Millisecond))] = v
				}
				return faultyServer{t: t, kills: again, service: func(row int) units.Span { return units.Span(1+row*7919%13) * 100 * units.Millisecond },
					fault: func(row, try int) (Fault, bool) {
						f, hit := faults[row]
						return f, hit && (try <= times && f != EngineDead || try == 1)
					}}.play(p)
			}
			fate, s := play()
			again, s2 := play()
			require.Equal(t, fate, again)
			require.Equal(t, s.sent, s2.sent)
			if fate.Stopped == units.Never {
				require.Len(t, s.tries, n-unsent(s, n, fate), "all rows were sent")
			}
		})
	}
}

// unsent are rows of tasks that failed before they were sent.
func unsent(s faultyServer, n int, f Fate) int {
	missing := n - len(s.tries)
	require.LessOrEqual(s.t, missing, f.Dropped)
	return missing
}
