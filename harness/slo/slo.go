// Package slo says what is good enough, and how much load keeps it so.
//
//	v := slo.Judge(run, slo.Target{TTFT: time.Second, TPOT: 50 * time.Millisecond})
//	fmt.Println(v) // 99.2% of 600 met TTFT ≤ 1s, TPOT ≤ 50ms; goodput 7.93/s
//	c, err := slo.Search{Start: 8, Most: bound}.Find(keeps) // the largest rate, rows in flight, or rows of a day
//	fmt.Println(c) // 154; 156 is too much (9 runs)
package slo

import (
	"fmt"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Target is a promise to each request; a zero limit promises nothing. A request meets it when it completes and no
// limit is exceeded (equal is met).
type Target struct {
	TTFT, TPOT, E2EL time.Duration
}

// Empty says that nothing is promised but an answer.
func (t Target) Empty() bool { return t == Target{} }

func (t Target) String() string {
	var parts []string
	for _, l := range []struct {
		name  string
		limit time.Duration
	}{{"TTFT", t.TTFT}, {"TPOT", t.TPOT}, {"E2EL", t.E2EL}} {
		if l.limit > 0 {
			parts = append(parts, fmt.Sprintf("%s ≤ %v", l.name, l.limit))
		}
	}
	if parts == nil {
		return "any answer"
	}
	return strings.Join(parts, ", ")
}

// Verdict counts what was promised and kept.
type Verdict struct {
	Target         Target
	Requests       int
	Met            int
	Failed         int     // not completed, so not met
	MissedTTFT     int     // completed, but later than promised; one request may miss several limits
	MissedTPOT     int     //
	MissedE2EL     int     //
	Undefined      int     // met although a limit could not be applied: one output token has no TPOT
	Share          float64 // Met ÷ Requests, 0 to 1
	GoodputPerSec  float64 // Met a second, over the whole run
	WindowSeconds  float64 // first intended send to last token
	FirstViolation units.Time
	LastViolation  units.Time // intended send of the first and the last request that missed; Never if none did
}

// Met says whether this one request kept the promise, and whether a limit was undefined for it.
func (t Target) Met(r *record.Record) (met, undefined bool) {
	v := Verdict{Target: t}
	v.judge(r)
	return v.Met == 1, v.Undefined == 1
}

// Judge holds every request of the run against the target.
func Judge(run *record.Run, t Target) Verdict {
	v := Verdict{Target: t, Requests: len(run.Requests), FirstViolation: units.Never, LastViolation: units.Never}
	for i := range run.Requests {
		r := &run.Requests[i]
		if v.judge(r) {
			continue
		}
		if v.FirstViolation == units.Never {
			v.FirstViolation, v.LastViolation = r.Intended, r.Intended
		}
		v.FirstViolation = min(v.FirstViolation, r.Intended)
		v.LastViolation = max(v.LastViolation, r.Intended)
	}
	if v.Requests > 0 {
		v.Share = float64(v.Met) / float64(v.Requests)
	}
	if d := run.End.Sub(run.Start); d > 0 {
		v.WindowSeconds = d.Seconds()
		v.GoodputPerSec = float64(v.Met) / v.WindowSeconds
	}
	return v
}

func (v *Verdict) judge(r *record.Record) bool {
	if !r.Completed() {
		v.Failed++
		return false
	}
	ok, undefined := true, false
	check := func(limit time.Duration, missed *int, span units.Span, defined bool) {
		switch {
		case limit == 0:
		case !defined:
			undefined = true
		case span > units.FromDuration(limit):
			*missed++
			ok = false
		}
	}
	ttft, hasTTFT := r.TTFT()
	tpot, hasTPOT := r.TPOT()
	e2el, hasE2EL := r.E2EL()
	check(v.Target.TTFT, &v.MissedTTFT, ttft, hasTTFT)
	check(v.Target.TPOT, &v.MissedTPOT, tpot, hasTPOT)
	check(v.Target.E2EL, &v.MissedE2EL, e2el, hasE2EL)
	if ok {
		v.Met++
		if undefined {
			v.Undefined++
		}
	}
	return ok
}

func (v Verdict) String() string {
	return fmt.Sprintf("%.1f%% of %d met %v; goodput %.3g/s", 100*v.Share, v.Requests, v.Target, v.GoodputPerSec)
}
