package backtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// scenario is one recorded run of vLLM's own scheduler classes.
type scenario struct {
	Name     string                    `json:"name"`
	Config   vectorConfig              `json:"config"`
	Requests []vectorRequest           `json:"requests"`
	Abort    map[string]string         `json:"abort"`
	Forced   map[string]map[string]int `json:"forced"`
	Note     string                    `json:"note"` // the hand-made file says aborts and forced tokens in words
	Steps    []step                    `json:"steps"`
	Large    *large                    `json:"-"`
	order    []arrival                 // requests in the order in which they are added
}

type arrival struct {
	engine.Request
	name string
	step int
}

type vectorConfig struct {
	NBlocks       int     `json:"nblocks"`
	BlockSize     int     `json:"block_size"`
	MaxSeqs       int     `json:"max_seqs"`
	Budget        int     `json:"budget"`
	SchedTokens   *int    `json:"sched_tokens"`
	MaxModelLen   int     `json:"max_model_len"`
	Policy        string  `json:"policy"`
	Caching       bool    `json:"caching"`
	Chunked       bool    `json:"chunked"`
	LongThr       int     `json:"long_thr"`
	LongAdaptive  bool    `json:"long_thr_adaptive"`
	ReserveFull   bool    `json:"reserve_full"`
	Watermark     float64 `json:"watermark"`
	Async         bool    `json:"async_"`
	Version       string  `json:"version"`
	MaxActiveSeqs int     `json:"max_active_seqs"`
	Interval      int     `json:"prefill_interval"`
	PP            int     `json:"pp"`
}

type vectorRequest struct {
	ID        string   `json:"id"`
	Prompt    []int    `json:"prompt"`
	MaxTokens int      `json:"max_tokens"`
	Step      int      `json:"step"`
	Priority  int      `json:"priority"`
	Arrival   *float64 `json:"arrival"`
	SP        struct {
		StopTokenIDs []int `json:"stop_token_ids"`
	} `json:"sp"`
}

type step struct {
	Step       int          `json:"step"`
	Iter       int          `json:"iter"`
	Sched      *pairs       `json:"sched"`
	New        pairs        `json:"new"`
	Resumed    pairs        `json:"resumed"`
	Preempted  []string     `json:"preempted"`
	After      after        `json:"after_schedule"`
	Processed  *int         `json:"processed_step"`
	Outputs    []string     `json:"outputs"`
	Stats      *vectorStats `json:"stats"`
	FreeAfter  []int        `json:"free_after"`
	UsageAfter *float64     `json:"usage_after"`
}

type after struct {
	Running      []string         `json:"running"`
	Waiting      []string         `json:"waiting"`
	Blocks       map[string][]int `json:"blocks"`
	Free         []int            `json:"free"`
	Usage        *float64         `json:"usage"`
	Computed     map[string]int   `json:"computed"`
	Placeholders map[string]int   `json:"placeholders"`
}

type vectorStats struct {
	Running int          `json:"running"`
	Waiting int          `json:"waiting"`
	Skipped *int         `json:"skipped"`
	Usage   float64      `json:"usage"`
	PC      *prefixStats `json:"pc"`
}

type prefixStats struct {
	Req  int `json:"req"`
	Q    int `json:"q"`
	H    int `json:"h"`
	PReq int `json:"preq"`
	PQ   int `json:"pq"`
	PH   int `json:"ph"`
}

func (s vectorStats) String() string {
	t := fmt.Sprintf("running=%d waiting=%d usage=%.3f", s.Running, s.Waiting, s.Usage)
	if s.Skipped != nil {
		t += fmt.Sprintf(" skipped=%d", *s.Skipped)
	}
	if s.PC != nil {
		t += fmt.Sprintf(" pc=%+v", *s.PC)
	}
	return t
}

// pairs is a JSON object of numbers whose order matters.
type pairs []pair

type pair struct {
	key string
	n   int
}

func (p *pairs) UnmarshalJSON(b []byte) error {
	*p = pairs{}
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return err
		}
		key, ok := k.(string)
		if !ok {
			return fmt.Errorf("want an object, got %v", k)
		}
		x := pair{key: key}
		if err := d.Decode(&x.n); err != nil {
			return err
		}
		*p = append(*p, x)
	}
	return nil
}

func (p pairs) String() string {
	var l []string
	for _, x := range p {
		l = append(l, fmt.Sprintf("%s:%d", x.key, x.n))
	}
	return strings.Join(l, " ")
}

// sorted is String in order of the keys, for objects that were recorded as sets.
func (p pairs) sorted() string {
	return pairs(slices.SortedFunc(slices.Values(p), func(a, b pair) int { return strings.Compare(a.key, b.key) })).String()
}

// render says a recorded step part by part, in the words of drive.render.
func (w step) render() []string {
	var out []string
	part := func(name string, have bool, value string) {
		if have {
			out = append(out, name+" "+value)
		}
	}
	if w.Sched == nil {
		part("sched", true, "none")
	} else {
		a := w.After
		part("sched", true, w.Sched.String())
		part("new", true, w.New.sorted())
		part("resumed", true, w.Resumed.sorted())
		part("preempted", true, strings.Join(slices.Sorted(slices.Values(w.Preempted)), " "))
		part("running", a.Running != nil, strings.Join(a.Running, " "))
		part("waiting", a.Waiting != nil, strings.Join(a.Waiting, " "))
		part("blocks", a.Blocks != nil, renderMap(printed(a.Blocks)))
		part("free", a.Free != nil, fmt.Sprint(a.Free))
		if a.Usage != nil {
			part("usage", true, fmt.Sprintf("%.3f", *a.Usage))
		}
		part("computed", a.Computed != nil, renderMap(printed(a.Computed)))
		part("placeholders", a.Placeholders != nil, renderMap(printed(a.Placeholders)))
	}
	if w.Outputs != nil {
		part("outputs", true, strings.Join(w.Outputs, " "))
		if w.Processed != nil {
			part("processed", true, fmt.Sprint(*w.Processed))
		}
		part("free_after", w.FreeAfter != nil, fmt.Sprint(w.FreeAfter))
		if w.UsageAfter != nil {
			part("usage_after", true, fmt.Sprintf("%.3f", *w.UsageAfter))
		}
		if w.Stats != nil {
			part("stats", true, w.Stats.String())
		}
	} else if w.Processed != nil {
		part("processed", true, fmt.Sprint(*w.Processed))
	}
	return out
}

func printed[V any](m map[string]V) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = fmt.Sprint(v)
	}
	return out
}

func (sc *scenario) config() engine.Config {
	c := sc.Config
	cfg := engine.Config{
		NumBlocks: units.Blocks(c.NBlocks), BlockSize: units.Tokens(c.BlockSize), MaxModelLen: units.Tokens(c.MaxModelLen),
		MaxNumSeqs: c.MaxSeqs, MaxNumActiveSeqs: c.MaxActiveSeqs, MaxNumBatchedTokens: units.Tokens(c.Budget),
		Policy: engine.Policy(c.Policy), EnablePrefixCaching: c.Caching, EnableChunkedPrefill: c.Chunked,
		LongPrefillTokenThreshold: units.Tokens(c.LongThr), LongPrefillTokenThresholdAdaptive: c.LongAdaptive,
		SchedulerReserveFullISL: c.ReserveFull, Watermark: c.Watermark, PrefillScheduleInterval: c.Interval,
		AsyncScheduling: c.Async, PipelineParallelSize: c.PP,
	}
	if c.SchedTokens != nil {
		cfg.MaxNumScheduledTokens = units.Tokens(*c.SchedTokens)
	}
	if c.Version == "" {
		c.Version = "0.28" // what the first files were recorded with
	}
	switch v := (deploy.Deployment{VLLMVersion: c.Version}).Version(); {
	case !v.AtLeast(24, 0):
		cfg.Rules = engine.V023
	case !v.AtLeast(31, 0):
		cfg.Rules = engine.V028
	}
	return cfg
}

// ids returns the request names by RequestID: sorted as strings, which is how vLLM settles the last ties. It also
// fills in the order of arrival.
func (sc *scenario) ids() []string {
	sc.readNote()
	names := make([]string, len(sc.Requests))
	for i, r := range sc.Requests {
		names[i] = r.ID
	}
	slices.Sort(names)
	sc.order = sc.order[:0]
	for i, r := range sc.Requests {
		q := engine.Request{Prompt: units.Tokens(len(r.Prompt)), MaxTokens: units.Tokens(r.MaxTokens), Priority: r.Priority}
		id, _ := slices.BinarySearch(names, r.ID)
		q.ID = engine.RequestID(id)
		q.Arrival = units.Time(i) * units.Time(units.Second)
		if r.Arrival != nil {
			q.Arrival = units.Time(units.Seconds(*r.Arrival))
		}
		q.Shared = segments(r.Prompt)
		for at, token := range sc.Forced[r.ID] {
			n, err := strconv.Atoi(at)
			if err == nil && slices.Contains(r.SP.StopTokenIDs, token) {
				q.StopAt = units.Tokens(n)
			}
		}
		if sc.Large != nil {
			q.Prompt, q.Shared = sc.Large.prompts[i].Len, nil
			if p := sc.Large.prompts[i]; p.Source > 0 {
				q.Shared = []units.Segment{{Source: 1, From: p.From, Len: min(units.Tokens(p.Source), p.Len)}}
			}
		}
		sc.order = append(sc.order, arrival{Request: q, name: r.ID, step: max(r.Step, 1)})
	}
	slices.SortStableFunc(sc.order, func(a, b arrival) int { return a.step - b.step })
	return names
}

var (
	abortNote  = regexp.MustCompile(`^request (\S+) is aborted before step/iteration (\d+)`)
	forcedNote = regexp.MustCompile(`^request (\S+) has stop token id \d+; its (\d+)(?:st|nd|rd|th) sampled token is (\d+)`)
)

// readNote turns a note into the fields that later files have.
func (sc *scenario) readNote() {
	if m := abortNote.FindStringSubmatch(sc.Note); m != nil {
		sc.Abort = map[string]string{m[2]: m[1]}
	}
	if m := forcedNote.FindStringSubmatch(sc.Note); m != nil {
		token, _ := strconv.Atoi(m[3])
		sc.Forced = map[string]map[string]int{m[1]: {m[2]: token}}
	}
}

// segments turns token ids into runs of consecutive ids.
func segments(tokens []int) []units.Segment {
	var l []units.Segment
	for _, t := range tokens {
		if k := len(l) - 1; k >= 0 && l[k].From+l[k].Len == units.Tokens(t) {
			l[k].Len++
		} else {
			l = append(l, units.Segment{Source: 1, From: units.Tokens(t), Len: 1})
		}
	}
	return l
}

func (sc *scenario) abortAt(n int) (string, bool) {
	id, ok := sc.Abort[strconv.Itoa(n)]
	return id, ok
}

func (sc *scenario) steps() int {
	if sc.Large != nil {
		return len(sc.Large.steps)
	}
	return len(sc.Steps)
}

// large is the compact form: counts a step instead of names.
type large struct {
	steps   []string
	results [][4]int
	index   map[string]int
	prompts []units.Segment // Len = prompt length, From = first token of the shared prefix, Source = its length
}

type largeLine struct {
	Name     string            `json:"name"`
	Config   vectorConfig      `json:"config"`
	Requests [][]int           `json:"requests"`
	Steps    []json.RawMessage `json:"steps"`
	Result   [][4]int          `json:"result"`
	Abort    map[string]string `json:"abort"`
}

func (l largeLine) scenario() (*scenario, error) {
	sc := &scenario{Name: l.Name, Config: l.Config, Abort: l.Abort, Large: &large{results: l.Result, index: map[string]int{}}}
	for i, r := range l.Requests {
		if len(r) < 6 {
			return nil, fmt.Errorf("%s: request %d has %d numbers, want 6", l.Name, i, len(r))
		}
		id := strconv.Itoa(i)
		sc.Large.index[id] = i
		sc.Requests = append(sc.Requests, vectorRequest{ID: id, Step: r[0], MaxTokens: r[2], Priority: r[5]})
		p := units.Segment{Len: units.Tokens(r[1])}
		if r[3] >= 0 {
			p.From, p.Source = units.Tokens(1_000_000*(r[3]+1)), uint64(r[4])
		}
		sc.Large.prompts = append(sc.Large.prompts, p)
	}
	for _, raw := range l.Steps {
		var parts []json.RawMessage
		if err := json.Unmarshal(raw, &parts); err != nil {
			return nil, fmt.Errorf("%s: step: %w", l.Name, err)
		}
		if parts == nil {
			sc.Large.steps = append(sc.Large.steps, "null")
			continue
		}
		if len(parts) < 6 {
			return nil, fmt.Errorf("%s: a step has %d parts, want 6", l.Name, len(parts))
		}
		var pre []int
		if err := json.Unmarshal(parts[5], &pre); err != nil {
			return nil, fmt.Errorf("%s: step: %w", l.Name, err)
		}
		sc.Large.steps = append(sc.Large.steps, fmt.Sprintf("%s %s %s %s %s %v", parts[0], parts[1], parts[2], parts[3], parts[4], nonNil(pre)))
	}
	return sc, nil
}

// readScenarios reads a vector file: one JSON document {"vectors": […]}, or JSON lines; the compact form is known by its
// first line, the legend.
func readScenarios(file string) ([]*scenario, error) {
	r, err := open(file)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(bufio.NewReader(r))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var whole struct {
		Vectors []*scenario `json:"vectors"`
	}
	if json.Unmarshal(data, &whole) == nil && whole.Vectors != nil {
		return whole.Vectors, nil
	}
	return scenarioLines(file, data)
}

func scenarioLines(file string, data []byte) ([]*scenario, error) {
	var all []*scenario
	compact := false
	for i, line := range bytes.Split(data, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var head struct {
			Legend string          `json:"legend"`
			Result json.RawMessage `json:"result"`
		}
		if err := json.Unmarshal(line, &head); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
		if head.Legend != "" {
			compact = true
			continue
		}
		var sc *scenario
		var err error
		if compact || head.Result != nil {
			var l largeLine
			if err = json.Unmarshal(line, &l); err == nil {
				sc, err = l.scenario()
			}
		} else {
			err = json.Unmarshal(line, &sc)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
		all = append(all, sc)
	}
	return all, nil
}
