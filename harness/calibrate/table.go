package calibrate

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// A table is a CSV file with a header, gzip by name.
type table struct {
	name   string
	column map[string]int
	rows   [][]string
}

func readTable(path string, want ...string) (*table, error) {
	r, err := open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	all, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: empty, want a header", path)
	}
	t := &table{path, map[string]int{}, all[1:]}
	for i, name := range all[0] {
		t.column[name] = i
	}
	for _, name := range want {
		if _, ok := t.column[name]; !ok {
			return nil, fmt.Errorf("%s: column %q is missing", path, name)
		}
	}
	return t, nil
}

// text returns a cell, "" where the column is absent.
func (t *table) text(row int, name string) string {
	if c, ok := t.column[name]; ok {
		return t.rows[row][c]
	}
	return ""
}

// number returns a cell; an empty one is 0.
func (t *table) number(row int, name string) (float64, error) {
	s := t.text(row, name)
	if s == "" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("%s:%d: %s = %q, want a number", t.name, row+2, name, s)
	}
	return v, nil
}

// numbers returns several cells of one row.
func (t *table) numbers(row int, names ...string) ([]float64, error) {
	vs, errs := make([]float64, len(names)), make([]error, len(names))
	for i, name := range names {
		vs[i], errs[i] = t.number(row, name)
	}
	return vs, errors.Join(errs...)
}

// open opens a file, gzip by name.
func open(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil || !strings.HasSuffix(path, ".gz") {
		return f, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}
