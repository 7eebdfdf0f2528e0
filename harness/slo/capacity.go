package slo

import (
	"fmt"
	"math"
)

// Search says where the largest load that keeps a promise is looked for.
type Search struct {
	Start float64 // where to look first; it decides how long the search takes, not what it finds
	Least float64 // below it the answer is "none"; 0 = 1/1024
	Most  float64 // no more is physically possible; 0 = 2^40
	Whole bool    // loads are whole numbers: rows in flight, requests of a day
	Steps int     // candidates between a power of two and the next; 0 = 64, so a result is within 1.6 %
}

// Capacity is what a search found.
type Capacity struct {
	Load    float64 // the largest candidate that keeps the promise; 0 if none does
	Above   float64 // the next candidate, which does not keep it
	Runs    int     // how often it was tried
	AtBound bool    // everything possible keeps it: Load is the last candidate not above Most
}

func (c Capacity) String() string {
	switch {
	case c.Load == 0:
		return fmt.Sprintf("no load keeps it (%d runs)", c.Runs)
	case c.AtBound:
		return fmt.Sprintf("%.4g, all that is possible (%d runs)", c.Load, c.Runs)
	}
	return fmt.Sprintf("%.4g; %.4g is too much (%d runs)", c.Load, c.Above, c.Runs)
}

// Find searches for the largest load that keeps a promise. Candidates are fixed whatever the start: powers of two and
// equal steps between them. It walks by powers of two from Start to a pair of which the lower keeps and the upper does
// not, then halves that pair. So the result does not depend on Start, as long as a load that keeps the promise is not
// followed by one of half its size that breaks it.
func (s Search) Find(keeps func(load float64) (bool, error)) (Capacity, error) {
	s = s.filled()
	if s.Start <= 0 || s.Most < s.Least || math.IsNaN(s.Start+s.Least+s.Most) {
		return Capacity{}, fmt.Errorf("slo: search from %g within %g..%g, want 0 < least ≤ most and a start above 0", s.Start, s.Least, s.Most)
	}
	var c Capacity
	known := map[float64]bool{}
	try := func(load float64) (bool, error) {
		if load > s.Most {
			return false, nil
		}
		if ok, tried := known[load]; tried {
			return ok, nil
		}
		c.Runs++
		ok, err := keeps(load)
		known[load] = ok
		return ok, err
	}
	low, err := s.octave(try)
	if err != nil || low == 0 {
		return c, err
	}
	from, to := 0, s.steps(low) // candidate from keeps, candidate to does not
	for to-from > 1 {
		mid := (from + to) / 2
		ok, err := try(s.candidate(low, mid))
		if err != nil {
			return c, err
		}
		if ok {
			from = mid
		} else {
			to = mid
		}
	}
	c.Load, c.Above = s.candidate(low, from), s.candidate(low, to)
	c.AtBound = c.Above > s.Most
	return c, nil
}

func (s Search) filled() Search {
	if s.Least == 0 {
		s.Least = 1.0 / 1024
	}
	if s.Whole {
		s.Least = max(1, s.Least)
	}
	if s.Most == 0 {
		s.Most = 1 << 40
	}
	if s.Steps == 0 {
		s.Steps = 64
	}
	s.Start = min(max(s.Start, s.Least), s.Most)
	return s
}

// octave returns the power of two that keeps the promise while the next does not; 0 if none from Least up does.
func (s Search) octave(try func(float64) (bool, error)) (float64, error) {
	_, e := math.Frexp(s.Start)
	low := math.Ldexp(1, e-1)
	ok, err := try(low)
	if err != nil {
		return 0, err
	}
	for ok {
		if ok, err = try(2 * low); err != nil {
			return 0, err
		}
		if !ok {
			return low, nil
		}
		low *= 2
	}
	for low/2 >= s.Least {
		low /= 2
		if ok, err = try(low); err != nil || ok {
			return low, err
		}
	}
	return 0, nil
}

func (s Search) steps(low float64) int {
	if s.Whole {
		return int(min(float64(s.Steps), low))
	}
	return s.Steps
}

// candidate i of an octave, exact in binary as long as Steps is a power of two.
func (s Search) candidate(low float64, i int) float64 {
	load := low + low*float64(i)/float64(s.steps(low))
	if s.Whole {
		load = math.Floor(load)
	}
	return load
}
