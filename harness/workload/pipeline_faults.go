package workload

import (
	"slices"
	"time"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// OnError is what Ray Data does about rows that fail. The zero value is its default: nothing is tried again, and the
// first task that fails ends the job.
type OnError struct {
	MaxRetries       int           // of an HTTP request, beyond the first try
	BaseRetryWait    time.Duration // before the first of them, twice as long before each further one; 0 = 1 s
	MaxErroredBlocks int           // tasks that may fail, all their rows with them; -1 = any number
	Continue         bool          // should_continue_on_error: what the engine refuses comes out as an error row; HTTP has no such switch
}

func (o OnError) baseWait() units.Span {
	if o.BaseRetryWait == 0 {
		return units.Second
	}
	return units.FromDuration(o.BaseRetryWait)
}

// Fault is how a request ended that brought no tokens.
type Fault int

const (
	Rejected   Fault = iota // an answer that says no. To the HTTP processor it is a result like any other, vLLM raises it
	Retryable               // 408, 429, 502 to 504, a timeout, a connection that broke: the HTTP processor tries again
	Raised                  // an exception that no try heals, such as an HTTP error that is not JSON
	EngineDead              // the actor exits with its engine; HTTP knows it as a connection that broke
)

// Fail tells p, instead of Done, that the request of a row came to nothing. Who is no player of a Pipeline takes it as
// Done.
func Fail(p Player, id int, at units.Time, f Fault) {
	if pp, ok := p.(*pipelinePlayer); ok {
		pp.fail(id, at, f)
		return
	}
	p.Done(id, at)
}

// Kill tells a player of a Pipeline that an actor died. Its running tasks are computed again, from the start, once it is
// there again; what it had in flight is forgotten, and no answer to it is expected.
func Kill(p Player, actor int, at units.Time) {
	pp := p.(*pipelinePlayer)
	pp.known = false
	if pp.real.upTo(at); !pp.real.stopped() {
		pp.kill(int32(actor))
	}
}

// Fate is what became of a pipeline's rows: Asked = OK + Failed + Dropped + Lost, once it is over.
type Fate struct {
	Asked   int
	OK      int
	Failed  int        // came out with an error in the answer's place
	Dropped int        // of tasks that failed, as MaxErroredBlocks allows
	Lost    int        // did not come out
	Resent  int        // requests beyond the first of a row: retries, and tasks computed again
	Stopped units.Time // when the job was ended because a task failed; Never if it was not
}

// Outcome reports on a player of a Pipeline; false for any other player. Rows that may still come out count as lost.
func Outcome(p Player) (Fate, bool) {
	pp, ok := p.(*pipelinePlayer)
	if !ok {
		return Fate{}, false
	}
	var end dispatch // what happens by itself after the last answer, happens
	end.copyFrom(pp.real)
	end.untilRows()
	f := end.fate
	f.Asked = len(pp.rows)
	f.Lost = f.Asked - f.OK - f.Failed - f.Dropped
	for _, n := range pp.sends {
		f.Resent += max(0, int(n)-1)
	}
	return f, true
}

// fail takes the end of a request that brought nothing; tries counts those of its row that did, this one included.
func (d *dispatch) fail(b, row int32, f Fault, tries int) {
	s := &d.batch[b]
	switch {
	case d.Kind == HTTP && f == Rejected, d.Kind == VLLM && d.OnError.Continue, s.orphan:
		if !s.orphan {
			d.actors[s.actor].running[d.slotOf(b)].failed++
		}
		d.answered(b)
	case d.Kind == HTTP && f == Raised:
		d.actors[s.actor].out--
		d.failTask(b)
	case d.Kind == HTTP: // the wait comes after the last try, too
		d.actors[s.actor].out--
		at := d.now.Add(d.OnError.baseWait() << min(tries-1, 20))
		if tries > d.OnError.MaxRetries {
			d.schedule(event{at: at, what: taskFails, actor: s.actor, batch: b})
			return
		}
		d.schedule(event{at: at.Add(d.overhead), what: rowsLeave, actor: s.actor, batch: b, from: row, to: row + 1})
	default:
		d.failTask(b)
		d.answered(b)
	}
}

func (d *dispatch) slotOf(b int32) int {
	s := d.batch[b]
	return slices.IndexFunc(d.actors[s.actor].running, func(r runningTask) bool { return r.task == s.task })
}

// failTask gives up the task of a batch, and with the task the job, unless so many may fail. Rows that are under way or
// wait for a permit are not called back; the slot is free at once.
func (d *dispatch) failTask(b int32) {
	failed := d.batch[b]
	i, slot := int(failed.actor), d.slotOf(b)
	if d.Kind == HTTP { // nobody sends the rest of this batch
		d.release(b)
	}
	for o := range d.batch {
		if s := &d.batch[o]; s.left > 0 && s.actor == failed.actor && s.task == failed.task {
			s.orphan = true
		}
	}
	a := &d.actors[i]
	a.running = slices.Delete(a.running, slot, slot+1)
	switch d.errored++; {
	case d.OnError.MaxErroredBlocks < 0 || d.errored <= d.OnError.MaxErroredBlocks:
		t := d.tasks[failed.task]
		d.fate.Dropped += t.to - t.from
	case d.errored == d.OnError.MaxErroredBlocks+1:
		d.schedule(event{at: d.now.Add(units.FromDuration(d.Costs.Abort)), what: jobStops})
	}
	d.slotFree(i)
}

// release forgets a batch.
func (d *dispatch) release(b int32) {
	d.batch[b].left = 0
	d.free = append(d.free, b)
}

// die takes an actor away with all that it runs, and asks for it again.
func (d *dispatch) die(i int32) {
	d.events = slices.DeleteFunc(d.events, func(e event) bool { return e.actor == i && (e.what == rowsLeave || e.what == taskFails) })
	for b := range d.batch {
		if s := &d.batch[b]; s.left > 0 && s.actor == i {
			d.release(int32(b))
		}
	}
	a := &d.actors[i]
	var again []int32
	for _, r := range a.running {
		again = append(again, r.task)
	}
	a.queue = append(again, a.queue...)
	a.running, a.waiting, a.out, a.ready = a.running[:0], a.waiting[:0], 0, false
	d.schedule(event{at: d.now.Add(units.FromDuration(d.Costs.Restart + d.Costs.Load)), what: actorReady, actor: i})
}

// fail and kill keep the player's own account beside the dispatch's.
func (p *pipelinePlayer) fail(id int, at units.Time, f Fault) {
	p.known = false
	p.real.upTo(at)
	b := p.batchOf[id]
	if b == none || p.real.stopped() {
		return
	}
	if f == EngineDead && p.real.Kind == VLLM {
		p.kill(p.real.batch[b].actor)
		return
	}
	p.batchOf[id] = none
	p.tries[id]++
	p.real.fail(b, int32(id), f, int(p.tries[id]))
}

func (p *pipelinePlayer) kill(actor int32) {
	for row, b := range p.batchOf {
		if b != none && p.real.batch[b].actor == actor {
			p.batchOf[row], p.tries[row] = none, 0
		}
	}
	p.real.die(actor)
}
