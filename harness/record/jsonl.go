package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// form is the version of the lines that Writer writes; a reader refuses one that is newer.
const form = 1

// A Writer writes a run as JSON lines: one a request, as they end; then the samples, the gaps, and the run's own line,
// without which the file was cut short. Times are whole picoseconds, so that what is read back is what was written.
type Writer struct {
	out *bufio.Writer
	enc *json.Encoder
	err error
}

// NewWriter begins a file.
func NewWriter(w io.Writer) *Writer {
	out := bufio.NewWriter(w)
	return &Writer{out: out, enc: json.NewEncoder(out)}
}

func (w *Writer) line(v any) {
	if w.err == nil {
		w.err = w.enc.Encode(v)
	}
}

// Request writes one request. Those of a Run that keeps its requests are written by Close.
func (w *Writer) Request(r *Record) { w.line(line{Request: requestOf(r)}) }

// Close writes everything else of the run and says whether all was written.
func (w *Writer) Close(run *Run) error {
	for i := range run.Requests {
		w.Request(&run.Requests[i])
	}
	for i := range run.Samples {
		w.line(line{Sample: &run.Samples[i]})
	}
	g := run.Gaps
	w.line(line{Run: &ownLine{Form: form, Start: run.Start, End: run.End, Failure: run.Failure, Engine: run.Engine, Provenance: run.Provenance,
		Warnings: run.Warnings, Gaps: gapsLine{Count: g.Count, Sum: g.Sum, Max: g.Max, Items: g.Items}}})
	if w.err == nil {
		w.err = w.out.Flush()
	}
	return w.err
}

// Write writes a whole run.
func Write(w io.Writer, run *Run) error { return NewWriter(w).Close(run) }

// line is one of three things.
type line struct {
	Request *request `json:"request,omitempty"`
	Sample  *Sample  `json:"sample,omitempty"`
	Run     *ownLine `json:"run,omitempty"`
}

type ownLine struct {
	Form       int            `json:"form"`
	Start      units.Time     `json:"start_ps"`
	End        units.Time     `json:"end_ps"`
	Failure    *failure.Error `json:"failure,omitempty"`
	Engine     Engine         `json:"engine"`
	Gaps       gapsLine       `json:"gaps"`
	Provenance Provenance     `json:"provenance"`
	Warnings   []string       `json:"warnings,omitempty"`
}

type gapsLine struct {
	Count int64      `json:"count"`
	Sum   units.Span `json:"sum_ps"`
	Max   units.Span `json:"max_ps"`
	Items []GapCount `json:"items,omitempty"`
}

// request is a Record. An instant that was not reached is absent.
type request struct {
	ID          int           `json:"id"`
	Stage       int           `json:"stage,omitempty"`
	Replica     int           `json:"replica,omitempty"`
	Intended    units.Time    `json:"intended_ps"`
	Sent        units.Time    `json:"sent_ps"`
	Admitted    *units.Time   `json:"admitted_ps,omitempty"`
	First       *units.Time   `json:"first_ps,omitempty"`
	Last        *units.Time   `json:"last_ps,omitempty"`
	Prompt      units.Tokens  `json:"prompt_tokens"`
	Output      units.Tokens  `json:"output_tokens"`
	Cached      units.Tokens  `json:"cached_tokens,omitempty"`
	Preemptions int           `json:"preemptions,omitempty"`
	Recomputed  units.Tokens  `json:"recomputed_tokens,omitempty"`
	LongestGap  units.Span    `json:"longest_gap_ps,omitempty"`
	Outcome     failure.Class `json:"outcome,omitempty"` // absent = complete
	Detail      string        `json:"detail,omitempty"`
}

func requestOf(r *Record) *request {
	reached := func(t *units.Time) *units.Time {
		if *t == units.Never {
			return nil
		}
		return t
	}
	return &request{r.ID, r.Stage, r.Replica, r.Intended, r.Sent, reached(&r.Admitted), reached(&r.First), reached(&r.Last),
		r.Prompt, r.Output, r.Cached, r.Preemptions, r.Recomputed, r.LongestGap, r.Outcome, r.Detail}
}

func (q *request) record() Record {
	at := func(t *units.Time) units.Time {
		if t == nil {
			return units.Never
		}
		return *t
	}
	return Record{q.ID, q.Stage, q.Replica, q.Intended, q.Sent, at(q.Admitted), at(q.First), at(q.Last),
		q.Prompt, q.Output, q.Cached, q.Preemptions, q.Recomputed, q.LongestGap, q.Outcome, q.Detail}
}

// Read reads what a Writer wrote. Of a file that was cut short it returns what is there, and an error.
func Read(r io.Reader) (*Run, error) {
	run := &Run{}
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		text, err := in.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF):
			return run, fmt.Errorf("record: line %d: the file ends before the run's own line; it was cut short", n)
		case err != nil:
			return run, fmt.Errorf("record: line %d: %w", n, err)
		}
		var l line
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil {
			return run, fmt.Errorf("record: line %d: %w", n, err)
		}
		switch own := l.Run; {
		case l.Request != nil:
			run.Requests = append(run.Requests, l.Request.record())
		case l.Sample != nil:
			run.Samples = append(run.Samples, *l.Sample)
		case own == nil:
			return run, fmt.Errorf("record: line %d: neither a request, nor a sample, nor the run", n)
		case own.Form < 1 || own.Form > form:
			return run, fmt.Errorf("record: line %d: form = %d, want %d; another version of this program wrote it", n, own.Form, form)
		default:
			run.Start, run.End, run.Failure, run.Engine = own.Start, own.End, own.Failure, own.Engine
			run.Provenance, run.Warnings = own.Provenance, own.Warnings
			run.Gaps = Gaps{Count: own.Gaps.Count, Sum: own.Gaps.Sum, Max: own.Gaps.Max, Items: own.Gaps.Items}
			return run, nil
		}
	}
}
