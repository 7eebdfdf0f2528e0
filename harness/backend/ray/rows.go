package ray

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// story collects what a job's script tells: a line is a marker, a space and one JSON object.
type story struct {
	start   startLine
	sent    []sentLine
	rows    []rowLine
	done    *doneLine
	fault   *errorLine
	garbled int // marked lines that could not be read
}

type startLine struct {
	Ray string  `json:"ray"`
	At  float64 `json:"at"`
}

type sentLine struct {
	Row   int     `json:"row"`
	At    float64 `json:"at"`
	Actor string  `json:"actor"`
}

type rowLine struct {
	Row    int     `json:"row"`
	Submit float64 `json:"submit"`
	Start  float64 `json:"start"`
	End    float64 `json:"end"`
	Status int     `json:"status"`
	Prompt int     `json:"prompt"`
	Output int     `json:"output"`
	Error  string  `json:"error"`
	Actor  string  `json:"actor"`

	Wait float64   `json:"wait"` // for the first token, seconds; 0 = not known
	Gaps []float64 `json:"gaps"` // between tokens, seconds; none = not known
}

type doneLine struct {
	Rows int     `json:"rows"`
	At   float64 `json:"at"`
}

type errorLine struct {
	Type string `json:"type"`
	Msg  string `json:"msg"`
}

func (s *story) see(line string) {
	what, text, ok := strings.Cut(line, " ")
	if !ok || !strings.HasPrefix(what, "TS_") {
		return
	}
	var err error
	switch what {
	case "TS_START":
		err = json.Unmarshal([]byte(text), &s.start)
	case "TS_SENT":
		var l sentLine
		if err = json.Unmarshal([]byte(text), &l); err == nil {
			s.sent = append(s.sent, l)
		}
	case "TS_ROW":
		var l rowLine
		if err = json.Unmarshal([]byte(text), &l); err == nil {
			s.rows = append(s.rows, l)
		}
	case "TS_DONE":
		err = json.Unmarshal([]byte(text), &s.done)
	case "TS_ERROR":
		err = json.Unmarshal([]byte(text), &s.fault)
	}
	if err != nil {
		s.garbled++
	}
}

// Tally says what became of the rows: Asked = OK + Failed + Lost.
type Tally struct {
	Asked      int
	OK         int
	Failed     int // came out with an error in the answer's place
	Lost       int // did not come out
	LostSent   int // of those, sent: the server may have worked for nothing
	Resent     int // requests beyond the first of a row: retries, and tasks computed again
	OutTwice   int // rows that came out more than once; the first counts
	OutOfOrder int // rows that came out after a later one
}

func (t Tally) String() string {
	return fmt.Sprintf("%d rows: %d ok, %d failed, %d lost (%d of them sent), %d sent again, %d out twice, %d out of order",
		t.Asked, t.OK, t.Failed, t.Lost, t.LostSent, t.Resent, t.OutTwice, t.OutOfOrder)
}

// account gives each of the rows that were asked for, numbered from 0, exactly one outcome.
func (s *story) account(asked []record.Record, lost failure.Class, why string) ([]record.Record, Tally) {
	out := slices.Clone(asked)
	t := Tally{Asked: len(out)}
	sends := make([]int, len(out))
	came := make([]bool, len(out))
	actors := s.actors()
	timed := s.timed(asked)
	for i := range out {
		r := &out[i]
		r.Sent, r.Admitted, r.First, r.Last = units.Never, units.Never, units.Never, units.Never
		r.Outcome, r.Detail = lost, why
	}
	for _, l := range s.sent {
		if l.Row < 0 || l.Row >= len(out) {
			continue
		}
		r := &out[l.Row]
		if sends[l.Row]++; sends[l.Row] > 1 {
			t.Resent++
		}
		r.Sent, r.Replica = min(r.Sent, s.instant(l.At)), actors[l.Actor]
	}
	latest := -1
	for _, l := range s.rows {
		if l.Row < 0 || l.Row >= len(out) {
			continue
		}
		if came[l.Row] {
			t.OutTwice++
			continue
		}
		came[l.Row] = true
		if l.Row < latest {
			t.OutOfOrder++
		}
		latest = max(latest, l.Row)
		s.settle(&out[l.Row], l)
	}
	for i := range out {
		r := &out[i]
		if timed { // a timer may fire a moment early
			r.Sent = max(r.Sent, r.Intended)
		} else {
			r.Intended = r.Sent
		}
		switch {
		case !came[i]:
			t.Lost++
			if sends[i] > 0 {
				t.LostSent++
			}
		case r.Outcome == failure.None:
			t.OK++
		default:
			t.Failed++
		}
	}
	return out, t
}

// timed says whether rows were held until they were due. The run's clock then begins with the first row's turn: a row was
// submitted when it was due by it.
func (s *story) timed(asked []record.Record) bool {
	for _, l := range s.rows {
		if l.Row >= 0 && l.Row < len(asked) && asked[l.Row].Intended > 0 && l.Submit > 0 {
			s.start.At = l.Submit - asked[l.Row].Intended.Seconds()
			return true
		}
	}
	return false
}

// settle writes what came out for a row into its record.
func (s *story) settle(r *record.Record, l rowLine) {
	if l.Start > 0 {
		r.Sent = min(r.Sent, s.instant(l.Start))
	}
	if l.End > 0 {
		r.Last = s.instant(l.End)
	}
	if l.Wait > 0 {
		r.First = s.instant(l.Start + l.Wait)
	}
	for _, g := range l.Gaps {
		r.LongestGap = max(r.LongestGap, units.Seconds(g))
	}
	r.Output = units.Tokens(l.Output)
	if l.Prompt > 0 {
		r.Prompt = units.Tokens(l.Prompt)
	}
	r.Outcome, r.Detail = failure.None, ""
	switch {
	case l.Status == 429 || l.Status == 503:
		r.Outcome = failure.Overloaded
	case l.Status >= 500:
		r.Outcome = failure.ServerError
	case l.Status >= 400:
		r.Outcome = failure.Rejected
	case l.Error != "":
		r.Outcome = classify(l.Error)
	}
	if r.Outcome != failure.None {
		r.Detail = l.Error
	}
}

// actors numbers the actors by their first request.
func (s *story) actors() map[string]int {
	byTime := slices.Clone(s.sent)
	slices.SortStableFunc(byTime, func(a, b sentLine) int {
		switch {
		case a.At < b.At:
			return -1
		case a.At > b.At:
			return 1
		}
		return 0
	})
	n := map[string]int{}
	for _, l := range byTime {
		if _, ok := n[l.Actor]; !ok {
			n[l.Actor] = len(n)
		}
	}
	return n
}

// instant converts a worker's clock to the run's, which begins with execution.
func (s *story) instant(at float64) units.Time {
	return units.Time(units.Seconds(math.Max(0, at-s.start.At)))
}

// classify names the failure that an exception's text tells of. Ray wraps the cause in its own words, so the words of
// the cause are looked for, the most telling first.
func classify(msg string) failure.Class {
	for _, c := range []struct {
		words string
		class failure.Class
	}{
		{"EngineDeadError", failure.EngineDied},
		{"ActorDiedError", failure.EngineDied},
		{"ActorUnavailableError", failure.EngineDied},
		{"Too Many Requests", failure.Overloaded},
		{"Service Unavailable", failure.Overloaded},
		{"ContentTypeError", failure.ServerError},
		{"Internal Server Error", failure.ServerError},
		{"Bad Gateway", failure.ServerError},
		{"ClientConnectorError", failure.Refused},
		{"ServerDisconnectedError", failure.ConnectionLost},
		{"ClientOSError", failure.ConnectionLost},
		{"ConnectionResetError", failure.ConnectionLost},
		{"ClientPayloadError", failure.ConnectionLost},
		{"TimeoutError", failure.TimedOut},
		{"Gateway Timeout", failure.TimedOut},
		{"out of memory", failure.OutOfMemory},
	} {
		if strings.Contains(msg, c.words) {
			return c.class
		}
	}
	return failure.Unknown
}

// InFlight is how many of a run's requests were under way at once, from the first that was sent to the last answer.
func InFlight(run *record.Run) (mean float64, peak int) {
	type edge struct {
		at units.Time
		d  int
	}
	var edges []edge
	for i := range run.Requests {
		if r := &run.Requests[i]; r.Sent != units.Never && r.Last != units.Never {
			edges = append(edges, edge{r.Sent, 1}, edge{r.Last, -1})
		}
	}
	if len(edges) == 0 {
		return 0, 0
	}
	slices.SortStableFunc(edges, func(a, b edge) int { // at one instant, who ends makes room first
		if a.at != b.at {
			return int(min(1, max(-1, a.at-b.at)))
		}
		return a.d - b.d
	})
	now, area := 0, 0.0
	for i, e := range edges {
		if i > 0 {
			area += float64(now) * e.at.Sub(edges[i-1].at).Seconds()
		}
		now += e.d
		peak = max(peak, now)
	}
	return area / edges[len(edges)-1].at.Sub(edges[0].at).Seconds(), peak
}
