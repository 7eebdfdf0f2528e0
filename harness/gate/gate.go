// Package gate says when a difference between two benchmark outputs is significant, and why it is there.
//
//	old, err := gate.Read(f, "old.txt", "*")
//	new, err := gate.Read(g, "new.txt", "*")
//	report := gate.Compare(old, new, gate.Options{Today: time.Now()})
//	os.Exit(report.Code()) // 0 no regression, 1 a regression, 2 the outputs cannot be compared
//
// Each unit belongs to a class, because an exact number and a noisy one are judged differently:
//
//	virtual      "Unit req/s better=higher assume=exact"   any change beyond its limit, without a new golden table
//	allocation   B/op, allocs/op                           p < 0.01, worse by 5 % and by two allocations
//	time         sec/op, cpu-ns/op                         p < 0.01 after Holm, an interval without zero, worse by 10 % or
//	                                                       twice the noise floor; too noisy is said, never red
//	live         "Unit req/s better=higher"                as time, with a floor of 5 % and at least 6 runs
//
// What cannot be judged is never passed: no rows, a row that is missing or new and not listed, NaN, a failed or
// skipped benchmark, a unit without a direction, runs on different machines.
//
// Start at Compare. The statistics are golang.org/x/perf/benchmath's; nothing here reads benchstat's text.
package gate

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Class is how a unit is judged.
type Class string

const (
	Virtual    Class = "virtual"
	Allocation Class = "allocation"
	Time       Class = "time"
	Live       Class = "live"
)

// Status is what became of a row.
type Status string

const (
	Same         Status = "unchanged"
	Improved     Status = "improved"
	Accepted     Status = "accepted"     // a virtual row moved, and its golden table was redrawn with it
	Waived       Status = "waived"       // worse, within the ceiling of a waiver
	Unmeasurable Status = "unmeasurable" // too noisy or too few samples to tell
	Regressed    Status = "regressed"
	Unexplained  Status = "unexplained" // a virtual row got better, and its golden table was not redrawn
	Unstable     Status = "unstable"    // a virtual row differs within one side: it is not deterministic
)

// Fails reports whether a row of this status makes the verdict red.
func (s Status) Fails() bool { return s == Regressed || s == Unexplained || s == Unstable }

// Key names a row: a benchmark and one of its units.
type Key struct {
	Package string `json:"package"`
	Name    string `json:"name"` // without the word Benchmark and the number of processors
	Unit    string `json:"unit"`
}

func (k Key) String() string { return k.Name + " " + k.Unit }

// Row is one judged row.
type Row struct {
	Key
	Class  Class   `json:"class"`
	Old    float64 `json:"old"`
	New    float64 `json:"new"`
	Delta  float64 `json:"delta_pct"` // how much the value changed, in percent of old
	Lo     float64 `json:"delta_lo_pct"`
	Hi     float64 `json:"delta_hi_pct"` // 95 % interval of Delta; equal to it where exact
	P      float64 `json:"p"`            // after Holm for times and live rows
	OldN   int     `json:"old_n"`
	NewN   int     `json:"new_n"`
	Limit  float64 `json:"limit_pct"`
	Status Status  `json:"status"`
	Why    string  `json:"why,omitempty"`
}

// Options are what a comparison depends on beside the two outputs.
type Options struct {
	Thresholds Thresholds
	Waivers    []Waiver
	Accepted   []string  // suites whose golden table was redrawn in this change: the last element of their package
	Today      time.Time // decides which waivers have expired
}

// Report is the verdict and what it rests on.
type Report struct {
	OldName  string   `json:"old"`
	NewName  string   `json:"new"`
	Refusals []string `json:"refusals"` // why the outputs cannot be compared
	Expired  []string `json:"expired"`  // waivers that ran out
	Rows     []Row    `json:"rows"`
	Causes   []Cause  `json:"causes"`
	Inputs   []Change `json:"inputs"` // configuration that differs and is allowed to
}

// Code is the exit code of the verdict.
func (r Report) Code() int {
	switch {
	case len(r.Refusals) > 0:
		return 2
	case len(r.Expired) > 0 || slices.ContainsFunc(r.Rows, func(r Row) bool { return r.Status.Fails() }):
		return 1
	}
	return 0
}

// Count returns how many rows have the status.
func (r Report) Count(s Status) int {
	n := 0
	for _, row := range r.Rows {
		if row.Status == s {
			n++
		}
	}
	return n
}

// Compare judges every row of two outputs.
func Compare(old, new *Side, o Options) Report {
	report := Report{OldName: old.Name, NewName: new.Name, Rows: []Row{}, Causes: []Cause{}}
	report.Refusals = append(report.Refusals, old.troubles...)
	report.Refusals = append(report.Refusals, new.troubles...)
	units, conflicts := mergeUnits(old, new)
	report.Refusals = append(report.Refusals, conflicts...)
	missing, pairs := pair(old, new, o)
	report.Refusals = append(report.Refusals, missing...)

	noisy := false
	for _, p := range pairs {
		class, ok := units.class(p.key.Unit)
		if !ok {
			report.Refusals = append(report.Refusals, undeclared(p.key))
			continue
		}
		noisy = noisy || class != Virtual
		report.Rows = append(report.Rows, judge(p, class, units[p.key.Unit].better, o.Thresholds))
	}
	mismatches, changes := compareConfig(old, new, noisy)
	report.Refusals = append(report.Refusals, mismatches...)
	report.Inputs = changes
	holm(report.Rows)
	for i := range report.Rows {
		settle(&report.Rows[i], units[report.Rows[i].Unit].better, o)
	}
	for _, w := range o.Waivers {
		if w.expired(o.Today) {
			report.Expired = append(report.Expired, w.Row+": the waiver expired on "+w.Expires+" ("+w.Reason+"); remove it or renew it")
		}
	}
	slices.SortStableFunc(report.Rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(rank(a.Status), rank(b.Status)), cmp.Compare(math.Abs(b.Delta), math.Abs(a.Delta)))
	})
	return report
}

// rank orders rows for a reader: what fails first, what did not move last; within a rank, what moved most first.
func rank(s Status) int {
	return slices.Index([]Status{Unstable, Regressed, Unexplained, Waived, Accepted, Improved, Unmeasurable, Same}, s)
}

// pair matches the rows of both sides and tells of those that only one side has.
func pair(old, new *Side, o Options) (refusals []string, pairs []pairing) {
	for _, key := range old.order {
		values, ok := new.values[key]
		switch {
		case ok:
			pairs = append(pairs, pairing{key, old.values[key], values})
		case !o.listed(o.Thresholds.Gone, key):
			refusals = append(refusals, key.String()+": in "+old.Name+" and not in "+new.Name+
				"; if it is meant, list it under gone in the thresholds file")
		}
	}
	for _, key := range new.order {
		if _, ok := old.values[key]; !ok && !o.listed(o.Thresholds.New, key) {
			refusals = append(refusals, key.String()+": in "+new.Name+" and not in "+old.Name+
				"; if it is meant, list it under new in the thresholds file")
		}
	}
	return refusals, pairs
}

// listed reports whether a row that only one side has is meant: named in the file, or its golden table redrawn.
func (o Options) listed(patterns []string, key Key) bool {
	return o.accepts(key) || slices.ContainsFunc(patterns, func(p string) bool { return match(p, key.String()) })
}

func undeclared(key Key) string {
	return key.String() + ": nobody says which direction is better; print the line \"Unit " + key.Unit +
		" better=higher\" or \"better=lower\", with assume=exact if it is exact"
}

// Document is the report as one JSON document: the verdict and its exit code before what they rest on.
type Document struct {
	Verdict string         `json:"verdict"`
	Code    int            `json:"exit_code"`
	Counts  map[Status]int `json:"counts"`
	Report
}

// Document returns the report for encoding.
func (r Report) Document() Document {
	counts := map[Status]int{}
	for _, row := range r.Rows {
		counts[row.Status]++
	}
	return Document{r.Verdict(), r.Code(), counts, r}
}
