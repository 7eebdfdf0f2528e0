package backtest

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/engine"
)

// SchedulerReport says in how many scenarios the engine decided otherwise than vLLM's own classes did, and where first.
type SchedulerReport struct {
	Vectors   int          `json:"vectors"`
	Steps     int          `json:"steps"`
	Differing int          `json:"differing_vectors"`
	First     []Difference `json:"first_differences"`
}

// Difference is the first step of a scenario that came out differently.
type Difference struct {
	Name string `json:"name"`
	Step int    `json:"step"`
	Want string `json:"want"`
	Got  string `json:"got"`
}

// Scheduler replays scheduler vectors: files in the forms of vLLM's own recorded decisions, JSON or JSON lines, gzip by
// name. Every step's schedule, order, hits, preemptions, queues, blocks and outputs must be the same.
func Scheduler(files ...string) (SchedulerReport, error) {
	rep := SchedulerReport{First: []Difference{}}
	for _, f := range files {
		scenarios, err := readScenarios(f)
		if err != nil {
			return rep, err
		}
		for _, sc := range scenarios {
			rep.Vectors++
			rep.Steps += sc.steps()
			d, err := sc.replay()
			if err != nil {
				return rep, fmt.Errorf("%s: %s: %w", f, sc.Name, err)
			}
			if d != nil {
				rep.Differing++
				rep.First = append(rep.First, *d)
			}
		}
	}
	if rep.Vectors == 0 {
		return rep, fmt.Errorf("no vector in %s", strings.Join(files, ", "))
	}
	return rep, nil
}

// replay drives one scenario and returns the first difference.
func (sc *scenario) replay() (*Difference, error) {
	s, err := engine.NewScheduler(sc.config())
	if err != nil {
		return nil, err
	}
	d := &drive{sc: sc, s: s, ids: sc.ids(), numbers: map[string]engine.RequestID{}}
	for id, name := range d.ids {
		d.numbers[name] = engine.RequestID(id)
	}
	if sc.Large != nil {
		return d.large()
	}
	return d.full()
}

// drive is vLLM's core loop around a scheduler, without a clock: one iteration at a time.
type drive struct {
	sc      *scenario
	s       *engine.Scheduler
	ids     []string // by RequestID: in the order in which ties between requests go
	numbers map[string]engine.RequestID
	queue   []*engine.Batch
	added   int
	stats   engine.Counters
}

// iteration is what one turn of the loop did.
type iteration struct {
	scheduled *engine.Batch
	after     engine.State
	processed int // number of the batch whose output was taken, 0 = none
	outputs   []engine.Output
}

func (d *drive) turn(n int) (iteration, error) {
	var it iteration
	for ; d.added < len(d.sc.order) && d.sc.order[d.added].step <= n; d.added++ {
		if err := d.s.Add(d.sc.order[d.added].Request); err != nil {
			return it, err
		}
	}
	if id, ok := d.sc.abortAt(n); ok {
		d.s.Abort(d.numbers[id])
	}
	depth := 1
	if d.sc.Config.Async {
		depth = max(d.sc.Config.PP, 1) + 1
	}
	coming := d.added < len(d.sc.order)
	if d.s.HasWork() || !d.sc.Config.Async || coming {
		it.scheduled = d.s.Schedule()
		d.queue = append(d.queue, it.scheduled)
		if d.sc.Large == nil {
			it.after = d.s.State()
		}
		if len(d.queue) < depth && (it.scheduled.Work.Tokens > 0 || d.s.HasWork() || coming) {
			return it, nil
		}
	}
	if len(d.queue) > 0 {
		it.processed = d.queue[0].Number
		it.outputs = d.s.Update(d.queue[0])
		d.queue = d.queue[1:]
	}
	return it, nil
}

// full compares scenarios in the form that keeps everything.
func (d *drive) full() (*Difference, error) {
	for i, want := range d.sc.Steps {
		n := max(want.Step, want.Iter)
		if n == 0 {
			n = i + 1
		}
		it, err := d.turn(n)
		if err != nil {
			return nil, err
		}
		w, g := want.render(), d.render(it, want)
		for k := range w {
			if w[k] != g[k] {
				return &Difference{Name: d.sc.Name, Step: n, Want: w[k], Got: g[k]}, nil
			}
		}
	}
	if id, ok := d.sc.abortAt(len(d.sc.Steps) + 1); ok {
		d.s.Abort(d.numbers[id])
	}
	if d.s.Unfinished() > 0 {
		return &Difference{Name: d.sc.Name, Step: len(d.sc.Steps) + 1, Want: "done", Got: fmt.Sprintf("%d requests left", d.s.Unfinished())}, nil
	}
	return nil, nil
}

// render says in the same words what the engine did, for each part that the recorded step has.
func (d *drive) render(it iteration, want step) []string {
	var out []string
	part := func(name string, have bool, value string) {
		if have {
			out = append(out, name+" "+value)
		}
	}
	if want.Sched == nil {
		if it.scheduled != nil {
			part("sched", true, d.rows(it.scheduled))
		} else {
			part("sched", true, "none")
		}
	} else if it.scheduled == nil {
		part("sched", true, "none")
	} else {
		part("sched", true, d.rows(it.scheduled))
		part("new", true, d.admissions(it.scheduled, false))
		part("resumed", true, d.admissions(it.scheduled, true))
		var pre []string
		for _, p := range it.scheduled.Preempted {
			pre = append(pre, d.ids[p.ID])
		}
		slices.Sort(pre)
		part("preempted", true, strings.Join(pre, " "))
		a, st := want.After, it.after
		part("running", a.Running != nil, d.names(st.Running, nil))
		part("waiting", a.Waiting != nil, d.names(st.Waiting, st.Deferred))
		part("blocks", a.Blocks != nil, renderMap(d.named(st.Blocks)))
		part("free", a.Free != nil, fmt.Sprint(nonNil(st.Free)))
		part("usage", a.Usage != nil, fmt.Sprintf("%.3f", st.Usage))
		part("computed", a.Computed != nil, renderMap(d.counts(st.Computed)))
		part("placeholders", a.Placeholders != nil, renderMap(d.counts(st.Expected)))
	}
	if want.Outputs != nil {
		var o []string
		for _, x := range it.outputs {
			t := d.ids[x.ID] + "+1"
			switch x.Reason {
			case engine.Length:
				t += "!LENGTH"
			case engine.Stop:
				t += "!STOP"
			}
			o = append(o, t)
		}
		if it.processed == 0 {
			o = []string{"nothing processed"}
		}
		part("outputs", true, strings.Join(o, " "))
		part("processed", want.Processed != nil, fmt.Sprint(it.processed))
		st := d.s.State()
		part("free_after", want.FreeAfter != nil, fmt.Sprint(nonNil(st.Free)))
		part("usage_after", want.UsageAfter != nil, fmt.Sprintf("%.3f", st.Usage))
		if want.Stats != nil {
			part("stats", true, d.statistics(want, st))
		}
	} else if it.processed != 0 {
		part("processed", true, fmt.Sprint(it.processed))
	}
	return out
}

// statistics is what vLLM would report after the update; the prefix cache as the difference to the last report.
func (d *drive) statistics(want step, st engine.State) string {
	c := d.s.Counters()
	pc := prefixStats{
		Req: c.Requests - d.stats.Requests, Q: int(c.Queries - d.stats.Queries), H: int(c.Hits - d.stats.Hits),
		PReq: c.ResumedRequests - d.stats.ResumedRequests, PQ: int(c.ResumedQueries - d.stats.ResumedQueries), PH: int(c.ResumedHits - d.stats.ResumedHits),
	}
	d.stats = c
	got := vectorStats{Running: d.s.Running(), Waiting: d.s.Waiting(), Usage: st.Usage}
	if want.Stats.Skipped != nil {
		k := d.s.Deferred()
		got.Waiting, got.Skipped = got.Waiting-k, &k
	}
	if want.Stats.PC != nil {
		got.PC = &pc
	}
	return got.String()
}

func (d *drive) rows(b *engine.Batch) string {
	var l []string
	for id, n := range b.Rows {
		l = append(l, fmt.Sprintf("%s:%d", d.ids[id], n))
	}
	return strings.Join(l, " ")
}

func (d *drive) admissions(b *engine.Batch, resumed bool) string {
	var l []string
	for _, a := range b.Admitted {
		if a.Resumed == resumed {
			l = append(l, fmt.Sprintf("%s:%d", d.ids[a.ID], a.Hits))
		}
	}
	slices.Sort(l)
	return strings.Join(l, " ")
}

func (d *drive) names(ids []engine.RequestID, marked map[engine.RequestID]bool) string {
	var l []string
	for _, id := range ids {
		if marked[id] {
			l = append(l, "*"+d.ids[id])
		} else {
			l = append(l, d.ids[id])
		}
	}
	return strings.Join(l, " ")
}

func (d *drive) named(m map[engine.RequestID][]int) map[string]string {
	out := map[string]string{}
	for id, v := range m {
		out[d.ids[id]] = fmt.Sprint(v)
	}
	return out
}

func (d *drive) counts(m map[engine.RequestID]int) map[string]string {
	out := map[string]string{}
	for id, v := range m {
		out[d.ids[id]] = fmt.Sprint(v)
	}
	return out
}

func renderMap(m map[string]string) string {
	var l []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		l = append(l, k+":"+m[k])
	}
	return strings.Join(l, " ")
}

func nonNil(l []int) []int {
	if l == nil {
		return []int{}
	}
	return l
}

// large compares scenarios in the compact form: one row of counts a step, and one result a request.
func (d *drive) large() (*Difference, error) {
	type result struct{ first, last, hits, preemptions int }
	results := make([]result, len(d.ids))
	seen := make([]bool, len(d.ids))
	for i, want := range d.sc.Large.steps {
		it, err := d.turn(i + 1)
		if err != nil {
			return nil, err
		}
		got := "null"
		if b := it.scheduled; b != nil {
			var pre []int
			for _, a := range b.Admitted {
				if !seen[a.ID] {
					seen[a.ID] = true
					results[a.ID].hits = int(a.Hits)
				}
			}
			for _, p := range b.Preempted {
				n := d.sc.Large.index[d.ids[p.ID]]
				pre = append(pre, n)
				results[p.ID].preemptions++
			}
			sort.Ints(pre)
			got = d.afterSchedule(b, pre)
		}
		for _, o := range it.outputs {
			r := &results[o.ID]
			if r.first == 0 {
				r.first = i + 1
			}
			if o.Reason != engine.NotFinished {
				r.last = i + 1
			}
		}
		if got != want {
			return &Difference{Name: d.sc.Name, Step: i + 1, Want: want, Got: got}, nil
		}
	}
	for n, want := range d.sc.Large.results {
		r := results[d.numbers[fmt.Sprint(n)]]
		if got := [4]int{r.first, r.last, r.hits, r.preemptions}; got != want {
			return &Difference{Name: d.sc.Name, Step: len(d.sc.Large.steps), Want: fmt.Sprintf("request %d %v", n, want), Got: fmt.Sprintf("request %d %v", n, got)}, nil
		}
	}
	return nil, nil
}

// afterSchedule renders a compact row.
func (d *drive) afterSchedule(b *engine.Batch, pre []int) string {
	return fmt.Sprintf("%d %d %d %d %d %v", b.Work.Decodes+len(b.Work.Chunks), b.Work.Tokens, b.Work.Running, b.Waiting, b.Free, nonNil(pre))
}
