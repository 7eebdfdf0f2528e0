package workload

import (
	"fmt"
	"os"
	"path/filepath"
)

// TraceFile is a trace that stays in its file. It is read once to be checked and counted, and again, row by row, while it
// is played (one play at a time), so that its length does not matter.
type TraceFile struct {
	Warnings []string // what the reader ignored

	name    string
	options TraceOptions
	count   int
	err     error // of a file that was whole when it was opened
}

// OpenTrace checks the trace of this name and counts its rows.
func OpenTrace(name string, o TraceOptions) (*TraceFile, error) {
	f, r, err := openTrace(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d, err := newTraceDecoder(name, r, o)
	for more := err == nil; more && err == nil; d.take() {
		more, err = d.next()
	}
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return nil, err
	}
	return &TraceFile{name: name, options: o, count: d.count, Warnings: d.trace.Warnings}, nil
}

// Head returns the first n rows, all if there are fewer.
func (t *TraceFile) Head(n int) *TraceFile {
	head := *t
	head.count = min(n, t.count)
	return &head
}

// Len is the number of requests.
func (t *TraceFile) Len() int { return t.count }

func (t *TraceFile) String() string {
	return fmt.Sprintf("%d rows of %s", t.count, filepath.Base(t.name))
}

func (t *TraceFile) validate() error { return nil }

// Err says why a play of the trace ended early: its file is not what it was.
func (t *TraceFile) Err() error { return t.err }

func (t *TraceFile) rows(uint64) func() (Request, bool) {
	var f *os.File
	var d *traceDecoder
	i := 0
	t.err = nil
	return func() (Request, bool) {
		if d == nil && t.err == nil {
			file, r, err := openTrace(t.name)
			if err == nil {
				f = file
				d, err = newTraceDecoder(t.name, r, t.options)
			}
			t.err = err
		}
		for i < t.count && t.err == nil {
			more, err := d.next()
			if err == nil && !more {
				err = fmt.Errorf("%s: the file ends after %d rows, it had %d", t.name, i, t.count)
			}
			t.err = err
			if r, ok := d.take(); ok && err == nil {
				i++
				return r, true
			}
		}
		if f != nil {
			f.Close()
		}
		return Request{}, false
	}
}
