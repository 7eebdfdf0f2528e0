package advise

import (
	"container/heap"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// seats is an engine with room for all: a row takes its output tokens times 10 ms.
func seats(p workload.Pipeline) (Dispatch, error) {
	player := p.Play()
	var busy answers
	var first, last units.Time = units.Never, 0
	for {
		at, ok := player.Next()
		if len(busy) > 0 && (!ok || busy[0].at <= at) {
			a := heap.Pop(&busy).(answer)
			last = max(last, a.at)
			player.Done(a.id, a.at)
			continue
		}
		if !ok {
			break
		}
		q := player.Send()
		first = min(first, at)
		heap.Push(&busy, answer{at.Add(units.Span(q.Output) * 10 * units.Millisecond), q.ID})
	}
	idle, _ := workload.Idleness(player)
	return Dispatch{last.Sub(first), idle}, nil
}

type answer struct {
	at units.Time
	id int
}

type answers []answer

func (a answers) Len() int { return len(a) }
func (a answers) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].id < a[j].id
}
func (a answers) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *answers) Push(x any)   { *a = append(*a, x.(answer)) }
func (a *answers) Pop() any {
	old := *a
	x := old[len(old)-1]
	*a = old[:len(old)-1]
	return x
}

func fixed(rows int, output units.Tokens) workload.Rows {
	return workload.Rows{Count: rows, Prompt: workload.Fixed(10), Output: workload.Fixed(output)}
}

// TestPitfallsOfAPipelineAreFound: a deployment that has it is told so, with a change that was tried; its twin that does
// not have it is not.
func TestPitfallsOfAPipelineAreFound(t *testing.T) {
	uneven := workload.Rows{Count: 2000, Prompt: workload.Fixed(10), Output: workload.LogNormal{Mean: 200, SD: 150, Min: 10, Max: 2000}}
	for _, c := range []struct {
		rule string
		has  workload.Pipeline
		fine workload.Pipeline
		what string
	}{
		{"block layout",
			workload.Pipeline{Rows: fixed(200, 50), Kind: workload.HTTP, BatchSize: 16, Blocks: 200},
			workload.Pipeline{Rows: fixed(200, 50), Kind: workload.HTTP, BatchSize: 16, Blocks: 3}, "set override_num_blocks to 6 (was 200): 2 batches a task"},
		{"row after row",
			workload.Pipeline{Rows: fixed(600, 50), Kind: workload.HTTP, BatchSize: 256, Blocks: 2},
			workload.Pipeline{Rows: fixed(600, 50), Kind: workload.HTTP, BatchSize: 1, Blocks: 2}, "lower batch_size from 256 to 128"},
		{"tiny blocks",
			workload.Pipeline{Rows: fixed(2000, 100), BatchSize: 40, Blocks: 2000},
			workload.Pipeline{Rows: fixed(2000, 100), BatchSize: 40, Blocks: 50}, "set override_num_blocks to 50 (was 2000): one batch a block"},
		{"batch tails",
			workload.Pipeline{Rows: uneven, BatchSize: 20, MaxConcurrentBatches: 2, MaxNumSeqs: 40},
			workload.Pipeline{Rows: fixed(40, 200), BatchSize: 20, MaxConcurrentBatches: 2}, "raise max_concurrent_batches from 2 to 3"},
		{"batch size",
			workload.Pipeline{Rows: fixed(640, 400), BatchSize: 8, MaxConcurrentBatches: 4, MaxNumSeqs: 128},
			workload.Pipeline{Rows: fixed(640, 400), BatchSize: 32, MaxConcurrentBatches: 4, MaxNumSeqs: 128}, "raise max_concurrent_batches from 4 to 16"},
		{"semaphore",
			workload.Pipeline{Rows: fixed(640, 400), BatchSize: 32, MaxPending: 32},
			workload.Pipeline{Rows: fixed(640, 400), BatchSize: 32, MaxPending: 1024}, "raise max_pending_requests from 32 to 64"},
		{"rate limit",
			workload.Pipeline{Rows: fixed(200, 50), Kind: workload.HTTP, BatchSize: 36, Blocks: 4, QPS: 5},
			workload.Pipeline{Rows: fixed(200, 50), Kind: workload.HTTP, BatchSize: 36, Blocks: 4}, "drop qps"},
		{"actors that never start", // 13 tasks: one fewer than a second actor is asked for
			workload.Pipeline{Rows: fixed(416, 1000), BatchSize: 32, Blocks: 13, MinActors: 1, MaxActors: 2},
			workload.Pipeline{Rows: fixed(416, 1000), BatchSize: 32, Blocks: 13, MinActors: 2, MaxActors: 2}, "set concurrency to (2, 2)"},
		{"greedy first actor", // ten tasks, and the first of four actors may hold sixteen
			workload.Pipeline{Rows: fixed(320, 1000), BatchSize: 32, Blocks: 10, MaxConcurrentBatches: 2, MaxTasksInFlight: 16, MinActors: 4, MaxActors: 4, Costs: workload.Costs{Supply: 1e6}},
			workload.Pipeline{Rows: fixed(320, 1000), BatchSize: 32, Blocks: 10, MaxConcurrentBatches: 2, MaxTasksInFlight: 2, MinActors: 4, MaxActors: 4, Costs: workload.Costs{Supply: 1e6}}, "set max_tasks_in_flight_per_actor to"},
		{"nothing queues at the actor",
			workload.Pipeline{Rows: fixed(640, 30), BatchSize: 16, MaxConcurrentBatches: 4, MaxTasksInFlight: 4},
			workload.Pipeline{Rows: fixed(640, 30), BatchSize: 16, MaxConcurrentBatches: 4, MaxTasksInFlight: 8}, "raise max_tasks_in_flight_per_actor from 4 to 5"},
		{"too few tasks",
			workload.Pipeline{Rows: fixed(64, 1000), Kind: workload.HTTP, BatchSize: 64, Blocks: 1, MinActors: 4, MaxActors: 4},
			workload.Pipeline{Rows: fixed(64, 1000), Kind: workload.HTTP, BatchSize: 8, Blocks: 8, MinActors: 4, MaxActors: 4}, "set override_num_blocks to 4 (was 1) and batch_size to 16"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			advice, err := OnPipeline(c.has, seats)
			require.NoError(t, err)
			a, found := adviceOf(advice, c.rule)
			require.True(t, found, "given: %v", advice)
			require.Contains(t, a.What, c.what)
			again, err := seats(a.Changed)
			require.NoError(t, err)
			require.Equal(t, a.After, again, "what is promised is what was tried")
			require.Less(t, a.After.Makespan, a.Before.Makespan)
			require.Positive(t, a.Before.Idle.Of(a.Cause), "%v", a.Before.Idle)
			before := a.Before.Idle.Of(a.Cause) * a.Before.Idle.RowSeconds
			require.Less(t, a.After.Idle.Of(a.Cause)*a.After.Idle.RowSeconds, before, "%v is what it removes: %v, after it %v", a.Cause, a.Before.Idle, a.After.Idle)
			advice, err = OnPipeline(c.fine, seats)
			require.NoError(t, err)
			_, found = adviceOf(advice, c.rule)
			require.False(t, found, "given to one that does not have it: %v", advice)
		})
	}
}

func adviceOf(advice []PipelineAdvice, rule string) (PipelineAdvice, bool) {
	for _, a := range advice {
		if a.Rule == rule {
			return a, true
		}
	}
	return PipelineAdvice{}, false
}
