package workload

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Idle says how many of the rows that its engines have room for a pipeline had in flight, and why not more. Shares are of
// the row-seconds from the first row's leaving to the last answer, of all actors that the pool may have.
type Idle struct {
	RowSeconds float64 // that were possible
	InFlight   float64 // share that was used
	Causes     []IdleCause
}

// IdleCause is one reason and its share.
type IdleCause struct {
	Why   Why
	Share float64
}

// Why rows were not in flight.
type Why int

const (
	IdleStart   Why = iota // the actor is asked for, but not ready
	IdleUnasked            // the pool may have the actor, but nobody asked for it yet
	IdleTail               // the other rows of running batches are answered, their slot is taken until the last is
	IdleLayout             // running tasks hold fewer rows or batches than could run together: their blocks are too small
	IdleBatch              // batch_size × max_concurrent_batches is below the engine's seats
	IdlePermit             // rows wait in the replica's semaphore while its engine has seats
	IdleRate               // batches are built slowly, as qps says
	IdleGreed              // there are tasks, but they queue at other actors
	IdleSupply             // the stages before have not delivered the next task
	IdleDealing            // a task is there, but the driver has not dealt it, or a row is on its way
	IdleDrain              // there are no tasks left
	idleCauses
)

func (w Why) String() string {
	return [idleCauses]string{"start-up", "actors not asked for", "batch tails", "block layout", "batch size", "semaphore", "rate limit",
		"greedy assignment", "supply", "dealing", "drain"}[w]
}

func (i Idle) String() string {
	parts := []string{fmt.Sprintf("in flight %.1f%%", 100*i.InFlight)}
	for _, c := range i.Causes {
		parts = append(parts, fmt.Sprintf("%v %.1f%%", c.Why, 100*c.Share))
	}
	return strings.Join(parts, " · ")
}

// Of is the share of one cause.
func (i Idle) Of(w Why) float64 {
	for _, c := range i.Causes {
		if c.Why == w {
			return c.Share
		}
	}
	return 0
}

// Idleness reports on a player of a Pipeline that was played to its end; false for any other player.
func Idleness(p Player) (Idle, bool) {
	pp, ok := p.(*pipelinePlayer)
	if !ok || pp.real.idle == nil {
		return Idle{}, false
	}
	u := pp.real.idle
	out := Idle{RowSeconds: u.possible}
	if u.possible == 0 {
		return out, true
	}
	out.InFlight = u.used / u.possible
	for why, rows := range u.by {
		if rows > 0 {
			out.Causes = append(out.Causes, IdleCause{Why(why), rows / u.possible})
		}
	}
	slices.SortStableFunc(out.Causes, func(a, b IdleCause) int { return cmp.Compare(b.Share, a.Share) })
	return out, true
}

// usage integrates over time; only the real dispatch has one, not the copies that look ahead.
type usage struct {
	since          units.Time // Never before the first row left
	possible, used float64
	by             [idleCauses]float64
}

// account closes the interval up to t, in which nothing changed.
func (d *dispatch) account(t units.Time) {
	u := d.idle
	if u == nil || u.since == units.Never || t <= u.since || d.stopped() {
		return
	}
	dt := t.Sub(u.since).Seconds()
	u.since = t
	seats := d.seats()
	queued := 0 // tasks that wait for a slot of their actor
	for i := range d.actors {
		queued += len(d.actors[i].queue)
	}
	for i := range max(d.asked, min(d.MaxActors, d.Budget)) {
		u.possible += float64(dt * seats)
		switch {
		case i >= d.asked:
			u.by[IdleUnasked] += float64(dt * seats)
			continue
		case i >= len(d.actors) || !d.actors[i].ready:
			u.by[IdleStart] += float64(dt * seats)
			continue
		}
		used := min(float64(d.actors[i].out), seats)
		u.used += float64(dt * used)
		if used == seats {
			continue
		}
		missing := d.missing(i, seats, queued)
		sum := 0.0
		for _, rows := range missing {
			sum += rows
		}
		for why, rows := range missing {
			u.by[why] += float64(dt * (seats - used) * (rows / sum))
		}
	}
}

// seats is how many rows an engine has room for: vLLM's --max-num-seqs where it is known, else what its slots hold. The
// HTTP processor has four batches of each task under way, and one row of each.
func (d *dispatch) seats() float64 {
	switch {
	case d.Kind == HTTP:
		return float64(d.MaxConcurrentBatches * batchesOfATask)
	case d.MaxNumSeqs > 0:
		return float64(d.MaxNumSeqs)
	}
	rows := d.MaxConcurrentBatches * d.together * d.BatchSize
	if d.MaxPending > 0 {
		rows = min(rows, d.MaxPending)
	}
	return float64(rows)
}

// missing weighs why a ready actor has not more rows out. Each slot could carry its part of the seats.
func (d *dispatch) missing(i int, seats float64, queued int) (rows [idleCauses]float64) {
	a := &d.actors[i]
	for _, w := range a.waiting {
		rows[IdlePermit] += float64(w.to - w.from)
	}
	part, left := seats/float64(d.MaxConcurrentBatches), 0.0
	for s := range a.running {
		could := d.could(a.running[s].task)
		lack := max(0, part-could)
		if d.Kind == VLLM && d.MaxNumSeqs > 0 { // what a full batch would not fill either is not the blocks' doing
			small := max(0, part-max(could, float64(d.BatchSize)))
			rows[IdleBatch] += small
			lack -= small
		}
		rows[IdleLayout] += lack
		rows[IdleTail] += max(0, min(part, could)-float64(a.running[s].left))
		left += float64(a.running[s].left)
	}
	if onTheWay := max(0, left-rows[IdlePermit]-float64(a.out)); d.QPS > 0 {
		rows[IdleRate] += onTheWay
	} else {
		rows[IdleDealing] += onTheWay
	}
	free := float64(part * float64(d.MaxConcurrentBatches-len(a.running)))
	switch {
	case free == 0:
	case len(a.queue) > 0:
		rows[IdleDealing] += free
	case d.next == len(d.tasks) && queued > 0:
		rows[IdleGreed] += free
	case d.next == len(d.tasks):
		rows[IdleDrain] += free
	case d.tasks[d.next].ready > d.now:
		rows[IdleSupply] += free
	default:
		rows[IdleDealing] += free
	}
	if rows == [idleCauses]float64{} {
		rows[IdleDealing] = 1
	}
	return rows
}

// could is how many rows of a task can be out at once.
func (d *dispatch) could(task int32) float64 {
	rows := d.tasks[task].to - d.tasks[task].from
	batches := min(units.CeilDiv(rows, d.BatchSize), batchesOfATask)
	if d.Kind == HTTP {
		return float64(batches)
	}
	return float64(min(rows, batches*d.BatchSize))
}
