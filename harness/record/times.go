package record

import (
	"bufio"
	"io"
	"strconv"

	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Completed says that the whole answer arrived.
func (r *Record) Completed() bool { return r.Outcome == failure.None }

// TTFT is the time from when the request was meant to be sent to its first token; false where there was none.
func (r *Record) TTFT() (units.Span, bool) { return since(r.Intended, r.First) }

// E2EL is the time from when the request was meant to be sent to its last token.
func (r *Record) E2EL() (units.Span, bool) { return since(r.Intended, r.Last) }

// Queue is the time from when the request was meant to be sent until the engine first scheduled it.
func (r *Record) Queue() (units.Span, bool) { return since(r.Intended, r.Admitted) }

// Lag is how late the client sent it.
func (r *Record) Lag() units.Span { return r.Sent.Sub(r.Intended) }

// TPOT is the mean time of the tokens after the first: (E2EL − TTFT)/(n − 1). It is not defined for a single token.
func (r *Record) TPOT() (units.Span, bool) {
	if r.Output < 2 || r.First == units.Never || r.Last == units.Never {
		return 0, false
	}
	n := units.Span(r.Output - 1)
	return (r.Last.Sub(r.First) + n/2) / n, true
}

func since(from, to units.Time) (units.Span, bool) {
	if to == units.Never {
		return 0, false
	}
	return to.Sub(from), true
}

// WritePerRequest writes one CSV row a request, in the order of sending. A time that is not defined is left empty.
func WritePerRequest(w io.Writer, run *Run) error {
	out := bufio.NewWriter(w)
	out.WriteString("id,arrival_s,ttft_ms,tpot_ms,e2el_ms,prompt_tokens,output_tokens,cached_tokens,preemptions,outcome\n")
	var line []byte
	ms := func(s units.Span, ok bool) {
		line = append(line, ',')
		if ok {
			line = strconv.AppendFloat(line, s.Milliseconds(), 'f', 6, 64)
		}
	}
	count := func(n int) { line = strconv.AppendInt(append(line, ','), int64(n), 10) }
	for i := range run.Requests {
		r := &run.Requests[i]
		line = strconv.AppendInt(line[:0], int64(r.ID), 10)
		line = strconv.AppendFloat(append(line, ','), r.Intended.Seconds(), 'f', 9, 64)
		ms(r.TTFT())
		ms(r.TPOT())
		ms(r.E2EL())
		count(int(r.Prompt))
		count(int(r.Output))
		count(int(r.Cached))
		count(r.Preemptions)
		outcome := string(r.Outcome)
		if r.Completed() {
			outcome = "completed"
		}
		line = append(append(append(line, ','), outcome...), '\n')
		out.Write(line)
	}
	return out.Flush()
}
