package workload

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Trace is a recorded list of requests, sorted by arrival.
type Trace struct {
	Name     string
	Warnings []string // what the reader ignored

	arrivals []units.Time
	prompt   []units.Tokens
	output   []units.Tokens
	cached   []units.Tokens // nil where no hits are given
	stage    []int          // nil where there are none
	text     []uint64       // the prompt's text, with a prefix; nil where prompts differ
	prefix   units.Tokens   // how much of text is shared; 0 = all of the prompt
	blocks   []uint64       // texts of the prompts' blocks, one request after the other
	blockEnd []int          // where in blocks a request ends
	block    units.Tokens
}

// Reuse says where prefix-cache hits of a trace come from.
type Reuse string

const (
	ReuseAny      Reuse = ""             // whatever the columns allow; given hits go first
	ReuseNone     Reuse = "none"         // all prompts differ
	ReusePromptID Reuse = "by_prompt_id" // the same prompt_id is the same prompt
	ReuseHashIDs  Reuse = "by_hash_ids"  // the same hash is the same block
	ReuseForced   Reuse = "forced"       // cached_tokens are hits
)

// TraceOptions say how the columns are to be understood.
type TraceOptions struct {
	HashBlockTokens int // tokens of one block of hash_ids
	PrefixTokens    int // only so many tokens of a prompt_id are the same; 0 = all
	Reuse           Reuse
}

// ReadTrace reads the file of this name; a name that ends in .gz is decompressed.
func ReadTrace(name string, o TraceOptions) (*Trace, error) {
	f, r, err := openTrace(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return DecodeTrace(name, r, o)
}

func openTrace(name string) (*os.File, io.Reader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(f, 1<<16)
	if !strings.HasSuffix(name, ".gz") {
		return f, r, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, z, nil
}

// DecodeTrace reads CSV with a header: arrival_s, prompt_tokens, output_tokens, and what else it knows of prompt_id,
// hash_ids, cached_tokens and stage. Errors name the line and the column.
func DecodeTrace(name string, r io.Reader, o TraceOptions) (*Trace, error) {
	d, err := newTraceDecoder(name, r, o)
	for more := err == nil; more && err == nil; {
		more, err = d.next()
	}
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return nil, err
	}
	return d.trace, nil
}

func newTraceDecoder(name string, r io.Reader, o TraceOptions) (*traceDecoder, error) {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	d := &traceDecoder{
		in: in, name: name, options: o,
		trace: &Trace{Name: filepath.Base(name), block: units.Tokens(o.HashBlockTokens), prefix: units.Tokens(o.PrefixTokens)},
		ids:   map[string]uint64{},
	}
	return d, d.header()
}

// next reads one more row into the trace, or leaves out one that asks for nothing; false at the end.
func (d *traceDecoder) next() (bool, error) {
	record, err := d.in.Read()
	if err == io.EOF {
		return false, nil
	}
	if err != nil {
		return false, d.located(err)
	}
	return true, d.row(record)
}

// take returns the row that next read, if it did not leave it out, and forgets it.
func (d *traceDecoder) take() (Request, bool) {
	t := d.trace
	if len(t.arrivals) == 0 {
		return Request{}, false
	}
	r := t.request(0)
	r.ID = d.count - 1
	t.arrivals, t.prompt, t.output, t.cached = t.arrivals[:0], t.prompt[:0], t.output[:0], t.cached[:0]
	t.stage, t.text, t.blocks, t.blockEnd = t.stage[:0], t.text[:0], t.blocks[:0], t.blockEnd[:0]
	return r, true
}

// end closes the trace after its last row.
func (d *traceDecoder) end() error {
	if d.count == 0 {
		return fmt.Errorf("%s: the trace is empty, want at least one request with tokens", d.name)
	}
	if d.empty > 0 {
		d.warn("%d rows of 0 tokens are left out: they failed where they were recorded", d.empty)
	}
	return nil
}

// traceDecoder carries what one reading needs.
type traceDecoder struct {
	in      *csv.Reader
	name    string
	options TraceOptions
	trace   *Trace

	arrival, promptTokens, outputTokens      int // column numbers, −1 = absent
	promptID, hashIDs, cachedTokens, stageOf int

	ids   map[string]uint64 // texts by the name the trace gives them
	count int               // rows that ask for something …
	last  units.Time        // … and when the last of them arrived
	empty int
}

func (d *traceDecoder) warn(format string, args ...any) {
	d.trace.Warnings = append(d.trace.Warnings, d.trace.Name+": "+fmt.Sprintf(format, args...))
}

// located writes a CSV error the way all others are written.
func (d *traceDecoder) located(err error) error {
	if p := (*csv.ParseError)(nil); errors.As(err, &p) {
		return fmt.Errorf("%s:%d:%d: %w", d.name, p.Line, p.Column, p.Err)
	}
	return fmt.Errorf("%s: %w", d.name, err)
}

func (d *traceDecoder) at(column int, format string, args ...any) error {
	line, col := d.in.FieldPos(column)
	return fmt.Errorf("%s:%d:%d: %s", d.name, line, col, fmt.Sprintf(format, args...))
}

func (d *traceDecoder) header() error {
	record, err := d.in.Read()
	if err == io.EOF {
		return fmt.Errorf("%s: the trace is empty, want a header line arrival_s,prompt_tokens,output_tokens", d.name)
	}
	if err != nil {
		return d.located(err)
	}
	columns := []struct {
		name string
		at   *int
	}{
		{"arrival_s", &d.arrival}, {"prompt_tokens", &d.promptTokens}, {"output_tokens", &d.outputTokens},
		{"prompt_id", &d.promptID}, {"hash_ids", &d.hashIDs}, {"cached_tokens", &d.cachedTokens}, {"stage", &d.stageOf},
	}
	for _, c := range columns {
		*c.at = -1
	}
	for i, name := range record {
		name = strings.TrimPrefix(strings.TrimSpace(name), "\ufeff")
		k := slices.IndexFunc(columns, func(c struct {
			name string
			at   *int
		}) bool {
			return c.name == name
		})
		switch {
		case k < 0:
			d.warn("column %q is not known and is ignored", name)
		case *columns[k].at >= 0:
			return d.at(i, "column %q is there twice", name)
		default:
			*columns[k].at = i
		}
	}
	for _, c := range columns[:3] {
		if *c.at < 0 {
			return fmt.Errorf("%s:1: column %q is missing; the header is %q", d.name, c.name, strings.Join(record, ","))
		}
	}
	return d.chooseReuse()
}

// chooseReuse drops the columns that the options rule out, and refuses options without their column.
func (d *traceDecoder) chooseReuse() error {
	if d.options.HashBlockTokens < 0 || d.options.PrefixTokens < 0 {
		return fmt.Errorf("%s: -hash-block-tokens = %d, want > 0", d.name, d.options.HashBlockTokens)
	}
	drop := func(columns ...*int) {
		for _, c := range columns {
			*c = -1
		}
	}
	switch d.options.Reuse {
	case ReuseNone:
		drop(&d.promptID, &d.hashIDs, &d.cachedTokens)
	case ReusePromptID:
		drop(&d.hashIDs, &d.cachedTokens)
		if d.promptID < 0 {
			return fmt.Errorf("%s:1: column \"prompt_id\" is missing", d.name)
		}
	case ReuseForced:
		drop(&d.promptID, &d.hashIDs)
	case ReuseHashIDs:
		drop(&d.promptID, &d.cachedTokens)
		if d.options.HashBlockTokens == 0 {
			return fmt.Errorf("%s: hash_ids need -hash-block-tokens, the tokens of one block", d.name)
		}
	}
	if d.options.HashBlockTokens > 0 && d.hashIDs < 0 && (d.options.Reuse == ReuseAny || d.options.Reuse == ReuseHashIDs) {
		return fmt.Errorf("%s:1: -hash-block-tokens is given, but column \"hash_ids\" is missing", d.name)
	}
	if d.hashIDs >= 0 && d.options.HashBlockTokens == 0 {
		d.warn("column \"hash_ids\" is ignored: give -hash-block-tokens, the tokens of one block")
		drop(&d.hashIDs)
	}
	if d.hashIDs >= 0 && d.promptID >= 0 {
		d.warn("column \"prompt_id\" is ignored: hash_ids say more")
		drop(&d.promptID)
	}
	return nil
}

func (d *traceDecoder) row(record []string) error {
	t := d.trace
	at, err := strconv.ParseFloat(strings.TrimSpace(record[d.arrival]), 64)
	if err != nil || !(at >= 0) || at > maxSeconds {
		return d.at(d.arrival, "arrival_s %q, want seconds from 0 to %.0f", record[d.arrival], float64(maxSeconds))
	}
	now := units.Time(units.Seconds(at))
	if now < d.last {
		return d.at(d.arrival, "arrival_s %s is before %.6g of the row above: sort the trace by arrival",
			record[d.arrival], d.last.Seconds())
	}
	prompt, err := d.tokens(record, d.promptTokens, "prompt_tokens")
	if err != nil {
		return err
	}
	output, err := d.tokens(record, d.outputTokens, "output_tokens")
	if err != nil {
		return err
	}
	if prompt == 0 || output == 0 {
		d.empty++
		return nil
	}
	d.count, d.last = d.count+1, now
	t.arrivals = append(t.arrivals, now)
	t.prompt = append(t.prompt, units.Tokens(prompt))
	t.output = append(t.output, units.Tokens(output))
	return d.optional(record, prompt)
}

func (d *traceDecoder) optional(record []string, prompt int) error {
	t := d.trace
	if d.cachedTokens >= 0 {
		n, err := d.tokens(record, d.cachedTokens, "cached_tokens")
		if err != nil {
			return err
		}
		if n > prompt {
			return d.at(d.cachedTokens, "cached_tokens = %d, want at most prompt_tokens = %d", n, prompt)
		}
		t.cached = append(t.cached, units.Tokens(n))
	}
	if d.stageOf >= 0 {
		n, err := d.tokens(record, d.stageOf, "stage")
		if err != nil {
			return err
		}
		t.stage = append(t.stage, n)
	}
	if d.promptID >= 0 {
		t.text = append(t.text, promptText|d.intern(record[d.promptID]))
	}
	if d.hashIDs >= 0 {
		for rest := strings.TrimSpace(record[d.hashIDs]); rest != ""; {
			id, after, _ := strings.Cut(rest, ";")
			if id == "" {
				return d.at(d.hashIDs, "hash_ids %.40q has an empty hash", record[d.hashIDs])
			}
			t.blocks = append(t.blocks, blockText|d.intern(id))
			rest = after
		}
		t.blockEnd = append(t.blockEnd, len(t.blocks))
	}
	return nil
}

func (d *traceDecoder) tokens(record []string, column int, what string) (int, error) {
	s := strings.TrimSpace(record[column])
	if what == "cached_tokens" && s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > maxLength {
		return 0, d.at(column, "%s %q, want a whole number from 0 to %d", what, s, maxLength)
	}
	return n, nil
}

// intern numbers the names of texts in the order in which they first appear.
func (d *traceDecoder) intern(name string) uint64 {
	id, known := d.ids[name]
	if !known {
		id = uint64(len(d.ids))
		d.ids[strings.Clone(name)] = id
	}
	return id
}

// At sends the rows when a says, instead of at their recorded times.
func (t *Trace) At(a Arrivals) Load { return Load{Rows: t, Arrivals: a} }

// Len is the number of requests.
func (t *Trace) Len() int { return len(t.arrivals) }

func (t *Trace) String() string  { return fmt.Sprintf("%d rows of %s", len(t.arrivals), t.Name) }
func (t *Trace) validate() error { return nil }

func (t *Trace) recorded() []units.Time { return t.arrivals }

// Duration is the time from the start to the last arrival.
func (t *Trace) Duration() units.Span { return units.Span(t.arrivals[len(t.arrivals)-1]) }

// Head returns the first n rows, all if there are fewer.
func (t *Trace) Head(n int) *Trace {
	head := *t
	head.arrivals = t.arrivals[:min(n, len(t.arrivals))]
	return &head
}

// MeanRate is requests a second over the duration.
func (t *Trace) MeanRate() float64 {
	return float64(len(t.arrivals)) / math.Max(t.Duration().Seconds(), 1e-9)
}

func (t *Trace) rows(uint64) func() (Request, bool) {
	i := 0
	return func() (Request, bool) {
		if i >= len(t.arrivals) {
			return Request{}, false
		}
		i++
		return t.request(i - 1), true
	}
}

func (t *Trace) request(i int) Request {
	r := Request{ID: i, At: t.arrivals[i], Prompt: t.prompt[i], Output: t.output[i], Shared: t.shared(i)}
	if t.cached != nil {
		r.Cached = t.cached[i]
	}
	if t.stage != nil {
		r.Stage = t.stage[i]
	}
	return r
}

// shared are the prompt's texts, cut to the prompt.
func (t *Trace) shared(i int) []units.Segment {
	if t.text != nil {
		n := t.prompt[i]
		if t.prefix > 0 {
			n = min(n, t.prefix)
		}
		return []units.Segment{{Source: t.text[i], Len: n}}
	}
	if t.blockEnd == nil {
		return nil
	}
	from := 0
	if i > 0 {
		from = t.blockEnd[i-1]
	}
	left := t.prompt[i]
	out := make([]units.Segment, 0, t.blockEnd[i]-from)
	for _, text := range t.blocks[from:t.blockEnd[i]] {
		if left <= 0 {
			break
		}
		n := min(left, t.block)
		out = append(out, units.Segment{Source: text, Len: n})
		left -= n
	}
	return out
}
