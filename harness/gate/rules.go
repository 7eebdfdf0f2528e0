package gate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Thresholds are the limits that differ from a class's own, and the rows that come and go on purpose.
type Thresholds struct {
	Rows []Threshold `yaml:"rows"`
	New  []string    `yaml:"new"`  // rows that OLD need not have
	Gone []string    `yaml:"gone"` // rows that NEW need not have
}

// Threshold is the limit of the rows that a pattern names. The first limit that matches counts, and the largest floor.
type Threshold struct {
	Row      string  `yaml:"row"`       // "ConfigMatrix/case=sla* sec/op"; * stands for anything
	LimitPct float64 `yaml:"limit_pct"` // how much worse is still unchanged; 0 = the class's own
	FloorPct float64 `yaml:"floor_pct"` // the noise that a comparison of the same code with itself shows
}

// Waiver lets a row be worse for a while.
type Waiver struct {
	Row        string  `yaml:"row"`
	CeilingPct float64 `yaml:"ceiling_pct"` // how much worse is let pass
	Reason     string  `yaml:"reason"`
	Expires    string  `yaml:"expires"` // the last day on which it holds, 2026-12-31
}

// ParseThresholds reads a thresholds file; name is for messages.
func ParseThresholds(content []byte, name string) (Thresholds, error) {
	var t Thresholds
	if err := strict(content, name, &t); err != nil {
		return Thresholds{}, err
	}
	for _, r := range t.Rows {
		if r.Row == "" || r.LimitPct < 0 || r.FloorPct < 0 {
			return Thresholds{}, fmt.Errorf("gate: %s: row %q: want a pattern, and limit_pct and floor_pct ≥ 0", name, r.Row)
		}
	}
	return t, nil
}

// ParseWaivers reads a waivers file: a list of waivers.
func ParseWaivers(content []byte, name string) ([]Waiver, error) {
	var ws []Waiver
	if err := strict(content, name, &ws); err != nil {
		return nil, err
	}
	for _, w := range ws {
		_, err := time.Parse(time.DateOnly, w.Expires)
		if w.Row == "" || w.CeilingPct <= 0 || w.Reason == "" || err != nil {
			return nil, fmt.Errorf("gate: %s: row %q: want a row, ceiling_pct > 0, a reason and expires as 2026-12-31", name, w.Row)
		}
	}
	return ws, nil
}

// And joins two files: a row's limit is the first one's, its floor the larger.
func (t Thresholds) And(u Thresholds) Thresholds {
	return Thresholds{slices.Concat(t.Rows, u.Rows), slices.Concat(t.New, u.New), slices.Concat(t.Gone, u.Gone)}
}

// strict decodes one YAML document in which every field is known; an empty one leaves out as it is.
func strict(content []byte, name string, out any) error {
	if len(strings.TrimSpace(stripComments.ReplaceAllString(string(content), ""))) == 0 {
		return nil
	}
	if err := yaml.Load(content, out, yaml.WithKnownFields()); err != nil {
		return fmt.Errorf("gate: %s: %w", name, errors.Join(err))
	}
	return nil
}

var stripComments = regexp.MustCompile(`(?m)^\s*#.*$`)

func (w Waiver) expired(today time.Time) bool {
	return today.Format(time.DateOnly) > w.Expires
}

// limit is how much worse, in percent, a row may be before it counts.
func (t Thresholds) limit(key Key, class Class) float64 {
	limit, floor := 0.0, 0.0
	for _, r := range t.Rows {
		if match(r.Row, key.String()) {
			limit = cmp.Or(limit, r.LimitPct)
			floor = max(floor, r.FloorPct)
		}
	}
	limit = cmp.Or(limit, map[Class]float64{Virtual: 0, Allocation: 5, Time: 10, Live: 5}[class])
	if class == Time || class == Live {
		limit = max(limit, 2*floor)
	}
	return limit
}

// match reports whether the pattern, in which * stands for anything, describes all of s.
func match(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	rest, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// Floor is a thresholds file that says, for each noisy row of two outputs of the same code, how far apart they are:
// the distance of the medians, or half the width of the wider interval where that is more.
func (r Report) Floor() []byte {
	rows := slices.Clone(r.Rows)
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.String(), b.String()) })
	b := []byte("# The noise of this machine: what a comparison of the same code with itself shows.\nrows:\n")
	for _, row := range rows {
		if row.Hi == unbounded || row.Class != Time && row.Class != Live {
			continue
		}
		floor := max(math.Abs(row.Delta), row.Hi/4-row.Lo/4)
		b = fmt.Appendf(b, "  - {row: %q, floor_pct: %.2f}\n", row.String(), floor)
	}
	return b
}
