package engine

import "github.com/testing-symbiote/symbiote/harness/units"

// run is a stretch of one text in a prompt: token t of the sequence is token t + offset of its source, up to end.
type run struct {
	text uint64 // source and offset, mixed: two positions hold the same token where this is the same
	base uint64 // makes keyAt the sum over all runs up to here
	end  units.Tokens
}

// runsOf appends a request's tokens as maximal runs, which the tokens alone determine; the last run, its own text, has no
// end.
func runsOf(q *Request, into []run) []run {
	var at units.Tokens
	add := func(source uint64, from, n units.Tokens) {
		text := mix(source + mix(uint64(from-at)))
		k := len(into) - 1
		switch {
		case n == 0:
			return
		case k >= 0 && into[k].text == text:
			into[k].end += n
		case k >= 0:
			p := into[k]
			into = append(into, run{text: text, base: p.base + (p.text-text)*mix(uint64(at)), end: at + n})
		default:
			into = append(into, run{text: text, base: -text * mix(0), end: n})
		}
		at += n
	}
	for _, s := range q.Shared {
		add(s.Source, s.From, s.Len)
	}
	add(OwnText(q.ID), at, endless-at)
	return into
}

// endless is beyond any sequence.
const endless units.Tokens = 1 << 40

// keyAt names the sequence's first n tokens: Σ text·(mix(end) − mix(start)) over its runs, mixed. It is the same however
// the runs are cut, and takes one step for any n in the last of these runs.
func (r *run) keyAt(n units.Tokens) uint64 {
	return max(1, mix(r.base+r.text*mix(uint64(n))))
}

// from drops the runs that end before token at.
func from(runs []run, at units.Tokens) []run {
	for runs[0].end <= at {
		runs = runs[1:]
	}
	return runs
}

// upTo copies the runs that hold the tokens before end.
func upTo(runs []run, end units.Tokens) []run {
	n := 1
	for runs[n-1].end < end {
		n++
	}
	return append(make([]run, 0, n), runs[:n]...)
}

// common is the position up to which two sequences, equal before position at, are the same; most is as far as it looks.
func common(a, b []run, at, most units.Tokens) units.Tokens {
	for at < most {
		a, b = from(a, at), from(b, at)
		if a[0].text != b[0].text {
			return at
		}
		at = min(a[0].end, b[0].end)
	}
	return min(at, most)
}
