package workload

import (
	"errors"
	"fmt"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Source is what is asked, without when: Rows drawn from distributions, or a *Trace.
type Source interface {
	fmt.Stringer
	// Len is the number of rows; 0 when the arrivals say how many.
	Len() int
	// rows yields the rows in order, the same for the same seed; ID and length are set, At as recorded.
	rows(seed uint64) func() (Request, bool)
	validate() error
}

// Rows are requests drawn from distributions. All prompts differ, except that requests of one group share their
// first SharedPrefix tokens (all of the prompt where it is shorter).
type Rows struct {
	Name           string // how the rows call themselves; empty prints the distributions
	Count          int    // 0: as many as the arrivals give
	Prompt, Output Lengths
	SharedPrefix   units.Tokens // part of Prompt, not beside it
	Groups         int          // of SharedPrefix; 0 is 1
	RoundRobin     bool         // the groups take turns instead of being drawn
}

// BatchChat is the standard row of a batch job: a short chat prompt and a short answer.
func BatchChat(rows int) Rows {
	return Rows{
		Name:   "batch-chat",
		Count:  rows,
		Prompt: LogNormal{Mean: 170, SD: 80, Min: 16, Max: 1024},
		Output: LogNormal{Mean: 100, SD: 60, Min: 1, Max: 512},
	}
}

// At sends the rows when a says.
func (r Rows) At(a Arrivals) Load { return Load{Rows: r, Arrivals: a} }

func (r Rows) Len() int { return r.Count }

func (r Rows) String() string {
	s := r.Name
	if s == "" {
		s = fmt.Sprintf("prompt %v output %v", r.Prompt, r.Output)
	}
	if r.Count > 0 {
		s = fmt.Sprintf("%d rows %s", r.Count, s)
	}
	if r.SharedPrefix > 0 {
		s += fmt.Sprintf(" shared prefix %d in %d groups", r.SharedPrefix, max(1, r.Groups))
	}
	return s
}

func (r Rows) validate() error {
	switch {
	case r.Count < 0:
		return fmt.Errorf("requests = %d, want ≥ 0", r.Count)
	case r.Prompt == nil || r.Output == nil:
		return errors.New("prompt and output lengths are both needed")
	case r.SharedPrefix < 0:
		return fmt.Errorf("shared prefix = %d tokens, want ≥ 0", r.SharedPrefix)
	case r.Groups < 0:
		return fmt.Errorf("prefix groups = %d, want ≥ 0", r.Groups)
	case r.Groups > 0 && r.SharedPrefix == 0:
		return fmt.Errorf("prefix groups = %d without a shared prefix", r.Groups)
	}
	if err := r.Prompt.validate(); err != nil {
		return fmt.Errorf("prompt: %w", err)
	}
	if err := r.Output.validate(); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

// Text sources that different kinds of workload name must not meet: the kind is in the upper bits.
const (
	groupText  uint64 = 1 << 56
	promptText uint64 = 2 << 56
	blockText  uint64 = 3 << 56
)

func (r Rows) rows(seed uint64) func() (Request, bool) {
	prompts, outputs := newDraw(seed, streamPrompts), newDraw(seed, streamOutputs)
	groups := newDraw(seed, streamGroups)
	id := 0
	return func() (Request, bool) {
		if r.Count > 0 && id >= r.Count {
			return Request{}, false
		}
		req := Request{ID: id, Prompt: r.Prompt.draw(prompts), Output: r.Output.draw(outputs)}
		if r.SharedPrefix > 0 {
			g := id % max(1, r.Groups)
			if !r.RoundRobin {
				g = groups.IntN(max(1, r.Groups))
			}
			req.Shared = []units.Segment{{Source: groupText | uint64(g), Len: min(r.SharedPrefix, req.Prompt)}}
		}
		id++
		return req, true
	}
}
