package gate

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchproc"
	"golang.org/x/perf/benchunit"
)

// Side is one benchmark output, read.
type Side struct {
	Name     string
	order    []Key // as first seen
	values   map[Key][]float64
	units    unitTable
	config   map[string][]string // values of each configuration key, sorted
	troubles []string
}

// Read reads the output of go test -bench. The filter is benchstat's ("*", ".name:ConfigMatrix", ".unit:req/s").
// The error is of reading; what the output itself lacks is kept for the verdict.
func Read(r io.Reader, name, filter string) (*Side, error) {
	keep, err := benchproc.NewFilter(filter)
	if err != nil {
		return nil, fmt.Errorf("gate: filter %q: %w", filter, err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("gate: %s: %w", name, err)
	}
	s := &Side{Name: name, values: map[Key][]float64{}, units: unitTable{}, config: map[string][]string{}}
	s.findFailures(content)
	reader := benchfmt.NewReader(bytes.NewReader(content), name)
	for reader.Scan() {
		switch record := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			s.trouble("%s:%d: %s", name, record.Line, record.Msg)
		case *benchfmt.Result:
			if ok, _ := keep.Apply(record); ok {
				s.add(record)
			}
		}
	}
	if err := reader.Err(); err != nil {
		return nil, fmt.Errorf("gate: %w", err)
	}
	for key, meta := range reader.Units() {
		s.units.set(key, meta.Value)
	}
	if len(s.order) == 0 {
		s.trouble("%s: no benchmark results", name)
	}
	return s, nil
}

func (s *Side) trouble(format string, args ...any) {
	s.troubles = append(s.troubles, fmt.Sprintf(format, args...))
}

var failure = regexp.MustCompile(`^\s*(--- (FAIL|SKIP): \S+|FAIL(\s.*)?$|panic: .*|.*\[(build|setup) failed\]$)`)

// findFailures tells of what go test says between the results: a benchmark that failed or was skipped has no row,
// and a row that is silently absent on both sides would pass.
func (s *Side) findFailures(content []byte) {
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if failure.Match(lines.Bytes()) {
			s.trouble("%s:%d: %s", s.Name, n, strings.TrimSpace(lines.Text()))
		}
	}
}

func (s *Side) add(r *benchfmt.Result) {
	base, parts := r.Name.Parts()
	name := string(base)
	for _, part := range parts {
		if part[0] == '-' {
			s.note("gomaxprocs", string(part[1:]))
			continue
		}
		name += string(part)
	}
	for _, c := range r.Config {
		if c.Key != "pkg" {
			s.note(c.Key, string(c.Value))
		}
	}
	for _, v := range r.Values {
		// A zero is read with its unit as written ("ns"), any other value with the tidied one ("sec").
		_, unit := benchunit.Tidy(1, v.Unit)
		key := Key{r.GetConfig("pkg"), name, unit}
		if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
			_, line := r.Pos()
			s.trouble("%s:%d: %s is %v", s.Name, line, key, v.Value)
			continue
		}
		if _, ok := s.values[key]; !ok {
			s.order = append(s.order, key)
		}
		s.values[key] = append(s.values[key], v.Value)
	}
}

func (s *Side) note(key, value string) {
	if at, ok := slices.BinarySearch(s.config[key], value); !ok {
		s.config[key] = slices.Insert(s.config[key], at, value)
	}
}

// unitTable holds what the Unit lines of an output declare.
type unitTable map[string]unit

type unit struct {
	better int // 1 higher, -1 lower, 0 not said
	exact  bool
}

func (t unitTable) set(key benchfmt.UnitMetadataKey, value string) {
	_, name := benchunit.Tidy(1, key.Unit)
	u := t[name]
	switch {
	case key.Key == "better" && value == "higher":
		u.better = 1
	case key.Key == "better" && value == "lower":
		u.better = -1
	case key.Key == "assume":
		u.exact = value == "exact"
	}
	t[name] = u
}

// class says how a unit is judged; false where nobody says which direction is better.
func (t unitTable) class(name string) (Class, bool) {
	switch {
	case name == "B/op" || name == "allocs/op":
		return Allocation, true
	case name == "sec/op" || name == "cpu-sec/op" || name == "B/s":
		return Time, true
	case t[name].better == 0:
		return "", false
	case t[name].exact:
		return Virtual, true
	}
	return Live, true
}

// mergeUnits joins the declarations of both sides; the directions of Go's own units are known.
func mergeUnits(old, new *Side) (unitTable, []string) {
	merged := unitTable{"B/op": {better: -1}, "allocs/op": {better: -1}, "sec/op": {better: -1}, "cpu-sec/op": {better: -1}, "B/s": {better: 1}}
	var conflicts []string
	for _, side := range []*Side{old, new} {
		for _, name := range slices.Sorted(maps.Keys(side.units)) {
			u := side.units[name]
			if was, ok := merged[name]; ok && was != u {
				conflicts = append(conflicts, fmt.Sprintf("unit %s: %s declares %s, and elsewhere it is %s", name, side.Name, u, was))
				continue
			}
			merged[name] = u
		}
	}
	return merged, conflicts
}

func (u unit) String() string {
	s := map[int]string{1: "better=higher", -1: "better=lower", 0: "no direction"}[u.better]
	if u.exact {
		s += " assume=exact"
	}
	return s
}

// hostKeys must agree where host time, allocations or a live server are compared; inputKeys may differ, and are
// then part of the cause; any other key must agree always.
var (
	hostKeys  = []string{"cpu", "goos", "goarch", "go", "gomaxprocs", "gpu", "toolchain"}
	inputKeys = []string{"commit", "code", "calibration", "fixtures", "deployment"}
)

// Change is one configuration key that differs between the sides.
type Change struct {
	Key string `json:"key"`
	Old string `json:"old"`
	New string `json:"new"`
}

// compareConfig tells which keys forbid the comparison and which inputs changed.
func compareConfig(old, new *Side, noisy bool) (refusals []string, changes []Change) {
	keys := slices.Concat(slices.Collect(maps.Keys(old.config)), slices.Collect(maps.Keys(new.config)))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		was, is := strings.Join(old.config[key], ", "), strings.Join(new.config[key], ", ")
		switch {
		case was == is:
		case slices.Contains(inputKeys, key) || slices.Contains(hostKeys, key) && !noisy:
			changes = append(changes, Change{key, was, is})
		default:
			refusals = append(refusals, fmt.Sprintf("%s: %q in %s, %q in %s; the runs cannot be compared", key, was, old.Name, is, new.Name))
		}
	}
	return refusals, changes
}
