package gate

import (
	"fmt"
	"html/template"
	"io"
	"strings"
	"text/tabwriter"

	"golang.org/x/perf/benchunit"

	_ "embed"
)

// Heading is what else a written report says.
type Heading struct {
	Base, Head string // revisions
	Reproduce  string // the command line that gives this report again
}

// sign is how a status looks in a comment.
func (s Status) sign() string {
	switch s {
	case Regressed, Unexplained, Unstable:
		return "🔴"
	case Improved, Accepted:
		return "🟢"
	case Unmeasurable, Waived:
		return "⚠️"
	}
	return "⚪"
}

// Verdict is the report in one line.
func (r Report) Verdict() string {
	if r.Code() == 2 {
		return fmt.Sprintf("cannot be compared: %d reasons", len(r.Refusals))
	}
	parts := []string{"no regression"}
	if r.Code() == 1 {
		parts = nil
	}
	count := func(status Status, one, many string) {
		switch n := r.Count(status); n {
		case 0:
		case 1:
			parts = append(parts, "1 "+one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, many))
		}
	}
	count(Unstable, "row is not deterministic", "rows are not deterministic")
	count(Regressed, "regression", "regressions")
	count(Unexplained, "improvement without a new golden table", "improvements without a new golden table")
	if n := len(r.Expired); n > 0 {
		parts = append(parts, fmt.Sprintf("%d expired waivers", n))
	}
	count(Waived, "waived", "waived")
	count(Accepted, "accepted", "accepted")
	count(Improved, "improvement", "improvements")
	count(Unmeasurable, "unmeasurable", "unmeasurable")
	count(Same, "unchanged", "unchanged")
	return strings.Join(parts, " · ")
}

// changedRows are the rows that a reader should see.
func (r Report) changedRows() []Row {
	for i, row := range r.Rows {
		if row.Status == Same || row.Status == Unmeasurable {
			return r.Rows[:i]
		}
	}
	return r.Rows
}

func (r Report) restRows() []Row { return r.Rows[len(r.changedRows()):] }

// value prints a measurement with the prefix that suits it: 412.0ms, 3.260GiB, 24.30k.
func value(x float64, unit string) string {
	s := benchunit.Scale(x, benchunit.ClassOf(unit))
	switch {
	case strings.HasSuffix(unit, "sec/op") || strings.HasSuffix(unit, "-sec"):
		return s + "s"
	case unit == "B/op" || strings.HasSuffix(unit, "-B"):
		return s + "B"
	}
	return s
}

// delta prints how much a row moved, with its interval where it has one.
func (row Row) delta() string {
	switch {
	case row.Old == 0 && row.New != 0:
		return "was 0"
	case row.Class == Virtual:
		return fmt.Sprintf("%+.3g%% exact", row.Delta)
	case row.Hi == unbounded:
		return fmt.Sprintf("%+.1f%%", row.Delta)
	}
	return fmt.Sprintf("%+.1f%% (%+.1f..%+.1f) p=%.2g n=%d+%d", row.Delta, row.Lo, row.Hi, row.P, row.OldN, row.NewN)
}

// Text writes the report for a terminal.
func (r Report) Text(w io.Writer) error {
	fmt.Fprintf(w, "%s\n", r.Verdict())
	for _, line := range r.Refusals {
		fmt.Fprintf(w, "  %s\n", line)
	}
	for _, line := range r.Expired {
		fmt.Fprintf(w, "  %s\n", line)
	}
	if rows := r.changedRows(); len(rows) > 0 {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "\ncase\tmetric\told\tnew\tchange\tlimit\tverdict")
		for _, row := range rows {
			verdict := string(row.Status)
			if row.Why != "" {
				verdict += ": " + row.Why
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%g%%\t%s\n", row.Name, row.Unit, value(row.Old, row.Unit), value(row.New, row.Unit), row.delta(), row.Limit, verdict)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	for _, c := range r.Inputs {
		fmt.Fprintf(w, "\n%s: %s → %s\n", c.Key, c.Old, c.New)
	}
	for _, c := range r.Causes {
		fmt.Fprintf(w, "\nwhy %s moved\n", c.Case)
		for _, line := range c.Lines() {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
	return nil
}

// Lines says the cause in sentences, the most telling first.
func (c Cause) Lines() []string {
	if c.Unknown != "" {
		return []string{"the cause is not known: " + c.Unknown}
	}
	var lines []string
	for _, in := range c.Inputs {
		lines = append(lines, fmt.Sprintf("given otherwise: %s: %s → %s", in.Key, in.Old, in.New))
	}
	switch {
	case c.First == nil:
		lines = append(lines, "every event is the same: what moved is how the metric is worked out")
	case c.Decision == nil && c.sameDeed():
		lines = append(lines, c.First.line("first event at another time"), "no decision differs: steps take another time")
	case c.Decision == nil:
		lines = append(lines, c.First.line("first divergent event"))
	default:
		lines = append(lines, c.First.line("first event at another time"), c.Decision.line("first divergent event"))
	}
	if len(c.Counters) > 0 {
		var moved []string
		for _, k := range c.Counters {
			moved = append(moved, fmt.Sprintf("%s %s → %s", k.Key, k.Old, k.New))
		}
		lines = append(lines, strings.Join(moved, " · "))
	}
	return lines
}

// sameDeed reports whether the first difference is one of time alone.
func (c Cause) sameDeed() bool {
	_, was, _ := strings.Cut(c.First.Old, " ")
	_, is, _ := strings.Cut(c.First.New, " ")
	return was == is
}

func (d *Divergence) line(what string) string {
	return fmt.Sprintf("%s (number %d): %s, now %s", what, d.Index, d.Old, d.New)
}

//go:embed report.html.tmpl
var page string

// HTML writes the report as one page that needs no network.
func (r Report) HTML(w io.Writer, h Heading) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"value": value,
		"delta": Row.delta,
		"sign":  Status.sign,
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		Report
		Heading
		Changed, Rest []Row
	}{r, h, r.changedRows(), r.restRows()})
}
