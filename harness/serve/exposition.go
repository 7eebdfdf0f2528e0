package serve

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
)

// An exposition writes the Prometheus text of vLLM's client library: counters with a gauge of their creation time,
// floats as Python prints them, label names in alphabetical order.
type exposition struct {
	b       []byte
	created float64
}

// goFloat is how Python's Prometheus client prints a value.
func goFloat(f float64) string {
	if math.IsInf(f, 1) {
		return "+Inf"
	}
	s := pydantic.Float(f)
	if dot := strings.IndexByte(s, '.'); f > 0 && dot > 6 && !strings.ContainsAny(s, "e") {
		mantissa := strings.TrimRight(s[:1]+"."+s[1:dot]+s[dot+1:], "0.")
		return mantissa + "e+0" + strconv.Itoa(dot-1)
	}
	return s
}

func (x *exposition) head(name, kind, help string) {
	x.b = fmt.Appendf(x.b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// sample writes one line. labels is the inside of the braces, "" for none.
func (x *exposition) sample(name, labels string, value float64) {
	x.b = append(x.b, name...)
	if labels != "" {
		x.b = append(x.b, '{')
		x.b = append(x.b, labels...)
		x.b = append(x.b, '}')
	}
	x.b = append(x.b, ' ')
	x.b = append(x.b, goFloat(value)...)
	x.b = append(x.b, '\n')
}

// A series is a set of labels and its value; for the HTTP families also when it was created.
type series struct {
	labels  string
	value   float64
	created float64
}

func (x *exposition) gauge(name, help string, all ...series) {
	x.head(name, "gauge", help)
	for _, s := range all {
		x.sample(name, s.labels, s.value)
	}
}

// counter writes a counter and when its series were created. Without series only the head is there.
func (x *exposition) counter(name, help string, all ...series) {
	x.head(name+"_total", "counter", help)
	for _, s := range all {
		x.sample(name+"_total", s.labels, s.value)
	}
	x.creation(name, help, all)
}

func (x *exposition) creation(name, help string, all []series) {
	if len(all) == 0 {
		return
	}
	x.head(name+"_created", "gauge", help)
	for _, s := range all {
		if s.created == 0 {
			s.created = x.created
		}
		x.sample(name+"_created", s.labels, s.created)
	}
}

// A histogramSeries is one labelled histogram: its labels in front of and behind le.
type histogramSeries struct {
	before, after string
	h             *histogram
	created       float64
}

func (s histogramSeries) labels() string { return joinLabels(s.before, s.after) }

func joinLabels(parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, ",")
}

func (x *exposition) histogram(name, help string, all ...histogramSeries) {
	x.head(name, "histogram", help)
	var created []series
	for _, s := range all {
		total := uint64(0)
		for i, n := range s.h.counts {
			total += n
			le := "+Inf"
			if i < len(s.h.bounds) {
				le = goFloat(s.h.bounds[i])
			}
			x.sample(name+"_bucket", joinLabels(s.before, `le="`+le+`"`, s.after), float64(total))
		}
		x.sample(name+"_count", s.labels(), float64(s.h.count))
		x.sample(name+"_sum", s.labels(), s.h.sum)
		created = append(created, series{labels: s.labels(), created: s.created})
	}
	x.creation(name, help, created)
}

// summary writes a summary without quantiles.
func (x *exposition) summary(name, help string, counts, sums []series) {
	x.head(name, "summary", help)
	for i := range counts {
		x.sample(name+"_count", counts[i].labels, counts[i].value)
		x.sample(name+"_sum", sums[i].labels, sums[i].value)
	}
	x.creation(name, help, counts)
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
