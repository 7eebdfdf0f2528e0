package live

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// A dispatcher plays one workload: it alone talks to the player and writes the Run, and each request has a goroutine
// that reads its answer. A request is in flight from its hand-over until its goroutine has returned it, so at no
// moment can more than the limit be.
type dispatcher struct {
	client *client
	limits Limits
	log    *journal // nil without one
	gone   <-chan struct{}
	exact  bool // sends are timed by the kernel, not by Go's timers; not in virtual time

	player workload.Player
	back   chan *stream
	flying int
	peak   int
	held   int // requests that had to wait because the limit was reached
	tally  *tally

	watch watchdog
	done  map[int]entry // of an earlier, interrupted run of the same workload
	shift units.Span    // by how much that run's end moves what is still to be sent
}

// play sends everything and returns when nothing is in flight. It ends early only if ctx does.
func (d *dispatcher) play(ctx context.Context) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	d.back = make(chan *stream, d.limits.InFlight)
	d.watch = watchdog{clock: d.client.clock, stall: d.limits.Stall, timeout: d.limits.Timeout, streams: map[*stream]struct{}{}}
	var watching sync.WaitGroup
	watched, unwatch := context.WithCancel(ctx)
	watching.Go(func() { d.watch.run(watched) })
	defer watching.Wait()
	defer unwatch()

	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		at, due := d.player.Next()
		switch {
		case ctx.Err() != nil || !due:
			if d.flying == 0 {
				return
			}
			d.take(<-d.back) // the watchdog and the context see to it that it comes
		case d.flying == d.limits.InFlight:
			if at <= d.client.clock.now() {
				d.held++
			}
			d.take(<-d.back)
		default:
			d.wait(ctx, timer, at)
		}
	}
}

// wait sends what is due, or waits until it is, something comes back, or the run is stopped.
func (d *dispatcher) wait(ctx context.Context, timer *time.Timer, at units.Time) {
	early := at.Add(d.shift).Sub(d.client.clock.now())
	if early <= 0 {
		d.send(ctx)
		return
	}
	sleep := early.Duration() + 1 // durations are cut to nanoseconds: never too early
	if d.exact {
		if sleep <= nearly {
			d.takeReady()
			sleepExactly(sleep)
			return
		}
		sleep -= nearly
	}
	timer.Reset(sleep)
	select {
	case s := <-d.back:
		d.take(s)
	case <-timer.C: // look again: with exact there is a rest to sleep
	case <-ctx.Done():
	}
}

// nearly is how long before a send the dispatcher no longer trusts Go's timers.
const nearly = 1500 * time.Microsecond

// takeReady takes what has come back, without waiting.
func (d *dispatcher) takeReady() {
	for {
		select {
		case s := <-d.back:
			d.take(s)
		default:
			return
		}
	}
}

func (d *dispatcher) send(ctx context.Context) {
	r := d.player.Send()
	slot := d.tally.sent(r, d.shift)
	if e, ok := d.done[r.ID]; ok {
		d.tally.restore(slot, e)
		d.player.Done(r.ID, e.end())
		return
	}
	s := &stream{req: r, slot: slot, due: r.At.Add(d.shift)}
	if d.serverGone() {
		s.first, s.last, s.sent, s.ended = units.Never, units.Never, d.client.clock.now(), d.client.clock.now()
		s.end = outcome{class: failure.Refused, detail: "not sent: the server's process is gone"}
		d.finish(s)
		return
	}
	if d.log != nil {
		d.log.sent(r.ID, d.client.clock.now())
	}
	d.flying++
	d.peak = max(d.peak, d.flying)
	own, cancel := context.WithCancelCause(ctx)
	s.cancel = cancel
	s.progress.Store(int64(d.client.clock.now()))
	d.watch.add(s)
	go func() {
		d.client.run(own, s)
		d.watch.remove(s)
		cancel(nil)
		d.back <- s // has room for all that can be in flight
	}()
	runtime.Gosched() // to it: a thread that sleeps exactly keeps its processor, and what waits there, for a while
}

func (d *dispatcher) serverGone() bool {
	select {
	case <-d.gone: // nil, and so never, where the server is not ours
		return true
	default:
		return false
	}
}

func (d *dispatcher) take(s *stream) {
	d.flying--
	d.finish(s)
}

func (d *dispatcher) finish(s *stream) {
	r := d.tally.finish(s)
	if d.log != nil && !s.end.stopped { // a run that is gone on with sends those again
		d.log.ended(r, s)
	}
	at := s.ended
	if s.end.class == failure.None {
		at = s.last
	}
	d.player.Done(s.req.ID, at)
}

// A watchdog gives up on requests whose server has gone silent. Silence of one stream alone is no fault: its request
// may wait in the queue or be preempted while others are served.
type watchdog struct {
	clock          clock
	stall, timeout time.Duration

	mu      sync.Mutex
	streams map[*stream]struct{}
	latest  units.Time // when anything came from the server
	dump    string     // of all goroutines, at the first stall
}

func (w *watchdog) add(s *stream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.streams[s] = struct{}{}
}

func (w *watchdog) remove(s *stream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.first != units.Never {
		w.latest = max(w.latest, units.Time(s.progress.Load()))
	}
	delete(w.streams, s)
}

func (w *watchdog) run(ctx context.Context) {
	tick := time.NewTicker(max(min(w.stall, w.timeout)/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look()
		}
	}
}

func (w *watchdog) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, stall, timeout := w.clock.now(), units.FromDuration(w.stall), units.FromDuration(w.timeout)
	for s := range w.streams {
		w.latest = max(w.latest, units.Time(s.progress.Load()))
	}
	silent := now.Sub(w.latest) > stall
	for s := range w.streams {
		quiet := now.Sub(units.Time(s.progress.Load()))
		late := now.Sub(s.due) > timeout // from the intended send: what a user would wait
		switch {
		case quiet > stall && (silent || late):
			if w.dump == "" {
				w.dump = goroutines()
			}
			s.cancel(fmt.Errorf("%w for %v", errStalled, quiet.Duration().Round(time.Millisecond)))
		case late:
			s.cancel(fmt.Errorf("%w: %v", errTimeout, w.timeout))
		}
	}
}

// goroutines is where everything stands, in bounded space.
func goroutines() string {
	buf := make([]byte, 256<<10)
	return string(buf[:runtime.Stack(buf, true)])
}

// tally collects the Run.
type tally struct {
	run       *record.Run // its Gaps are a histogram, as icl is
	icl       record.Gaps // between chunks
	estimated int         // answers whose tokens were counted by chunks
	usageless int         // answers without any usage
	asked     Lengths
	seconds   []int // chunks that carried tokens, by the second
}

// Lengths are tokens as they were asked for and as the server counted them, over the answers that say.
type Lengths struct {
	PromptAsked, PromptGot, OutputAsked, OutputGot units.Tokens
}

func newTally() *tally {
	t := &tally{run: &record.Run{Start: units.Never}}
	t.run.Gaps.Coarsen()
	t.icl.Coarsen()
	return t
}

func (t *tally) sent(r workload.Request, shift units.Span) int {
	at := r.At.Add(shift)
	t.run.Start = min(t.run.Start, at)
	t.run.Requests = append(t.run.Requests, record.Record{
		ID: r.ID, Stage: r.Stage, Replica: r.Replica, Intended: at, Sent: units.Never, Admitted: units.Never,
		First: units.Never, Last: units.Never, Prompt: r.Prompt, Outcome: failure.Unknown,
	})
	return len(t.run.Requests) - 1
}

func (t *tally) finish(s *stream) *record.Record {
	r := &t.run.Requests[s.slot]
	r.Sent, r.First, r.Last = s.sent, s.first, s.last
	r.Output, r.Cached, r.LongestGap = units.Tokens(s.output()), units.Tokens(s.cached), s.longest
	r.Outcome, r.Detail = s.end.class, s.end.detail
	if s.usage {
		t.asked.PromptAsked += s.req.Prompt
		t.asked.PromptGot += units.Tokens(s.prompt)
		r.Prompt = units.Tokens(s.prompt)
	}
	if r.Outcome != failure.None && r.Outcome != WrongLength {
		return r
	}
	t.run.End = max(t.run.End, s.last)
	if s.last == units.Never {
		r.First, r.Last, t.run.End = s.ended, s.ended, max(t.run.Start, s.ended) // an answer of no token
	}
	t.asked.OutputAsked += s.req.Output
	t.asked.OutputGot += units.Tokens(s.output())
	if s.estimated {
		t.estimated++
	}
	if !s.usage {
		t.usageless++
	}
	for _, g := range s.gaps {
		t.run.Gaps.Add(g.gap, int64(g.n))
	}
	at := s.first
	t.second(at)
	for _, g := range s.chunks {
		t.icl.Add(g, 1)
		at = at.Add(g)
		t.second(at)
	}
	return r
}

// maxSeconds bounds the count by the second: a week.
const maxSeconds = 7 * 24 * 3600

func (t *tally) second(at units.Time) {
	s := int(units.Span(at) / units.Second)
	if s < 0 || s >= maxSeconds {
		return
	}
	for len(t.seconds) <= s {
		t.seconds = append(t.seconds, 0)
	}
	t.seconds[s]++
}
