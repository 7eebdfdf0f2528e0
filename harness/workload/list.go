package workload

import (
	"errors"
	"fmt"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// List is a handful of requests that are written out, sorted by At. IDs are given by position.
type List struct {
	Name     string // what the list is called; empty says how many there are
	Requests []Request
}

// At sends the rows when a says, instead of at their own times.
func (l List) At(a Arrivals) Load { return Load{Rows: l, Arrivals: a} }

// Len is the number of requests.
func (l List) Len() int { return len(l.Requests) }

func (l List) String() string {
	if l.Name != "" {
		return l.Name
	}
	return fmt.Sprintf("%d listed requests", len(l.Requests))
}

func (l List) recorded() []units.Time {
	at := make([]units.Time, len(l.Requests))
	for i, r := range l.Requests {
		at[i] = r.At
	}
	return at
}

func (l List) validate() error {
	if len(l.Requests) == 0 {
		return errors.New("the list has no requests")
	}
	for i, r := range l.Requests {
		switch {
		case r.Prompt < 1 || r.Output < 1:
			return fmt.Errorf("request %d has %d prompt and %d output tokens, want at least 1 each", i, r.Prompt, r.Output)
		case r.At < 0 || i > 0 && r.At < l.Requests[i-1].At:
			return fmt.Errorf("request %d is sent at %v, want times ascending from 0", i, r.At)
		}
	}
	return nil
}

func (l List) rows(uint64) func() (Request, bool) {
	i := 0
	return func() (Request, bool) {
		if i >= len(l.Requests) {
			return Request{}, false
		}
		r := l.Requests[i]
		r.ID = i
		i++
		return r, true
	}
}
