package backtest

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
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
	Sent          int     `json:"sent"` // requests that reached the server, those of one row more than once included
	SentSim       int     `json:"sent_predicted"`
	RowsOut       int     `json:"rows_out"`
	RowsOutSim    int     `json:"rows_out_predicted"`
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
		case r.unknown != nil:
			rep.Skipped = append(rep.Skipped, SkippedCase{r.id, r.unknown.Error()})
			continue
		case clean && len(r.injected) > 0:
			rep.Skipped = append(rep.Skipped, SkippedCase{r.id, "errors were injected"})
			continue
		case clean && !r.clean():
			rep.Skipped = append(rep.Skipped, SkippedCase{r.id, fmt.Sprintf("the server was starved: sleep_overrun_p90_ms = %g", r.overrunMs)})
			continue
		}
		arrivals, err := readTimeline(filepath.Join(dir, r.id+".csv.gz"))
		if errors.Is(err, fs.ErrNotExist) {
			rep.Skipped = append(rep.Skipped, SkippedCase{r.id, "the folder has no timeline of it"})
			continue
		}
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
func (r pipelineRun) clean() bool {
	return len(r.injected) == 0 && r.unknown == nil && r.overrunMs <= 10
}

// pipeline is the run's configuration as a workload.
func (r pipelineRun) pipeline() workload.Pipeline {
	p := workload.Pipeline{
		Rows:      workload.Rows{Count: r.rows, Prompt: workload.Fixed(1), Output: workload.Fixed(1)},
		BatchSize: r.batchSize, MaxConcurrentBatches: r.maxConcurrentBatches, MaxTasksInFlight: r.maxTasksInFlight,
		Blocks: r.blocks, MaxNumSeqs: r.maxNumSeqs, MaxPending: r.maxPending,
		MinActors: r.minActors, MaxActors: r.maxActors, QPS: r.qps, OnError: r.onError, CPUs: r.cpus,
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
	return r.replayAs(r.pipeline(), measured)
}

func (r pipelineRun) replayAs(p workload.Pipeline, measured []sighting) (PipelineRun, error) {
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
	server := &rowServer{service: service, faults: r.injected, seats: r.serverCap}
	model, player := server.serve(p)
	idle, _ := workload.Idleness(player)
	fate, _ := workload.Outcome(player)
	out := PipelineRun{
		ID: r.id, Clean: r.clean(), FirstArrivalS: real.first.Seconds(), Idle: idle.String(),
		MakespanS: real.makespan().Seconds(), MakespanSim: model.makespan().Seconds(),
		MeanInFlight: real.mean(), MeanSim: model.mean(),
		PeakInFlight: r.peak, PeakSim: model.peak(),
		Sent: len(measured), SentSim: len(model.steps) / 2, RowsOut: r.rowsOut, RowsOutSim: fate.OK + fate.Failed,
	}
	out.MakespanPct = 100 * (out.MakespanSim/out.MakespanS - 1)
	out.MeanPct = 100 * (out.MeanSim/out.MeanInFlight - 1)
	out.CurvePct = 100 * real.distance(model) / out.MeanInFlight
	return out, nil
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

// cut ends at an instant what is in flight then.
func (c curve) cut(at units.Time) curve {
	open := 0
	c.steps = slices.DeleteFunc(c.steps, func(s change) bool {
		if s.at <= at {
			open += s.by
		}
		return s.at > at
	})
	for range open {
		c.change(at, -1)
	}
	return c
}

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

// curveOf is what a server saw. What it saw no end of ends with the last that it did.
func curveOf(arrivals []sighting) curve {
	var c curve
	last := 0.0
	for _, a := range arrivals {
		last = max(last, a.arrivalS, a.finishS)
	}
	for _, a := range arrivals {
		end := a.finishS
		if end == 0 {
			end = last
		}
		c.change(units.Time(units.Seconds(a.arrivalS)), +1)
		c.change(units.Time(units.Seconds(end)), -1)
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
