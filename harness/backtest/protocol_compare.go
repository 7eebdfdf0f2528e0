package backtest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/serve"
)

// compareExchange returns the first difference between a recorded answer and the one that came, nil if there is none.
// Masked are: ids, created, times, generated text and ids of it, fingerprints, sums and buckets of time-valued series,
// process_* and python_*, and the field of /version by which the stand-in says what it is.
func compareExchange(x *exchange, got *answer) *ProtocolDiff {
	diff := func(where, want, got string) *ProtocolDiff {
		return &ProtocolDiff{File: x.file, Where: where, Want: shorten(want), Got: shorten(got)}
	}
	want := x.Response
	if want == nil || want.StatusLine == "" {
		if got == nil || got.StatusLine == "" {
			return nil
		}
		return diff("answer", "none before the client gave up", got.StatusLine)
	}
	if got == nil || got.StatusLine == "" {
		return diff("answer", want.StatusLine, "none")
	}
	if got.StatusLine != want.StatusLine {
		return diff("status", want.StatusLine, got.StatusLine+" "+got.Body)
	}
	hide(got)
	if d := compareHeaders(want, got, diff); d != nil {
		return d
	}
	if len(want.events) > 0 || len(got.events) > 0 {
		return compareEvents(x, got, diff)
	}
	if strings.HasPrefix(want.Body, "# HELP") {
		return compareMetrics(want.Body, got.Body, diff)
	}
	if w, g := mask(want.Body), mask(got.Body); w != g {
		at := common(w, g)
		return diff("body", w[at:], g[at:])
	}
	return nil
}

// hide takes out what a stand-in says of itself, and brings model paths back to the recording's placeholder.
func hide(a *answer) {
	if strings.Contains(a.Body, serve.SyntheticField) {
		a.Body = strings.Replace(a.Body, serve.SyntheticField, "", 1)
		for i, h := range a.Headers {
			if h[0] == "content-length" {
				n, _ := strconv.Atoi(h[1])
				a.Headers[i][1] = strconv.Itoa(n - len(serve.SyntheticField))
			}
		}
	}
	a.Body = strings.ReplaceAll(a.Body, modelPath, "<model>")
	for i := range a.events {
		a.events[i] = strings.ReplaceAll(a.events[i], modelPath, "<model>")
	}
}

var hexID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// compareHeaders compares names, order and values. The date is masked, an id that the server made up, and the length
// of a body in which something is masked.
func compareHeaders(want, got *answer, diff func(where, want, got string) *ProtocolDiff) *ProtocolDiff {
	if w, g := headerNames(want), headerNames(got); w != g {
		return diff("header names", w, g)
	}
	exactLength := mask(want.Body) == want.Body && !strings.Contains(want.Body, "<") && !strings.HasPrefix(want.Body, "# HELP")
	for i, h := range want.Headers {
		g := got.Headers[i][1]
		switch {
		case h[1] == g, h[0] == "date":
		case h[0] == "content-length" && !exactLength && want.Body != "":
		case h[0] == "x-request-id" && hexID.MatchString(h[1]) && hexID.MatchString(g):
		default:
			return diff("header "+h[0], h[1], g)
		}
	}
	return nil
}

func headerNames(a *answer) string {
	var names []string
	for _, h := range a.Headers {
		names = append(names, h[0])
	}
	return strings.Join(names, ", ")
}

// compareEvents compares a stream. The choices of one request are told apart first, because in which order their
// events come is a matter of time; where the recording has fewer events than tokens, because the server was slow and
// merged them, runs of like events count once; where it was broken off, only what had come is compared.
func compareEvents(x *exchange, got *answer, diff func(where, want, got string) *ProtocolDiff) *ProtocolDiff {
	want, have := sortEvents(x.Response.events), sortEvents(got.events)
	if !x.ended() && len(have) > len(want) {
		have = have[:len(want)]
	}
	if !slices.Equal(want, have) {
		if w, h := collapse(want), collapse(have); slices.Equal(w, h) {
			if slices.Contains([]string{"A", "B", "Q", "T", "U", "U2"}, x.letter()) {
				return nil
			}
		}
	}
	for i := range max(len(want), len(have)) {
		w, h := "(no event)", "(no event)"
		if i < len(want) {
			w = want[i]
		}
		if i < len(have) {
			h = have[i]
		}
		if w != h {
			at := common(w, h)
			return diff(fmt.Sprintf("event %d of %d, got %d", i+1, len(want), len(have)), w[at:], h[at:])
		}
	}
	return nil
}

var choiceIndex = regexp.MustCompile(`"choices":\[\{"index":(\d+)`)

// sortEvents masks events and orders those of choices by choice; role events stay in front of all others.
func sortEvents(events []string) []string {
	type keyed struct {
		key  int
		text string
	}
	all := make([]keyed, len(events))
	for i, e := range events {
		all[i] = keyed{1 << 20, mask(e)}
		if m := choiceIndex.FindStringSubmatch(e); m != nil {
			all[i].key, _ = strconv.Atoi(m[1])
			if !strings.Contains(e, `"delta":{"role"`) {
				all[i].key += 1 << 10
			}
		}
	}
	slices.SortStableFunc(all, func(a, b keyed) int { return a.key - b.key })
	texts := make([]string, len(all))
	for i := range all {
		texts[i] = all[i].text
	}
	return texts
}

func collapse(events []string) []string { return slices.Compact(slices.Clone(events)) }

// compareMetrics compares line by line: names, labels, help texts, order; values where they are no matter of time.
func compareMetrics(want, got string, diff func(where, want, got string) *ProtocolDiff) *ProtocolDiff {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "(no line)", "(no line)"
		if i < len(w) {
			a = maskMetric(w[i])
		}
		if i < len(g) {
			b = maskMetric(g[i])
		}
		if a != b {
			return diff(fmt.Sprintf("line %d", i+1), a, b)
		}
	}
	return nil
}

var timeValued = regexp.MustCompile(`^(python_|process_|[a-z0-9_:]+_created[ {]|[a-z0-9_:]+_seconds_(bucket|sum)[ {]|http_response_size_bytes_sum)`)

func maskMetric(line string) string {
	if !strings.HasPrefix(line, "#") && timeValued.MatchString(line) {
		return line[:strings.LastIndexByte(line, ' ')+1] + "…"
	}
	return line
}

func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return max(0, n-30)
}

func shorten(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
