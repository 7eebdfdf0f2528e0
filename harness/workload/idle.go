package workload

import (
	"fmt"
	"slices"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Idle says how many of the rows that its actors may have in flight a pipeline had, and why not more. Shares are of
// the row-seconds from the first row's leaving to the last answer, of all actors that were asked for.
type Idle struct {
	RowSeconds float64 // that were possible
	InFlight   float64 // share that was used
	Causes     []IdleCause
}

// IdleCause is one reason and its share.
type IdleCause struct {
	Why   string
	Share float64
}

// Why rows were not in flight.
const (
	idleStart  = iota // the actor is asked for, but not ready
	idleTail          // all its slots are taken by batches that wait for their last rows
	idleSupply        // the stages before have not delivered the next task
	idleDriver        // a task is there, but was not dealt or begun yet; other actors may hold it
	idleDrain         // there are no tasks left
	idleCauses
)

var idleNames = [idleCauses]string{"start-up", "batch tails", "supply", "dealing", "drain"}

func (i Idle) String() string {
	parts := []string{fmt.Sprintf("in flight %.1f%%", 100*i.InFlight)}
	for _, c := range i.Causes {
		parts = append(parts, fmt.Sprintf("%s %.1f%%", c.Why, 100*c.Share))
	}
	return strings.Join(parts, " · ")
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
	for cause, rows := range u.by {
		if rows > 0 {
			out.Causes = append(out.Causes, IdleCause{idleNames[cause], rows / u.possible})
		}
	}
	slices.SortStableFunc(out.Causes, func(a, b IdleCause) int {
		switch {
		case a.Share > b.Share:
			return -1
		case a.Share < b.Share:
			return 1
		}
		return 0
	})
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
	limit := d.rowLimit()
	for i := range d.asked {
		u.possible += float64(dt * limit)
		if i >= len(d.actors) || !d.actors[i].ready {
			u.by[idleStart] += float64(dt * limit)
			continue
		}
		used := min(float64(d.actors[i].out), limit)
		u.used += float64(dt * used)
		u.by[d.cause(i)] += float64(dt * (limit - used))
	}
}

// rowLimit is how many rows one actor may have in flight.
func (d *dispatch) rowLimit() float64 {
	rows := d.MaxConcurrentBatches * d.together * d.BatchSize
	if d.Kind == HTTP {
		rows = d.MaxConcurrentBatches * d.together
	}
	if d.MaxPending > 0 {
		rows = min(rows, d.MaxPending)
	}
	return float64(rows)
}

// cause is why a ready actor has not more rows out.
func (d *dispatch) cause(i int) int {
	a := &d.actors[i]
	switch {
	case len(a.running) == d.MaxConcurrentBatches:
		return idleTail
	case len(a.queue) > 0:
		return idleDriver
	case d.next == len(d.tasks):
		return idleDrain
	case d.tasks[d.next].ready > d.now:
		return idleSupply
	}
	return idleDriver
}
