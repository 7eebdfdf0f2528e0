package workload

import (
	"math"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// dispatch is the state machine behind a Pipeline: who has which task, and which rows leave when. It can be copied, so
// that a player can look ahead without deciding anything.
type dispatch struct {
	*plan
	now    units.Time
	events []event // by time, then by order of creation
	next   int     // first task that was not dealt
	asked  int     // actors asked for, ready or not
	actors []actor
	batch  []batchState // of running batches; slots are reused
	free   []int32      // unused slots of batch
	waking bool         // an event for the next task's arrival is under way
	idle   *usage       // nil in a copy

	errored int // tasks that failed
	fate    Fate
}

// plan is what does not change.
type plan struct {
	Pipeline
	tasks    []task
	overhead units.Span
	together int // batches of one task that can run at once
}

// event is something that will happen by itself.
type event struct {
	at    units.Time
	what  eventKind
	actor int32
	batch int32 // rowsLeave, taskFails
	from  int32 // rowsLeave: these rows
	to    int32
}

type eventKind uint8

const (
	rowsLeave  eventKind = iota // rows reach the server
	actorReady                  // an actor can be given tasks
	taskArrive                  // the next task's last block is there
	taskGone                    // the driver notices that a task of this actor ended
	taskFails                   // a batch's last try and the wait after it are over
	jobStops                    // the driver has ended all actors because a task failed
)

// actor is one replica of the stage.
type actor struct {
	ready    bool
	inFlight int     // tasks dealt to it, as the driver counts them
	queue    []int32 // of those, not begun
	running  []runningTask
	out      int       // rows at the server
	permits  int       // rows that may still go to the engine
	waiting  []rowSpan // rows that wait for a permit, first come first served
}

type runningTask struct {
	task    int32
	next    int32 // first row that is in no batch yet
	batches int32 // running
	failed  int32 // rows that come out as errors
	left    int32 // rows of running batches without an answer; HTTP: such batches, which have one row out each
}

// batchState is a batch of which rows are still out.
type batchState struct {
	actor, task int32
	next, to    int32 // HTTP: the next row to send
	left        int32 // rows without an answer; 0 = the slot is free
	orphan      bool  // its task failed: what is under way goes on, for nobody
}

type rowSpan struct{ batch, from, to int32 }

func newDispatch(p Pipeline) *dispatch {
	d := &dispatch{plan: &plan{Pipeline: p, tasks: p.tasks(), together: p.batchesTogether(), overhead: units.FromDuration(p.Costs.Overhead)},
		idle: &usage{since: units.Never}, fate: Fate{Stopped: units.Never}}
	for j := range p.MinActors {
		d.ask(units.FromDuration(p.Costs.First) + units.Span(j)*units.FromDuration(p.Costs.Stagger))
	}
	return d
}

// copyFrom makes d equal to s, reusing d's memory.
func (d *dispatch) copyFrom(s *dispatch) {
	events, actors, batch, free := d.events, d.actors, d.batch, d.free
	*d = *s
	d.events = append(events[:0], s.events...)
	d.batch = append(batch[:0], s.batch...)
	d.free = append(free[:0], s.free...)
	d.idle = nil
	for len(actors) < len(s.actors) {
		actors = append(actors, actor{})
	}
	d.actors = actors[:len(s.actors)]
	for i := range s.actors {
		from, to := &s.actors[i], &d.actors[i]
		queue, running, waiting := to.queue, to.running, to.waiting
		*to = *from
		to.queue = append(queue[:0], from.queue...)
		to.running = append(running[:0], from.running...)
		to.waiting = append(waiting[:0], from.waiting...)
	}
}

func (d *dispatch) schedule(e event) {
	if n := len(d.events); n > 0 && e.what == rowsLeave { // rows that follow each other leave as one event
		if l := &d.events[n-1]; l.at == e.at && l.what == rowsLeave && l.batch == e.batch && l.to == e.from {
			l.to = e.to
			return
		}
	}
	i := len(d.events)
	for i > 0 && d.events[i-1].at > e.at {
		i--
	}
	d.events = slices.Insert(d.events, i, e)
}

// ask requests an actor, ready after so long.
func (d *dispatch) ask(after units.Span) {
	d.schedule(event{at: d.now.Add(after + units.FromDuration(d.Costs.Load)), what: actorReady, actor: int32(d.asked)})
	d.asked++
}

// untilRows lets everything happen up to the next time at which rows leave; false when nothing more happens by itself.
func (d *dispatch) untilRows() bool {
	for len(d.events) > 0 && d.events[0].what != rowsLeave {
		d.step()
	}
	return len(d.events) > 0
}

// upTo lets everything but rows leaving happen up to t.
func (d *dispatch) upTo(t units.Time) {
	for len(d.events) > 0 && d.events[0].at <= t && d.events[0].what != rowsLeave {
		d.step()
	}
	d.account(t)
	d.now = max(d.now, t)
}

func (d *dispatch) step() {
	e := d.events[0]
	d.account(e.at)
	d.events = slices.Delete(d.events, 0, 1)
	d.now = max(d.now, e.at)
	switch e.what {
	case actorReady:
		for int(e.actor) >= len(d.actors) {
			d.actors = append(d.actors, actor{permits: math.MaxInt})
		}
		a := &d.actors[e.actor]
		a.ready = true
		if d.MaxPending > 0 {
			a.permits = d.MaxPending
		}
		d.begin(int(e.actor))
	case taskGone:
		d.actors[e.actor].inFlight--
	case taskArrive:
		d.waking = false
	case taskFails:
		d.failTask(e.batch)
	case jobStops:
		d.fate.Stopped, d.events = d.now, d.events[:0]
		return
	}
	d.deal()
}

func (d *dispatch) stopped() bool { return d.fate.Stopped != units.Never }

// deal gives waiting tasks to the actors with the fewest, then asks for more actors if the pool is full.
func (d *dispatch) deal() {
	for d.next < len(d.tasks) {
		best := -1
		for i := range d.actors {
			a := &d.actors[i]
			if a.ready && a.inFlight < d.MaxTasksInFlight && (best < 0 || a.inFlight < d.actors[best].inFlight) {
				best = i
			}
		}
		if best < 0 {
			return
		}
		if t := d.tasks[d.next].ready; t > d.now {
			if !d.waking {
				d.schedule(event{at: t, what: taskArrive})
				d.waking = true
			}
			return
		}
		a := &d.actors[best]
		a.inFlight++
		a.queue = append(a.queue, int32(d.next))
		d.next++
		d.begin(best)
		d.scaleUp()
	}
}

// scaleUp asks for as many actors as the tasks that are there would fill, once those it has are nearly full.
func (d *dispatch) scaleUp() {
	const full = 1.75
	if d.asked >= min(d.MaxActors, d.Budget) {
		return
	}
	inFlight := 0
	for i := range d.actors {
		inFlight += d.actors[i].inFlight
	}
	m := float64(d.MaxConcurrentBatches)
	if float64(inFlight) < float64(full*m)*float64(d.asked) {
		return
	}
	waiting := 0
	for i := d.next; i < len(d.tasks) && d.tasks[i].ready <= d.now; i++ {
		waiting++
	}
	add := max(1, int(math.Ceil(float64(inFlight+waiting)/float64(full*m)))-d.asked)
	for i := range min(add, min(d.MaxActors, d.Budget)-d.asked) {
		d.ask(units.FromDuration(d.Costs.Added) + units.Span(i)*units.FromDuration(d.Costs.AddedStagger))
	}
}

// begin starts queued tasks in the free slots of an actor.
func (d *dispatch) begin(i int) {
	a := &d.actors[i]
	for len(a.queue) > 0 && len(a.running) < d.MaxConcurrentBatches {
		t := a.queue[0]
		a.queue = slices.Delete(a.queue, 0, 1)
		a.running = append(a.running, runningTask{task: t, next: int32(d.tasks[t].from)})
		d.startBatches(i, len(a.running)-1)
	}
}

// startBatches starts batches of a running task until four run together.
func (d *dispatch) startBatches(i, slot int) {
	r := &d.actors[i].running[slot]
	end := int32(d.tasks[r.task].to)
	for r.batches < batchesOfATask && r.next < end {
		to := min(r.next+int32(d.BatchSize), end)
		b := d.newBatch(batchState{actor: int32(i), task: r.task, next: r.next, to: to, left: to - r.next})
		r.next = to
		r.batches++
		if d.Kind == HTTP {
			r.left++
			d.sendNext(b, d.building(to-d.batch[b].next))
		} else {
			a := &d.actors[i]
			r.left += d.batch[b].left
			a.waiting = append(a.waiting, rowSpan{b, d.batch[b].next, to})
			d.admit(i)
		}
	}
}

func (d *dispatch) newBatch(s batchState) int32 {
	if n := len(d.free); n > 0 {
		b := d.free[n-1]
		d.free = d.free[:n-1]
		d.batch[b] = s
		return b
	}
	d.batch = append(d.batch, s)
	return int32(len(d.batch) - 1)
}

// building is how long the rate limit delays a batch of so many rows before its first.
func (d *dispatch) building(rows int32) units.Span {
	if d.QPS <= 0 {
		return 0
	}
	return units.Seconds(float64(rows) / d.QPS)
}

// sendNext sends the next row of an HTTP batch.
func (d *dispatch) sendNext(b int32, after units.Span) {
	s := &d.batch[b]
	d.schedule(event{at: d.now.Add(after + d.overhead), what: rowsLeave, actor: s.actor, batch: b, from: s.next, to: s.next + 1})
	s.next++
}

// admit lets waiting rows go while there are permits.
func (d *dispatch) admit(i int) {
	a := &d.actors[i]
	for a.permits > 0 && len(a.waiting) > 0 {
		w := &a.waiting[0]
		n := int32(min(a.permits, int(w.to-w.from)))
		d.schedule(event{at: d.now.Add(d.overhead), what: rowsLeave, actor: int32(i), batch: w.batch, from: w.from, to: w.from + n})
		a.permits -= int(n)
		w.from += n
		if w.from == w.to {
			a.waiting = slices.Delete(a.waiting, 0, 1)
		}
	}
}

// answered takes one row's answer.
func (d *dispatch) answered(b int32) {
	s := &d.batch[b]
	i := int(s.actor)
	s.left--
	d.actors[i].out--
	if !s.orphan && (d.Kind == VLLM || s.left == 0) {
		d.actors[i].running[d.slotOf(b)].left--
	}
	if d.Kind == HTTP {
		if s.next < s.to {
			d.sendNext(b, 0)
		}
	} else {
		d.actors[i].permits++
		d.admit(i)
	}
	if s.left > 0 {
		return
	}
	d.free = append(d.free, b)
	if s.orphan {
		return
	}
	a, slot := &d.actors[i], d.slotOf(b)
	a.running[slot].batches--
	d.startBatches(i, slot)
	r := a.running[slot]
	if r.batches > 0 {
		return
	}
	a.running = slices.Delete(a.running, slot, slot+1)
	t := d.tasks[r.task]
	d.fate.OK += t.to - t.from - int(r.failed)
	d.fate.Failed += int(r.failed)
	d.slotFree(i)
}

// slotFree starts what queues at an actor and lets the driver know, later, that a task is over.
func (d *dispatch) slotFree(i int) {
	after := d.Costs.Task
	if d.MaxTasksInFlight <= d.MaxConcurrentBatches {
		after = d.Costs.Refill // nothing queues at the actor: the driver must send it
	}
	d.schedule(event{at: d.now.Add(units.FromDuration(after)), what: taskGone, actor: int32(i)})
	d.begin(i)
}
