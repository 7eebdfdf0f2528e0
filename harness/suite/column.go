package suite

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/testing-symbiote/symbiote/golden"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Column is one figure of a case: a cell of the golden table and, if it has a Unit, a metric of the benchmark.
type Column struct {
	Name string
	Of   func(Result) float64 // in Unit; NaN where it does not apply
	Show func(float64) string // nil = three digits
	Text func(Result) string  // a cell of words, instead of Of and Show
	Unit string               // of the benchmark metric, "req/s"; empty = the table only
	Good Direction            // of the benchmark metric
}

// Direction says which way a figure is better.
type Direction string

const (
	Higher Direction = "higher"
	Lower  Direction = "lower"
)

// cell prints the column of a result; a dash where there is nothing to say.
func (c Column) cell(r Result) string {
	if c.Text != nil {
		if s := c.Text(r); s != "" {
			return s
		}
		return "-"
	}
	x := c.value(r)
	switch {
	case math.IsNaN(x):
		return "-"
	case c.Show != nil:
		return c.Show(x)
	}
	return golden.Number(x, "")
}

// value is the figure; NaN where nothing ran and the column speaks of a run.
func (c Column) value(r Result) float64 {
	if c.Of == nil {
		return math.NaN()
	}
	return c.Of(r)
}

// ofRun guards a figure of a run: it does not apply where nothing ran.
func ofRun(of func(Result) float64) func(Result) float64 {
	return func(r Result) float64 {
		if r.Run == nil || r.Failure != nil || len(r.Run.Requests) == 0 {
			return math.NaN()
		}
		return of(r)
	}
}

// Rate is a figure of a run that is a rate a second; more is better.
func Rate(name, unit string, of func(Result) float64) Column {
	return Column{Name: name, Of: ofRun(of), Show: func(x float64) string { return golden.Number(x, "/s") }, Unit: unit, Good: Higher}
}

// Span is a time of a run; less is better. The metric's unit should end in -ns.
func Span(name, unit string, of func(Result) units.Span) Column {
	return Column{
		Name: name, Unit: unit, Good: Lower,
		Of:   ofRun(func(r Result) float64 { return float64(of(r)) / float64(units.Nanosecond) }),
		Show: func(ns float64) string { return golden.Seconds(ns / 1e9) },
	}
}

// Percentile is a time read off a distribution of a run; it does not apply where the distribution is empty.
func Percentile(name, unit string, of func(Result) stats.Dist, read func(stats.Dist) units.Span) Column {
	c := Span(name, unit, func(r Result) units.Span { return read(of(r)) })
	spans := c.Of
	c.Of = ofRun(func(r Result) float64 {
		if of(r).N == 0 {
			return math.NaN()
		}
		return spans(r)
	})
	return c
}

// Count is a whole number of a run; less is better.
func Count(name, unit string, of func(Result) int) Column {
	return Column{
		Name: name, Unit: unit, Good: Lower,
		Of:   ofRun(func(r Result) float64 { return float64(of(r)) }),
		Show: func(x float64) string { return golden.Count(int64(x)) },
	}
}

// Share is a share of a run, 0 to 1, shown and reported in percent.
func Share(name, unit string, good Direction, of func(Result) float64) Column {
	return Column{
		Name: name, Unit: unit, Good: good,
		Of:   ofRun(func(r Result) float64 { return 100 * of(r) }),
		Show: func(x float64) string { return golden.Percent(x / 100) },
	}
}

// Memory is a number of bytes of the plan, whether or not anything ran; it does not apply to what does not start.
func Memory(name, unit string, of func(Result) units.Bytes) Column {
	return Column{
		Name: name, Unit: unit, Good: Lower,
		Of: func(r Result) float64 {
			if r.Failure != nil {
				return math.NaN()
			}
			return float64(of(r))
		},
		Show: golden.GiB,
	}
}

// Figure is a number of the table alone, whether or not anything ran; it does not apply to what does not start.
func Figure(name string, of func(Result) float64) Column {
	return Column{Name: name, Of: func(r Result) float64 {
		if r.Failure != nil {
			return math.NaN()
		}
		return of(r)
	}}
}

// P50 and P99 read a distribution.
func P50(d stats.Dist) units.Span { return d.P50 }

// P99 is the 99th percentile, by nearest rank.
func P99(d stats.Dist) units.Span { return d.P99 }

// Standard is what a row shows unless its Spec says otherwise.
func Standard() []Column {
	completed := Count("ok", "", func(r Result) int { return r.Summary.Completed })
	return []Column{
		completed,
		Count("failed", "failed-requests", func(r Result) int { return r.Summary.Failed }),
		Share("met SLO", "slo-met-%", Higher, func(r Result) float64 { return r.Verdict.Share }),
		Rate("goodput", "goodput/s", func(r Result) float64 { return r.Verdict.GoodputPerSec }),
		Rate("req/s", "req/s", func(r Result) float64 { return r.Summary.RequestThroughput }),
		Rate("out tok/s", "out-tok/s", func(r Result) float64 { return r.Summary.OutputThroughput }),
		Percentile("TTFT50", "ttft-p50-ns", TTFT, P50),
		Percentile("TTFT99", "ttft-p99-ns", TTFT, P99),
		Percentile("TPOT99", "tpot-p99-ns", TPOT, P99),
		Count("preempted", "preemptions", func(r Result) int { return r.Run.Engine.Preemptions }),
	}
}

// TTFT and TPOT are distributions of a case's run.
func TTFT(r Result) stats.Dist { return r.Summary.TTFT }

// TPOT is the time of a token after the first, by request.
func TPOT(r Result) stats.Dist { return r.Summary.TPOT }

// E2EL is the time of a whole answer.
func E2EL(r Result) stats.Dist { return r.Summary.E2EL }

func (s Spec) columns() []Column {
	if s.Columns == nil {
		return Standard()
	}
	return s.Columns
}

// Table draws the results.
func (s Spec) Table(rs Results) golden.Table {
	t := golden.Table{Columns: []string{"case"}}
	if s.Asks != "" {
		t.Notes = append(t.Notes, s.Asks)
	}
	if !s.SLO.Empty() {
		t.Notes = append(t.Notes, "SLO: "+s.SLO.String())
	}
	t.Notes = append(t.Notes, sources(rs)...)
	for _, c := range s.columns() {
		t.Columns = append(t.Columns, c.Name)
	}
	for _, r := range rs {
		row := golden.Row{r.Case.Name}
		for _, c := range s.columns() {
			row = append(row, c.cell(r))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// sources says where the numbers come from, once for each origin.
func sources(rs Results) []string {
	var notes []string
	for _, r := range rs {
		if r.Run == nil {
			continue
		}
		p := r.Run.Provenance
		note := fmt.Sprintf("Simulated: vLLM %s", p.VLLMVersion)
		if p.Backend != "sim" {
			note = fmt.Sprintf("Measured (%s): vLLM %s", p.Backend, p.VLLMVersion)
		}
		if p.ModelError != "" {
			note += "; " + strings.TrimSuffix(p.ModelError, ".")
		}
		if note += "."; !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	return notes
}
