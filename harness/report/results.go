package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Results is a results folder as it was read.
type Results struct {
	Tests   []Test
	Serving *Serving
	Memory  *MemoryError
}

// Test is one table of cases, as the suites leave it.
type Test struct {
	Schema   int      `json:"schema"`
	Suite    string   `json:"suite"`
	Test     string   `json:"test"`
	Asks     string   `json:"asks"`
	Backend  string   `json:"backend"`
	SLO      SLO      `json:"slo"`
	Sources  []string `json:"sources"`
	Columns  []string `json:"columns"`
	Rows     []Row    `json:"rows"`
	Promises []Kept   `json:"promises"`
}

// SLO is what each request was promised; zero promises nothing.
type SLO struct{ TTFT, TPOT, E2EL time.Duration }

func (s SLO) String() string {
	var parts []string
	for _, l := range []struct {
		name  string
		limit time.Duration
	}{{"TTFT", s.TTFT}, {"TPOT", s.TPOT}, {"E2EL", s.E2EL}} {
		if l.limit > 0 {
			parts = append(parts, fmt.Sprintf("%s ≤ %v", l.name, l.limit))
		}
	}
	return strings.Join(parts, ", ")
}

// Row is one case.
type Row struct {
	Case        string             `json:"case"`
	Model       string             `json:"model"`
	GPU         string             `json:"gpu"`
	VLLMVersion string             `json:"vllm_version"`
	Deployment  string             `json:"deployment"`
	Workload    string             `json:"workload"`
	Want        Kept               `json:"want"`
	Failure     string             `json:"failure"`
	Reason      string             `json:"reason"`
	Cells       map[string]string  `json:"cells"`
	Metrics     map[string]float64 `json:"metrics"`
	Summary     map[string]any     `json:"summary"`
	Plan        map[string]float64 `json:"plan"`
	Picture     *Picture           `json:"picture"`
	Warnings    []string           `json:"warnings"`
	Provenance  *Provenance        `json:"provenance"`
}

// Kept is a promise and whether it was kept.
type Kept struct {
	Says string `json:"says"`
	Kept bool   `json:"kept"`
	But  string `json:"but,omitempty"`
}

// Provenance says where the figures of a row come from.
type Provenance struct{ Backend, VLLMVersion, Host, ModelError string }

// Picture is what is drawn of a run.
type Picture struct {
	TTFTms  []float64 `json:"ttft_ms"`
	E2ELms  []float64 `json:"e2el_ms"`
	Samples []struct {
		AtS     float64 `json:"at_s"`
		Running float64 `json:"running"`
		Waiting float64 `json:"waiting"`
		Usage   float64 `json:"kv_usage"`
	} `json:"samples"`
	Sends []struct {
		AtS       float64 `json:"at_s"`
		PerSecond float64 `json:"per_second"`
	} `json:"sends"`
}

// Serving is how far the model of step times is from measured runs, as `symbiote backtest serving -json` says it.
type Serving struct {
	Cases   int                     `json:"cases"`
	Metrics map[string]MetricErrors `json:"metrics"`
	PerCase []Replay                `json:"per_case"`
}

// Replay is one measured run and what the simulator made of it.
type Replay struct {
	ID        string             `json:"id"`
	Role      string             `json:"role"`      // calibration: profiles may be fitted on it; validation: they may not
	Errors    map[string]float64 `json:"error_pct"` // signed, by metric
	Measured  rates              `json:"measured"`
	Predicted rates              `json:"predicted"`
}

type rates struct {
	OutputThroughput float64 `json:"output_throughput_tok_s"`
}

// MetricErrors are absolute errors in percent over the cases that measured the metric.
type MetricErrors struct {
	N      int     `json:"n"`
	Mean   float64 `json:"mean_abs_pct"`
	Median float64 `json:"median_abs_pct"`
	P90    float64 `json:"p90_abs_pct"`
}

// MemoryError is how far the memory planner is from printed start-ups, as `symbiote backtest memory -json` says it.
type MemoryError struct {
	Cases     int `json:"cases"`
	Predicted int `json:"predicted"`
	Error     struct {
		Mean float64 `json:"mean"`
		P90  float64 `json:"p90"`
		Max  float64 `json:"max"`
	} `json:"kv_abs_error_gib"`
	Right int `json:"verdicts_right"`
	Wrong int `json:"verdicts_wrong"`
}

// schema is the newest form of a Test that this program reads.
const schema = 1

// Read reads a results folder: each test's document, at any depth, and what the backtests left beside them.
func Read(dir string) (Results, error) {
	var r Results
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return r.add(path, content)
	})
	if err != nil {
		return r, err
	}
	if len(r.Tests) == 0 {
		return r, fmt.Errorf("%s: holds no results; write some with: go test ./suites/... -results DIR", dir)
	}
	order := map[string]int{}
	for i, p := range phases() {
		order[p.suite] = i + 1
	}
	slices.SortStableFunc(r.Tests, func(a, b Test) int {
		return cmp.Or(cmp.Compare(order[a.Suite], order[b.Suite]), cmp.Compare(a.Test, b.Test), cmp.Compare(a.Backend, b.Backend))
	})
	for i, t := range r.Tests[1:] {
		if p := r.Tests[i]; p.Suite == t.Suite && p.Test == t.Test && p.Backend == t.Backend {
			return r, fmt.Errorf("%s: holds %s/%s of backend %s twice; give each run a folder of its own", dir, t.Suite, t.Test, t.Backend)
		}
	}
	return r, nil
}

// add reads one file. What it is shows in its keys.
func (r *Results) add(path string, content []byte) error {
	var kind struct {
		Suite   *string          `json:"suite"`
		Metrics *json.RawMessage `json:"metrics"`
		KV      *json.RawMessage `json:"kv_abs_error_gib"`
	}
	if err := decode(path, content, &kind); err != nil {
		return err
	}
	switch {
	case kind.Suite != nil:
		var t Test
		if err := decode(path, content, &t); err != nil {
			return err
		}
		if err := t.check(); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		r.Tests = append(r.Tests, t)
		return nil
	case kind.Metrics != nil:
		r.Serving = &Serving{}
		return decode(path, content, r.Serving)
	case kind.KV != nil:
		r.Memory = &MemoryError{}
		return decode(path, content, r.Memory)
	}
	return fmt.Errorf("%s: is neither a suite's results nor a backtest; take it out of the folder", path)
}

func (t Test) check() error {
	switch {
	case t.Schema > schema:
		return fmt.Errorf("schema = %d, want at most %d; a newer symbiote wrote it", t.Schema, schema)
	case t.Schema < 1:
		return fmt.Errorf("schema is missing, want %d; write the results again", schema)
	case t.Suite == "" || t.Test == "" || t.Backend == "":
		return errors.New("suite, test and backend must not be empty")
	case len(t.Rows) == 0:
		return errors.New("rows is empty; the run was cut short")
	}
	seen := map[string]bool{}
	for i, r := range t.Rows {
		switch {
		case r.Case == "" || seen[r.Case]:
			return fmt.Errorf("rows[%d]: case %q, want a name that no other row has", i, r.Case)
		case r.Cells == nil:
			return fmt.Errorf("rows[%d]: %s has no cells", i, r.Case)
		}
		seen[r.Case] = true
		for _, name := range sortedKeys(r.Metrics) {
			if x := r.Metrics[name]; math.IsNaN(x) || math.IsInf(x, 0) {
				return fmt.Errorf("rows[%d]: %s: %s = %g, want a number", i, r.Case, name, x)
			}
		}
	}
	return nil
}

// decode reads one JSON document and says where it is wrong.
func decode(path string, content []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(content))
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		return fmt.Errorf("%s:%s: something follows the document", path, place(content, d.InputOffset()))
	}
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%s:%s: %s", path, place(content, syntax.Offset), syntax)
	case errors.As(err, &typed):
		return fmt.Errorf("%s:%s: %s is %s, want %s", path, place(content, typed.Offset), typed.Field, typed.Value, typed.Type)
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return fmt.Errorf("%s:%s: the file ends inside the document; it was cut short", path, place(content, int64(len(content))))
	}
	return fmt.Errorf("%s: %w", path, err)
}

// place is line:column of a byte offset.
func place(content []byte, offset int64) string {
	before := content[:min(max(offset, 0), int64(len(content)))]
	line := 1 + bytes.Count(before, []byte("\n"))
	return fmt.Sprintf("%d:%d", line, len(before)-bytes.LastIndexByte(before, '\n'))
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
