package workload

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// serve answers each row after its service time and returns how many rows were in flight at most, in all and by
// replica, and when each row was sent and answered. Looking ahead must not decide anything, so Next is asked often.
func serve(t *testing.T, p Pipeline, service func(id int) units.Span) (peak int, byReplica map[int]int, sent, done map[int]units.Time) {
	t.Helper()
	type answer struct {
		at      units.Time
		id, rep int
	}
	player := p.Play()
	var out []answer
	inFlight := map[int]int{}
	byReplica, sent, done = map[int]int{}, map[int]units.Time{}, map[int]units.Time{}
	now := units.Time(0)
	for {
		at, ok := player.Next()
		again, _ := player.Next()
		require.Equal(t, at, again)
		if len(out) > 0 && (!ok || out[0].at <= at) {
			a := out[0]
			out = out[1:]
			now = a.at
			done[a.id] = now
			inFlight[a.rep]--
			player.Done(a.id, now)
			continue
		}
		if !ok {
			return peak, byReplica, sent, done
		}
		require.GreaterOrEqual(t, at, now)
		now = at
		r := player.Send()
		require.Equal(t, at, r.At)
		require.NotContains(t, sent, r.ID)
		sent[r.ID] = at
		inFlight[r.Replica]++
		byReplica[r.Replica] = max(byReplica[r.Replica], inFlight[r.Replica])
		peak = max(peak, len(out)+1)
		a := answer{at.Add(service(r.ID)), r.ID, r.Replica}
		i, _ := slices.BinarySearchFunc(out, a, func(x, y answer) int {
			if x.at != y.at {
				return int(min(max(x.at-y.at, -1), 1))
			}
			return x.id - y.id
		})
		out = slices.Insert(out, i, a)
	}
}

func rowsOf(n int) Rows { return Rows{Count: n, Prompt: Fixed(1), Output: Fixed(1)} }

// What real runs showed: the layout of the blocks decides how many rows are in flight.
func TestPipelinePeaks(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Pipeline
		peak int
	}{
		{"semaphore of 128 seats", Pipeline{Rows: rowsOf(2000), BatchSize: 32, MaxNumSeqs: 128}, 141},
		{"four batches of 16", Pipeline{Rows: rowsOf(640), BatchSize: 16, MaxConcurrentBatches: 4, MaxNumSeqs: 64}, 64},
		{"one block: four batches of one task", Pipeline{Rows: rowsOf(400), BatchSize: 16, MaxConcurrentBatches: 1, Blocks: 1}, 64},
		{"two blocks", Pipeline{Rows: rowsOf(400), BatchSize: 16, MaxConcurrentBatches: 4, Blocks: 2}, 128},
		{"http, one-row blocks, two actors", Pipeline{Kind: HTTP, Rows: rowsOf(200), BatchSize: 16, Blocks: 200, MinActors: 1, MaxActors: 2}, 2},
		{"http, one block", Pipeline{Kind: HTTP, Rows: rowsOf(200), BatchSize: 16, Blocks: 1}, 4},
		{"http, eight blocks, two actors", Pipeline{Kind: HTTP, Rows: rowsOf(500), BatchSize: 16, Blocks: 8, MinActors: 2, MaxActors: 2}, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			peak, _, sent, done := serve(t, c.p, func(int) units.Span { return units.Second })
			require.Equal(t, c.peak, peak)
			require.Len(t, sent, c.p.Rows.Len())
			require.Len(t, done, c.p.Rows.Len())
		})
	}
}

// 13 tasks never start a second replica, 25 do: one must hold 14 of 16 before another is asked for.
func TestPipelineScalesOnlyWhenAReplicaIsNearlyFull(t *testing.T) {
	for tasks, replicas := range map[int]int{13: 1, 25: 2} {
		p := Pipeline{Rows: rowsOf(64 * tasks), BatchSize: 64, MaxNumSeqs: 64, MinActors: 1, MaxActors: 2, Costs: Costs{Supply: 1e6}}
		_, by, _, _ := serve(t, p, func(int) units.Span { return units.Second })
		require.Len(t, by, replicas, "%d tasks", tasks)
		require.Equal(t, tasks == 13, len(p.Warnings()) == 1, "%v", p.Warnings())
	}
}

// idleOf plays p against a server that has room for all.
func idleOf(t *testing.T, p Pipeline, service func(row int) units.Span) Idle {
	t.Helper()
	_, s := faultyServer{t: t, service: service}.play(p)
	idle, ok := Idleness(s.player)
	require.True(t, ok)
	sum := idle.InFlight
	for _, c := range idle.Causes {
		sum += c.Share
	}
	require.InDelta(t, 1, sum, 1e-9, "%v", idle)
	return idle
}

// Each cause by itself, in a pipeline that has no other worth a word.
func TestEachCauseOfIdlenessIsToldApart(t *testing.T) {
	second := func(int) units.Span { return units.Second }
	now := Costs{Supply: 1e6, Stagger: time.Millisecond}
	slow := func(row int) units.Span {
		if row%16 == 0 {
			return 10 * units.Second
		}
		return units.Second
	}
	for _, c := range []struct {
		why     Why
		p       Pipeline
		service func(int) units.Span
		share   float64
	}{
		{IdleStart, Pipeline{Rows: rowsOf(320), BatchSize: 16, MaxConcurrentBatches: 1, MinActors: 2, MaxActors: 2, Costs: Costs{Supply: 1e6, Stagger: 10 * time.Second}}, second, 0.33},
		{IdleUnasked, Pipeline{Rows: rowsOf(13 * 16), BatchSize: 16, MaxActors: 2, Costs: now}, second, 0.5},
		{IdleTail, Pipeline{Rows: rowsOf(320), BatchSize: 16, MaxConcurrentBatches: 1, Costs: now}, slow, 15.0 / 16 * 9 / 10},
		{IdleLayout, Pipeline{Kind: HTTP, Rows: rowsOf(64), BatchSize: 16, Blocks: 64, Costs: now}, second, 0.75},
		{IdleBatch, Pipeline{Rows: rowsOf(320), BatchSize: 8, MaxConcurrentBatches: 4, MaxNumSeqs: 128, Costs: now}, second, 0.75},
		{IdlePermit, Pipeline{Rows: rowsOf(3200), BatchSize: 32, MaxNumSeqs: 128, MaxPending: 32, Costs: now}, second, 0.75},
		{IdleGreed, Pipeline{Rows: rowsOf(256), BatchSize: 16, MaxConcurrentBatches: 1, MaxTasksInFlight: 16, MinActors: 2, MaxActors: 2, Costs: now}, second, 0.5},
		{IdleSupply, Pipeline{Rows: rowsOf(320), BatchSize: 16, MaxConcurrentBatches: 4, Costs: Costs{Supply: 1}}, second, 0.75},
		{IdleDealing, Pipeline{Rows: rowsOf(320), BatchSize: 16, MaxConcurrentBatches: 1, MaxTasksInFlight: 1, Costs: Costs{Supply: 1e6, Refill: time.Second}}, second, 0.5},
		{IdleDrain, Pipeline{Rows: rowsOf(32), BatchSize: 16, MaxConcurrentBatches: 8, Costs: now}, second, 0.75},
	} {
		t.Run(c.why.String(), func(t *testing.T) {
			idle := idleOf(t, c.p, c.service)
			require.Equal(t, c.why, idle.Causes[0].Why, "%v", idle)
			require.InDelta(t, c.share, idle.Of(c.why), 0.05, "%v", idle)
		})
	}
}

// One batch of four rows, one of which takes 10 s and the others 1 s, then as much again: three seats of four wait 9 s
// for the tail, in 20 s and twice the overhead of 10 ms.
func TestIdlenessIsExplained(t *testing.T) {
	p := Pipeline{Rows: rowsOf(8), BatchSize: 4, MaxConcurrentBatches: 1, MaxTasksInFlight: 2, Costs: Costs{Supply: 1e6}}
	service := func(id int) units.Span {
		if id%4 == 0 {
			return 10 * units.Second
		}
		return units.Second
	}
	idle := idleOf(t, p, service)
	require.InDelta(t, 4*20.01, idle.RowSeconds, 1e-6)
	require.InDelta(t, 2*13/(4*20.01), idle.InFlight, 1e-9)
	require.InDelta(t, 2*3*9/(4*20.01), idle.Of(IdleTail), 1e-9)
	require.InDelta(t, 1, idle.InFlight+idle.Of(IdleTail)+idle.Of(IdleDealing), 1e-9)

	p.MinActors, p.Costs.Stagger = 2, 3*time.Second
	idle = idleOf(t, p, service)
	sum := idle.InFlight
	for _, c := range idle.Causes {
		sum += c.Share
	}
	require.InDelta(t, 1, sum, 1e-9)
	require.Contains(t, idle.String(), "start-up")
	_, ok := Idleness(rowsOf(3).At(Closed{1}).Play())
	require.False(t, ok)
}

func TestPipelineCutsWholeBlocks(t *testing.T) {
	tasks := Pipeline{Rows: rowsOf(500), BatchSize: 64, Blocks: 8}.filled().tasks()
	require.Len(t, tasks, 4, "blocks of 62 and 63 rows are merged in pairs: a block is never split")
	require.Equal(t, 126, tasks[0].to)
	require.Equal(t, 500, tasks[3].to)
}

// Random pipelines: each row is sent once and answered, nobody exceeds the limits, and the same seed does the same.
func TestPipelineLaws(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 99))
			n := 1 + r.IntN(400)
			p := Pipeline{
				Rows: rowsOf(n), BatchSize: 1 + r.IntN(40), MaxConcurrentBatches: 1 + r.IntN(6), Blocks: 1 + r.IntN(n),
				MaxNumSeqs: r.IntN(40), MinActors: 1 + r.IntN(2),
			}
			p.MaxActors = p.MinActors + r.IntN(3)
			if r.IntN(3) == 0 {
				p.Kind, p.QPS = HTTP, float64(r.IntN(2)*50)
			}
			service := make([]units.Span, n)
			for i := range service {
				service[i] = units.Span(r.Int64N(int64(2 * units.Second)))
			}
			of := func(id int) units.Span { return service[id] }
			_, by, sent, done := serve(t, p, of)
			require.Len(t, sent, n)
			require.Len(t, done, n)
			require.LessOrEqual(t, len(by), p.MaxActors)
			f := p.filled()
			for replica, peak := range by {
				limit := f.MaxConcurrentBatches * batchesOfATask * p.BatchSize
				if p.Kind == HTTP {
					limit = f.MaxConcurrentBatches * batchesOfATask
				} else if f.MaxPending > 0 {
					limit = min(limit, f.MaxPending)
				}
				require.LessOrEqual(t, peak, limit, "replica %d", replica)
			}
			_, _, again, _ := serve(t, p, of)
			require.Equal(t, sent, again)
		})
	}
}

func TestPipelineRefusesWhatCannotBe(t *testing.T) {
	for want, p := range map[string]Pipeline{
		"nothing is asked":          {},
		"rows = 0":                  {Rows: rowsOf(0), BatchSize: 1},
		"batch_size = 0, want > 0":  {Rows: rowsOf(5)},
		"blocks = 6, want at most":  {Rows: rowsOf(5), BatchSize: 1, Blocks: 6},
		"replicas = 3..2":           {Rows: rowsOf(5), BatchSize: 1, MinActors: 3, MaxActors: 2},
		"concurrency = -1, want ≥ ": {Rows: rowsOf(5), BatchSize: 1, MaxConcurrentBatches: -1},
	} {
		require.ErrorContains(t, p.Validate(), want)
	}
	require.Equal(t, "5 rows prompt 1 output 1 · ray batches of 2, 8 together, 3 blocks, 1..2 actors · seed 0",
		Pipeline{Rows: rowsOf(5), BatchSize: 2, MinActors: 1, MaxActors: 2}.String())
}

func BenchmarkPipeline100k(b *testing.B) {
	p := Pipeline{Rows: rowsOf(100_000), BatchSize: 256, MaxConcurrentBatches: 4, MaxNumSeqs: 1024, Costs: Costs{First: time.Second}}
	for b.Loop() {
		player := p.Play()
		var out []Request
		for {
			at, ok := player.Next()
			if len(out) > 0 && (!ok || out[0].At.Add(units.Second) <= at) {
				player.Done(out[0].ID, out[0].At.Add(units.Second))
				out = out[1:]
				continue
			}
			if !ok {
				break
			}
			out = append(out, player.Send())
		}
	}
}

// Of a cluster's CPUs the stage before the engine has one, or some, for its tasks: four leave one, and blocks come one by
// one, as they did.
func TestBlocksComeAsFastAsTheirStageHasCPUs(t *testing.T) {
	for _, c := range []struct{ cpus, min, max, together int }{{4, 1, 1, 1}, {4, 2, 2, 1}, {8, 1, 1, 5}, {8, 1, 4, 3}, {8, 4, 4, 2}, {1, 1, 1, 1}} {
		p := Pipeline{Rows: rowsOf(60), BatchSize: 1, Blocks: 60, CPUs: c.cpus, MinActors: c.min, MaxActors: c.max}.filled()
		require.Equal(t, c.together, p.preprocessing(), "%+v", c)
		at := func(b int) time.Duration { return p.supplied(b).Sub(p.supplied(0)).Duration() }
		require.Zero(t, at(c.together-1))
		require.Greater(t, at(c.together), p.Costs.Cold)
		require.Equal(t, at(2*c.together)-at(c.together), at(3*c.together)-at(2*c.together))
	}
	one := Pipeline{Rows: rowsOf(60), BatchSize: 1, Blocks: 60, CPUs: 4}.filled()
	require.InDelta(t, 0.153, one.supplied(9).Sub(one.supplied(8)).Seconds(), 1e-9, "measured: 0.149 s a block of one row")
}
