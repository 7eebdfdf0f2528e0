package backtest

import (
	"cmp"
	"container/heap"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// PipelineReport says how far Ray Data's dispatch as modelled is from the arrivals that a real one made at its server.
// Errors are (model − measured) ÷ measured, in percent.
type PipelineReport struct {
	Runs     int           `json:"runs"`
	Skipped  []SkippedCase `json:"skipped"`
	Makespan Spread        `json:"makespan_abs_pct"`
	Mean     Spread        `json:"mean_in_flight_abs_pct"`
	Curve    Spread        `json:"in_flight_curve_abs_pct"` // mean |difference| of the two curves ÷ measured mean
	Exact    int           `json:"peak_exact"`              // runs whose peak is the measured one
	PerRun   []PipelineRun `json:"per_run"`
}

// SkippedCase is a case that the model does not cover.
type SkippedCase struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

// Spread is the median and the 90th percentile of absolute errors, percent.
type Spread struct {
	Median float64 `json:"median"`
	P90    float64 `json:"p90"`
}

// PipelineRun is one run, measured and modelled. The makespan goes from the first arrival to the last finish.
type PipelineRun struct {
	ID            string  `json:"id"`
	Clean         bool    `json:"clean"`
	MakespanS     float64 `json:"makespan_s"`
	MakespanSim   float64 `json:"makespan_s_predicted"`
	MakespanPct   float64 `json:"makespan_pct"`
	MeanInFlight  float64 `json:"mean_in_flight"`
	MeanSim       float64 `json:"mean_in_flight_predicted"`
	MeanPct       float64 `json:"mean_in_flight_pct"`
	PeakInFlight  int     `json:"peak_in_flight"`
	PeakSim       int     `json:"peak_in_flight_predicted"`
	CurvePct      float64 `json:"in_flight_curve_pct"`
	FirstArrivalS float64 `json:"first_arrival_s"`
	Idle          string  `json:"idle"` // why the model had not more rows in flight
}

// Pipeline replays every run of a folder with a runs.csv and one timeline a run; with clean only those whose server had
// the processor when it wanted it.
func Pipeline(dir string, clean bool) (PipelineReport, error) {
	rep := PipelineReport{Skipped: []SkippedCase{}, PerRun: []PipelineRun{}}
	runs, err := readPipelineRuns(filepath.Join(dir, "runs.csv"))
	if err != nil {
		return rep, err
	}
	for _, r := range runs {
		switch {
		case r.injected != "":
			rep.Skipped = append(rep.Skipped, SkippedCase{r.id, "errors were injected: " + r.injected})
			continue
		case clean && !r.clean():
			rep.Skipped = append(rep.Skipped, SkippedCase{r.id, fmt.Sprintf("the server was starved: sleep_overrun_p90_ms = %g", r.overrunMs)})
			continue
		}
		arrivals, err := readTimeline(filepath.Join(dir, r.id+".csv.gz"))
		if err != nil {
			return rep, err
		}
		p, err := r.replay(arrivals)
		if err != nil {
			return rep, fmt.Errorf("%s: %w", r.id, err)
		}
		rep.PerRun = append(rep.PerRun, p)
	}
	rep.Runs = len(rep.PerRun)
	if rep.Runs == 0 {
		return rep, fmt.Errorf("%s: no run to replay, %d skipped", dir, len(rep.Skipped))
	}
	rep.Makespan = spread(rep.PerRun, func(r PipelineRun) float64 { return r.MakespanPct })
	rep.Mean = spread(rep.PerRun, func(r PipelineRun) float64 { return r.MeanPct })
	rep.Curve = spread(rep.PerRun, func(r PipelineRun) float64 { return r.CurvePct })
	for _, r := range rep.PerRun {
		if r.PeakInFlight == r.PeakSim {
			rep.Exact++
		}
	}
	slices.SortStableFunc(rep.PerRun, func(a, b PipelineRun) int {
		return cmp.Compare(math.Abs(b.MakespanPct), math.Abs(a.MakespanPct))
	})
	return rep, nil
}

// Within says whether the makespan of every clean run is inside the bound, in percent.
func (r PipelineReport) Within(boundPct float64) bool {
	return !slices.ContainsFunc(r.PerRun, func(r PipelineRun) bool { return r.Clean && math.Abs(r.MakespanPct) > boundPct })
}

func spread(runs []PipelineRun, of func(PipelineRun) float64) Spread {
	v := make([]float64, len(runs))
	for i, r := range runs {
		v[i] = math.Abs(of(r))
	}
	slices.Sort(v)
	return Spread{Median: stats.Percentile(stats.Linear, v, 50), P90: stats.Percentile(stats.Linear, v, 90)}
}

// clean is the threshold that was set before anybody looked at errors.
func (r pipelineRun) clean() bool { return r.injected == "" && r.overrunMs <= 10 }

// pipeline is the run's configuration as a workload.
func (r pipelineRun) pipeline() workload.Pipeline {
	p := workload.Pipeline{
		Rows:      workload.Rows{Count: r.rows, Prompt: workload.Fixed(1), Output: workload.Fixed(1)},
		BatchSize: r.batchSize, MaxConcurrentBatches: r.maxConcurrentBatches, MaxTasksInFlight: r.maxTasksInFlight,
		Blocks: r.blocks, MaxNumSeqs: r.maxNumSeqs, MaxPending: r.maxPending,
		MinActors: r.minActors, MaxActors: r.maxActors, QPS: r.qps,
	}
	if r.kind == "http" {
		p.Kind = workload.HTTP
		p.Budget = int(math.Floor(0.75*float64(r.cpus) - 1)) // half is reserved for the two stages, the rest shared
	} else {
		p.Budget = r.gpus
	}
	p.Costs.Load = units.Seconds(r.loadS).Duration()
	return p
}

// replay plays the run against a server that takes for each row what the measured one was told to.
func (r pipelineRun) replay(measured []sighting) (PipelineRun, error) {
	p := r.pipeline()
	if err := p.Validate(); err != nil {
		return PipelineRun{}, err
	}
	service := make([]units.Span, r.rows)
	for i := range service {
		service[i] = units.Seconds(r.latencyMeanS)
	}
	for _, a := range measured {
		if a.row < 0 || a.row >= r.rows {
			return PipelineRun{}, fmt.Errorf("row %d of %d", a.row, r.rows)
		}
		service[a.row] = units.Seconds(a.latencyS)
	}
	real := curveOf(measured)
	model, idle := serveRows(p, service, r.serverCap)
	out := PipelineRun{
		ID: r.id, Clean: r.clean(), FirstArrivalS: real.first.Seconds(), Idle: idle.String(),
		MakespanS: real.makespan().Seconds(), MakespanSim: model.makespan().Seconds(),
		MeanInFlight: real.mean(), MeanSim: model.mean(),
		PeakInFlight: r.peak, PeakSim: model.peak(),
	}
	out.MakespanPct = 100 * (out.MakespanSim/out.MakespanS - 1)
	out.MeanPct = 100 * (out.MeanSim/out.MeanInFlight - 1)
	out.CurvePct = 100 * real.distance(model) / out.MeanInFlight
	return out, nil
}

// serveRows plays p against a first-come-first-served server with so many seats, 0 = no limit.
func serveRows(p workload.Pipeline, service []units.Span, seats int) (curve, workload.Idle) {
	player := p.Play()
	var out curve
	var queue []int // rows that wait for a seat
	var busy finishes
	start := func(row int, at units.Time) { heap.Push(&busy, finish{at.Add(service[row]), row}) }
	for {
		at, ok := player.Next()
		if len(busy) > 0 && (!ok || busy[0].at <= at) {
			f := heap.Pop(&busy).(finish)
			if len(queue) > 0 {
				start(queue[0], f.at)
				queue = queue[1:]
			}
			out.change(f.at, -1)
			player.Done(f.row, f.at)
			continue
		}
		if !ok {
			idle, _ := workload.Idleness(player)
			return out.sorted(), idle
		}
		q := player.Send()
		out.change(at, +1)
		if seats > 0 && len(busy) >= seats {
			queue = append(queue, q.ID)
		} else {
			start(q.ID, at)
		}
	}
}

type finish struct {
	at  units.Time
	row int
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

// curve is the number of rows in flight over time.
type curve struct {
	first units.Time
	steps []change
}

type change struct {
	at units.Time
	by int
}

func (c *curve) change(at units.Time, by int) { c.steps = append(c.steps, change{at, by}) }

// sorted orders the steps; at one instant answers go before arrivals, as a closed loop has it.
func (c curve) sorted() curve {
	slices.SortStableFunc(c.steps, func(a, b change) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.by, b.by))
	})
	if len(c.steps) > 0 {
		c.first = c.steps[0].at
	}
	return c
}

func curveOf(arrivals []sighting) curve {
	var c curve
	for _, a := range arrivals {
		c.change(units.Time(units.Seconds(a.arrivalS)), +1)
		c.change(units.Time(units.Seconds(a.finishS)), -1)
	}
	return c.sorted()
}

func (c curve) makespan() units.Span { return c.steps[len(c.steps)-1].at.Sub(c.first) }

func (c curve) mean() float64 {
	area, n := 0.0, 0
	for i, s := range c.steps {
		if i > 0 {
			area += float64(float64(n) * s.at.Sub(c.steps[i-1].at).Seconds())
		}
		n += s.by
	}
	return area / c.makespan().Seconds()
}

func (c curve) peak() int {
	peak, n := 0, 0
	for _, s := range c.steps {
		n += s.by
		peak = max(peak, n)
	}
	return peak
}

// distance is the mean |difference| to the other curve, both from their first arrival, over the longer of the two.
func (c curve) distance(o curve) float64 {
	area := 0.0
	a, b, i, j := 0, 0, 0, 0
	at := units.Span(0)
	for i < len(c.steps) || j < len(o.steps) {
		next := units.Span(math.MaxInt64)
		if i < len(c.steps) {
			next = min(next, c.steps[i].at.Sub(c.first))
		}
		if j < len(o.steps) {
			next = min(next, o.steps[j].at.Sub(o.first))
		}
		area += float64(math.Abs(float64(a-b)) * (next - at).Seconds())
		at = next
		for ; i < len(c.steps) && c.steps[i].at.Sub(c.first) == at; i++ {
			a += c.steps[i].by
		}
		for ; j < len(o.steps) && o.steps[j].at.Sub(o.first) == at; j++ {
			b += o.steps[j].by
		}
	}
	return area / c.makespan().Seconds()
}
