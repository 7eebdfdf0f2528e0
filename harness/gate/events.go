package gate

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// An event log is what one run of a case did, in a form that another revision of this program can read: gzipped
// text, one line each.
//
//	input deployment {model: …}          what the run was given
//	e 3214000000000 118 preempted 512    at this instant (picoseconds), this request, what became of it, tokens
//	counter preemptions 41               what the run amounted to
//
// A log is kept as <benchmark name>.events.gz below a folder of each side.

// EventLog writes one event log.
type EventLog struct {
	zip *gzip.Writer
	buf *bufio.Writer
	err error
}

// NewEventLog returns a log that writes to w. Close it.
func NewEventLog(w io.Writer) *EventLog {
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	return &EventLog{zip: zip, buf: bufio.NewWriter(zip), err: err}
}

// Input notes something that the run was given: the deployment, a calibration, the revision of the code.
func (l *EventLog) Input(name, value string) {
	fmt.Fprintf(l.buf, "input %s %s\n", name, strings.Join(strings.Fields(value), " "))
}

// Event notes what became of a request.
func (l *EventLog) Event(at units.Time, request int, did string, tokens units.Tokens) {
	line := append(l.buf.AvailableBuffer(), 'e', ' ')
	line = strconv.AppendInt(line, int64(at), 10)
	line = strconv.AppendInt(append(line, ' '), int64(request), 10)
	line = append(append(append(line, ' '), did...), ' ')
	line = strconv.AppendInt(line, int64(tokens), 10)
	l.buf.Write(append(line, '\n'))
}

// Counter notes what the run amounted to.
func (l *EventLog) Counter(name, value string) {
	fmt.Fprintf(l.buf, "counter %s %s\n", name, value)
}

// Close finishes the log; it does not close the writer below.
func (l *EventLog) Close() error {
	return errors.Join(l.err, l.buf.Flush(), l.zip.Close())
}

// LogName is where the event log of a benchmark is kept.
func LogName(benchmark string) string {
	return strings.TrimPrefix(benchmark, "Benchmark") + ".events.gz"
}

// Cause is why the virtual rows of one benchmark moved.
type Cause struct {
	Case     string      `json:"case"`
	Unknown  string      `json:"unknown,omitempty"` // why no cause can be given
	Inputs   []Change    `json:"inputs"`
	Counters []Change    `json:"counters"`
	First    *Divergence `json:"first,omitempty"` // the first event that differs at all …
	Decision *Divergence `json:"decision,omitempty"`
	// … and, where First differs in time alone, the first at which the sides do different things.
}

// Divergence is one place in the event streams at which the sides part.
type Divergence struct {
	Index int    `json:"event"` // counted from 1
	Old   string `json:"old"`
	New   string `json:"new"`
}

// Explain compares the event logs of every benchmark that has a virtual row which moved, and adds the causes.
func (r *Report) Explain(old, new fs.FS) {
	seen := map[string]bool{}
	for _, row := range r.Rows {
		if row.Class != Virtual || row.Status == Same || seen[row.Name] {
			continue
		}
		seen[row.Name] = true
		cause, err := compareLogs(old, new, LogName(row.Name))
		if err != nil {
			cause = Cause{Unknown: err.Error()}
		}
		cause.Case = row.Name
		r.Causes = append(r.Causes, cause)
	}
}

// event is one line of a log.
type event struct {
	at   units.Time
	what string // the request and what became of it
}

func (e *event) String() string {
	if e == nil {
		return "nothing more"
	}
	return fmt.Sprintf("t=%v %s", e.at, e.what)
}

// logReader yields a log's events in order and keeps what else it says.
type logReader struct {
	lines            *bufio.Scanner
	name             string
	n                int
	inputs, counters []Change // Old holds the value
}

func openLog(fsys fs.FS, name, side string) (*logReader, io.Closer, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("no event log of the %s side: %w", side, err)
	}
	zip, err := gzip.NewReader(f)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s side: %s: %w", side, name, err), f.Close())
	}
	lines := bufio.NewScanner(zip)
	lines.Buffer(nil, 1<<20)
	return &logReader{lines: lines, name: side + " side: " + name}, f, nil
}

// next returns the next event, nil at the end.
func (r *logReader) next() (*event, error) {
	for r.lines.Scan() {
		r.n++
		kind, rest, _ := strings.Cut(r.lines.Text(), " ")
		first, rest, ok := strings.Cut(rest, " ")
		switch {
		case ok && kind == "input":
			r.inputs = append(r.inputs, Change{Key: first, Old: rest})
		case ok && kind == "counter":
			r.counters = append(r.counters, Change{Key: first, Old: rest})
		case ok && kind == "e":
			at, err := strconv.ParseInt(first, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", r.name, r.n, err)
			}
			id, rest, _ := strings.Cut(rest, " ")
			did, tokens, _ := strings.Cut(rest, " ")
			return &event{units.Time(at), fmt.Sprintf("request %s %s (%s tokens)", id, did, tokens)}, nil
		default:
			return nil, fmt.Errorf("%s:%d: got %q, want input, e or counter", r.name, r.n, r.lines.Text())
		}
	}
	return nil, r.lines.Err()
}

// compareLogs walks two logs side by side.
func compareLogs(oldFS, newFS fs.FS, name string) (Cause, error) {
	old, oldFile, err := openLog(oldFS, name, "old")
	if err != nil {
		return Cause{}, err
	}
	defer oldFile.Close()
	new, newFile, err := openLog(newFS, name, "new")
	if err != nil {
		return Cause{}, err
	}
	defer newFile.Close()
	var cause Cause
	for n := 1; ; n++ {
		was, err := old.next()
		if err != nil {
			return Cause{}, err
		}
		is, err := new.next()
		if err != nil {
			return Cause{}, err
		}
		if was == nil && is == nil {
			break
		}
		same := was != nil && is != nil && was.what == is.what
		if (!same || was.at != is.at) && cause.First == nil {
			cause.First = &Divergence{n, was.String(), is.String()}
		}
		if !same && cause.Decision == nil {
			cause.Decision = &Divergence{n, was.String(), is.String()}
		}
	}
	if cause.First != nil && cause.Decision != nil && *cause.First == *cause.Decision {
		cause.Decision = nil
	}
	cause.Inputs = changed(old.inputs, new.inputs)
	cause.Counters = changed(old.counters, new.counters)
	return cause, nil
}

// changed joins two lists of named values by name and keeps what differs.
func changed(old, new []Change) []Change {
	differ := []Change{}
	value := func(list []Change, key string) string {
		for _, c := range list {
			if c.Key == key {
				return c.Old
			}
		}
		return "-"
	}
	for _, c := range old {
		if is := value(new, c.Key); is != c.Old {
			differ = append(differ, Change{c.Key, c.Old, is})
		}
	}
	for _, c := range new {
		if value(old, c.Key) == "-" {
			differ = append(differ, Change{c.Key, "-", c.Old})
		}
	}
	return differ
}
