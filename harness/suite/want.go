package suite

import (
	"errors"
	"fmt"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/failure"
)

// Want is what a case promises. Redrawing a golden table cannot make a broken one pass.
type Want struct {
	Says  string             // completes the sentence "want that it …"
	Check func(Result) error // says what is so instead; nil where the promise is kept
}

func (w Want) check(r Result) error {
	if w.Check == nil {
		return nil
	}
	return w.Check(r)
}

// Promise is what several cases keep together.
type Promise struct {
	Says  string
	Check func(Results) error
}

// Completes promises that the deployment starts and every request gets its whole answer.
func Completes() Want {
	return Want{"completes every request", func(r Result) error {
		if r.Failure != nil {
			return fmt.Errorf("it does not start: %w", r.Failure)
		}
		if r.Run == nil {
			return errors.New("nothing was played")
		}
		if n := len(r.Run.Requests); n == 0 || r.Summary.Completed != n {
			return fmt.Errorf("%d of %d completed%s", r.Summary.Completed, n, r.failures())
		}
		return nil
	}}
}

// failures lists how requests ended that did not complete.
func (r Result) failures() string {
	var parts []string
	for _, f := range r.Summary.Failures {
		parts = append(parts, fmt.Sprintf("%d %s", f.Count, f.Class))
	}
	if parts == nil {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

// Meets promises that at least this percentage of the requests meets the SLO.
func Meets(percent float64) Want {
	return Want{fmt.Sprintf("meets the SLO for at least %g%% of the requests", percent), func(r Result) error {
		if err := served(r); err != nil {
			return err
		}
		if got := 100 * r.Verdict.Share; got < percent {
			return fmt.Errorf("%.2f%% of %d met it", got, r.Verdict.Requests)
		}
		return nil
	}}
}

// Misses promises that less than this percentage of the requests meets the SLO: a suite whose every case passes
// whatever happens would prove nothing.
func Misses(percent float64) Want {
	return Want{fmt.Sprintf("misses the SLO: less than %g%% of the requests meet it", percent), func(r Result) error {
		if err := served(r); err != nil {
			return err
		}
		if got := 100 * r.Verdict.Share; got >= percent {
			return fmt.Errorf("%.2f%% of %d met it", got, r.Verdict.Requests)
		}
		return nil
	}}
}

func served(r Result) error {
	switch {
	case r.Failure != nil:
		return fmt.Errorf("it does not start: %w", r.Failure)
	case r.Run == nil || r.Verdict.Requests == 0:
		return errors.New("no request was sent")
	}
	return nil
}

// Fails promises that the deployment does not start, for this reason.
func Fails(class failure.Class) Want {
	return Want{"fails with " + string(class), func(r Result) error {
		switch {
		case r.Failure == nil:
			return errors.New("it starts")
		case r.Failure.Class != class:
			return fmt.Errorf("it fails with %w", r.Failure)
		}
		return nil
	}}
}

// Starts promises that the deployment starts, whether or not anything is played.
func Starts() Want {
	return Want{"starts", func(r Result) error {
		if r.Failure != nil {
			return fmt.Errorf("it does not: %w", r.Failure)
		}
		return nil
	}}
}

// All promises each of several things.
func All(wants ...Want) Want {
	var says []string
	for _, w := range wants {
		says = append(says, w.Says)
	}
	return Want{strings.Join(says, " and "), func(r Result) error {
		var errs []error
		for _, w := range wants {
			errs = append(errs, w.check(r))
		}
		return errors.Join(errs...)
	}}
}

// Keeps promises that a figure stays within bounds, both included.
func Keeps(name string, of func(Result) float64, least, most float64) Want {
	return Want{fmt.Sprintf("keeps %s from %g to %g", name, least, most), func(r Result) error {
		if r.Failure != nil {
			return fmt.Errorf("it does not start: %w", r.Failure)
		}
		if got := of(r); !(least <= got && got <= most) {
			return fmt.Errorf("%s = %g", name, got)
		}
		return nil
	}}
}

// Rises promises that a figure does not fall from each of these cases to the next; Falls, that it falls each time.
func Rises(name string, of func(Result) float64, cases ...string) Promise {
	return Promise{fmt.Sprintf("%s does not fall from %s", name, strings.Join(cases, " to ")), inOrder(name, of, cases, func(a, b float64) bool { return a <= b })}
}

// Falls promises that a figure is smaller in each of these cases than in the one before.
func Falls(name string, of func(Result) float64, cases ...string) Promise {
	return Promise{fmt.Sprintf("%s falls from %s", name, strings.Join(cases, " to ")), inOrder(name, of, cases, func(a, b float64) bool { return a > b })}
}

// Holds promises that a figure falls by at most so many percent from each of these cases to the next.
func Holds(name string, percent float64, of func(Result) float64, cases ...string) Promise {
	says := fmt.Sprintf("%s falls by at most %g%% from %s", name, percent, strings.Join(cases, " to "))
	return Promise{says, inOrder(name, of, cases, func(a, b float64) bool { return b >= a*(1-percent/100) })}
}

func inOrder(name string, of func(Result) float64, cases []string, ok func(a, b float64) bool) func(Results) error {
	return func(rs Results) error {
		for i := 1; i < len(cases); i++ {
			a, b := of(rs.Of(cases[i-1])), of(rs.Of(cases[i]))
			if !ok(a, b) {
				return fmt.Errorf("%s is %.4g in %s and %.4g in %s", name, a, cases[i-1], b, cases[i])
			}
		}
		return nil
	}
}
