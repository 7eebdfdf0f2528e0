package workload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Decode reads a workload file:
//
//	arrivals: {kind: poisson, rate: 8}
//	requests: 600
//	prompt_tokens: lognormal:170,80,16,1024
//	output_tokens: 100
//
// The kinds of arrivals are constant, poisson, gamma, onoff, profile, all and closed. A field that is not known is an
// error with its line and column; name is what errors call the file.
func Decode(name string, data []byte) (Load, error) {
	in := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := in.Decode(&doc); errors.Is(err, io.EOF) {
		return Load{}, fmt.Errorf("%s: the file is empty, want arrivals, requests, prompt_tokens, output_tokens", name)
	} else if err != nil {
		return Load{}, fmt.Errorf("%s: %w", name, err)
	}
	if err := in.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Load{}, fmt.Errorf("%s: a second YAML document follows, want one", name)
	}
	d := decoder{name: name}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return Load{}, fmt.Errorf("%s: want one mapping", name)
	}
	load, err := d.load(doc.Content[0])
	if err != nil {
		return Load{}, err
	}
	if err := load.Validate(); err != nil {
		return Load{}, fmt.Errorf("%s: %w", name, err)
	}
	return load, nil
}

type decoder struct{ name string }

func (d decoder) at(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %s", d.name, n.Line, n.Column, fmt.Sprintf(format, args...))
}

// A field is how one key of a mapping is read.
type field struct {
	key  string
	read func(*yaml.Node) error
}

// mapping reads each key of n with its field, and refuses the rest.
func (d decoder) mapping(n *yaml.Node, what string, fields []field) error {
	if n.Kind != yaml.MappingNode {
		return d.at(n, "%s is %q, want a mapping", what, n.Value)
	}
	seen := map[string]bool{}
next:
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if seen[key.Value] {
			return d.at(key, "%s is there twice", key.Value)
		}
		seen[key.Value] = true
		for _, f := range fields {
			if f.key == key.Value {
				if err := f.read(value); err != nil {
					return err
				}
				continue next
			}
		}
		names := ""
		for _, f := range fields {
			names += " " + f.key
		}
		return d.at(key, "field %q is not known; %s has%s", key.Value, what, names)
	}
	return nil
}

func (d decoder) integer(to *int, least int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil || n.Tag == "!!str" {
			return d.at(n, "%q, want a whole number", n.Value)
		}
		if v < least || v > maxLength {
			return d.at(n, "%d, want from %d to %d", v, least, maxLength)
		}
		*to = v
		return nil
	}
}

func (d decoder) number(to *float64) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, err := strconv.ParseFloat(n.Value, 64)
		if n.Kind != yaml.ScalarNode || err != nil || n.Tag == "!!str" || math.IsNaN(v) || math.IsInf(v, 0) {
			return d.at(n, "%q, want a number", n.Value)
		}
		if v < 0 {
			return d.at(n, "%g, want ≥ 0", v)
		}
		*to = v
		return nil
	}
}

func (d decoder) lengths(to *Lengths) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode {
			return d.at(n, "want a length: a number or lognormal:mean,sd,min,max")
		}
		l, err := ParseLengths(n.Value)
		if err != nil {
			return d.at(n, "%v", err)
		}
		*to = l
		return nil
	}
}

func (d decoder) load(n *yaml.Node) (Load, error) {
	rows := Rows{}
	arrivals := arrivalsFile{at: n}
	var prefix, seed int
	err := d.mapping(n, "a workload", []field{
		{"arrivals", func(n *yaml.Node) error { return d.arrivals(n, &arrivals) }},
		{"requests", d.integer(&rows.Count, 1)},
		{"prompt_tokens", d.lengths(&rows.Prompt)},
		{"output_tokens", d.lengths(&rows.Output)},
		{"shared_prefix_tokens", d.integer(&prefix, 0)},
		{"prefix_groups", d.integer(&rows.Groups, 0)},
		{"seed", d.integer(&seed, 0)},
	})
	if err != nil {
		return Load{}, err
	}
	switch {
	case arrivals.kind == "":
		return Load{}, d.at(n, "arrivals are missing, want for example {kind: poisson, rate: 8}")
	case rows.Prompt == nil:
		return Load{}, d.at(n, "prompt_tokens is missing")
	case rows.Output == nil:
		return Load{}, d.at(n, "output_tokens is missing")
	}
	rows.SharedPrefix = units.Tokens(prefix)
	a, err := arrivals.build()
	if err != nil {
		return Load{}, d.at(arrivals.at, "%v", err)
	}
	return Load{Rows: rows, Arrivals: a, Seed: uint64(seed)}, nil
}

// arrivalsFile is the arrivals section as it is written.
type arrivalsFile struct {
	at       *yaml.Node
	kind     string
	rate, cv float64
	inFlight int
	stages   []Point // seconds, rate
}

func (d decoder) arrivals(n *yaml.Node, a *arrivalsFile) error {
	a.at = n
	return d.mapping(n, "arrivals", []field{
		{"kind", func(n *yaml.Node) error {
			if n.Kind != yaml.ScalarNode || n.Value == "" {
				return d.at(n, "kind, want constant, poisson, gamma, onoff, profile, all or closed")
			}
			a.kind = n.Value
			return nil
		}},
		{"rate", d.number(&a.rate)},
		{"cv", d.number(&a.cv)},
		{"inflight", d.integer(&a.inFlight, 1)},
		{"stages", func(n *yaml.Node) error {
			if n.Kind != yaml.SequenceNode {
				return d.at(n, "stages, want [[seconds, rate], …]")
			}
			for _, s := range n.Content {
				if s.Kind != yaml.SequenceNode || len(s.Content) != 2 {
					return d.at(s, "a stage, want [seconds, rate]")
				}
				var p Point
				if err := errors.Join(d.number(&p.T)(s.Content[0]), d.number(&p.X)(s.Content[1])); err != nil {
					return err
				}
				a.stages = append(a.stages, p)
			}
			return nil
		}},
	})
}

// build checks that each kind has what it needs and nothing that it would ignore.
func (a arrivalsFile) build() (Arrivals, error) {
	needs := func(rate, cv, inFlight, stages bool) error {
		for _, f := range []struct {
			name            string
			given, possible bool
		}{
			{"rate", a.rate != 0, rate}, {"cv", a.cv != 0, cv},
			{"inflight", a.inFlight != 0, inFlight}, {"stages", a.stages != nil, stages},
		} {
			if f.given && !f.possible {
				return fmt.Errorf("kind %s has no %s", a.kind, f.name)
			}
		}
		return nil
	}
	switch a.kind {
	case "all":
		return AllAtOnce{}, needs(false, false, false, false)
	case "constant":
		return Constant{a.rate}, needs(true, false, false, false)
	case "poisson":
		return Poisson{a.rate}, needs(true, false, false, false)
	case "gamma":
		return Gamma{a.rate, a.cv}, needs(true, true, false, false)
	case "closed":
		return Closed{a.inFlight}, needs(false, false, true, false)
	case "profile":
		p := Steps(1, a.stages...)
		p.CV = a.cv
		return p, needs(false, true, false, true)
	case "onoff":
		return a.onOff(needs)
	}
	return nil, fmt.Errorf("kind %q, want constant, poisson, gamma, onoff, profile, all or closed", a.kind)
}

// onOff takes two stages, [mean seconds, rate] on and off; with a rate alone it is the shape of a real code
// completion service (Azure 2023): 28 % of the time on, at 3.5 times the mean.
func (a arrivalsFile) onOff(needs func(rate, cv, inFlight, stages bool) error) (Arrivals, error) {
	if a.stages == nil {
		p := CodeOnOff(a.rate)
		if a.cv != 0 {
			p.CV = a.cv
		}
		return p, needs(true, true, false, true)
	}
	if len(a.stages) != 2 {
		return nil, fmt.Errorf("kind onoff has %d stages, want two: [[mean seconds on, rate], [mean seconds off, rate]]", len(a.stages))
	}
	on, off := a.stages[0], a.stages[1]
	span := func(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }
	return OnOff{On: span(on.T), Off: span(off.T), OnRate: on.X, OffRate: off.X, CV: a.cv}, needs(false, true, false, true)
}

// CodeOnOff is an ON/OFF process of the given mean rate in the shape of a real code completion service
// (Azure 2023, CC-BY-4.0: split at gaps above 5 s, 28 % of the time on, median 15.5 s, gaps inside with CV 1.6).
func CodeOnOff(rate float64) OnOff {
	const on, duty = 15.5, 0.28
	return OnOff{
		On:     time.Duration(on * float64(time.Second)),
		Off:    time.Duration(math.Round(on * (1 - duty) / duty * float64(time.Second))),
		OnRate: rate / duty,
		CV:     1.6,
	}
}
