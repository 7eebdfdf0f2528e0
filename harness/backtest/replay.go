package backtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// replayCase is one line of a replay file: what was deployed, what was asked of it, and what was measured.
type replayCase struct {
	ID          string          `json:"id"`
	Set         string          `json:"set"`
	Role        string          `json:"role"`
	Trust       string          `json:"trust"`
	Deployment  json.RawMessage `json:"deployment"`
	RealBlocks  int             `json:"real_num_gpu_blocks"`
	Unsupported json.RawMessage `json:"unsupported"`
	Workload    json.RawMessage `json:"workload"`
	Measured    Measured        `json:"measured"`
	Notes       string          `json:"notes"`

	folder string // of the file, for traces
	where  string // file:line

	// What prepare finds.
	skip       string // why the case cannot be replayed; empty if it can
	load       replayLoad
	deployment deploy.Deployment
	asked      []workload.Request
}

// replayLoad is a case's workload.
type replayLoad struct {
	Kind         string     `json:"kind"`
	File         string     `json:"file"`
	Inflight     int        `json:"inflight"`
	Requests     int        `json:"requests"`
	Prompt       [2]float64 `json:"prompt_tokens"` // mean, standard deviation
	Output       [2]float64 `json:"output_tokens"`
	PrefixCache  string     `json:"prefix_cache"`
	PrefixTokens int        `json:"prefix_tokens"`
	HashBlock    int        `json:"hash_block_tokens"`
	CachedTokens int        `json:"cached_tokens"`
	Distinct     int        `json:"distinct_prompts"`
	Warm         bool       `json:"warm"`
	Stage        *int       `json:"measure_stage"`
	SkipFirst    int        `json:"skip_first"`
	SkipLast     int        `json:"skip_last"`
	Seed         uint64     `json:"seed"`

	// What describes where the lengths and arrivals of the file came from.
	Arrivals string          `json:"arrivals"`
	Lengths  string          `json:"lengths"`
	Stages   json.RawMessage `json:"stages"`
	Profile  json.RawMessage `json:"profile"`
}

// Percentiles of one metric, in milliseconds.
type Percentiles struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50,omitempty"`
	P90  float64 `json:"p90,omitempty"`
	P99  float64 `json:"p99,omitempty"`
}

// Measured are a case's figures, measured or predicted; a nil or zero one is not there.
type Measured struct {
	TTFT             *Percentiles `json:"ttft_ms,omitempty"`
	TPOT             *Percentiles `json:"tpot_ms,omitempty"`
	ITL              *Percentiles `json:"itl_ms,omitempty"`
	E2E              *Percentiles `json:"e2e_ms,omitempty"`
	LongestStall     float64      `json:"longest_stall_ms,omitempty"`
	RequestRate      float64      `json:"request_throughput_rps,omitempty"`
	OutputRate       float64      `json:"output_throughput_tok_s,omitempty"`
	TotalRate        float64      `json:"total_throughput_tok_s,omitempty"`
	RecomputedTokens float64      `json:"recomputed_tokens,omitempty"`
	Preemptions      *float64     `json:"preemptions,omitempty"`
	RunningMean      float64      `json:"running_mean,omitempty"`
	WaitingMean      float64      `json:"waiting_mean,omitempty"`
	KVUsageMean      float64      `json:"kv_usage_mean,omitempty"`
	Steps            float64      `json:"steps,omitempty"`
	MeasuredAt       string       `json:"measured_at,omitempty"`
}

// readReplay reads JSON lines. A line that is no JSON is an error; a workload with a field that is not known makes
// its case one that cannot be replayed.
func readReplay(path string) ([]replayCase, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var cases []replayCase
	for i, line := range bytes.Split(data, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		c := replayCase{where: fmt.Sprintf("%s:%d", path, i+1), folder: filepath.Dir(path)}
		if err := json.Unmarshal(line, &c); err != nil {
			return nil, fmt.Errorf("%s: %w", c.where, err)
		}
		if c.ID == "" || len(c.Deployment) == 0 || len(c.Workload) == 0 {
			return nil, fmt.Errorf("%s: a case needs id, deployment and workload", c.where)
		}
		cases = append(cases, c)
	}
	return cases, nil
}

// decode reads the workload, strictly.
func (c *replayCase) decode() error {
	d := json.NewDecoder(bytes.NewReader(c.Workload))
	d.DisallowUnknownFields()
	if err := d.Decode(&c.load); err != nil {
		return fmt.Errorf("workload: %w", err)
	}
	switch l := &c.load; {
	case l.Kind != "trace" && l.Kind != "closed":
		return fmt.Errorf("workload.kind = %q, want trace or closed", l.Kind)
	case l.Kind == "trace" && l.File == "":
		return fmt.Errorf("workload: a trace without file")
	case l.Kind == "closed" && l.Inflight <= 0:
		return fmt.Errorf("workload.inflight = %d, want > 0", l.Inflight)
	case !slices.Contains([]string{"", "none", "by_prompt_id", "by_hash_ids", "forced"}, l.PrefixCache):
		return fmt.Errorf("workload.prefix_cache = %q, want none, by_prompt_id, by_hash_ids or forced", l.PrefixCache)
	}
	return nil
}

// requests are the case's requests in send order; for a trace At is when they are sent.
func (c *replayCase) requests() ([]workload.Request, error) {
	l := &c.load
	var rows workload.Load
	if l.File != "" {
		reuse := workload.Reuse(l.PrefixCache)
		forcedAll := l.PrefixCache == "forced" && l.CachedTokens > 0
		if forcedAll || reuse == workload.ReuseAny {
			reuse = workload.ReuseNone
		}
		t, err := workload.ReadTrace(filepath.Join(c.folder, l.File), workload.TraceOptions{
			HashBlockTokens: hashBlock(l), PrefixTokens: l.PrefixTokens, Reuse: reuse})
		if err != nil {
			return nil, err
		}
		rows = workload.Load{Rows: t}
	} else {
		rows = workload.Load{Rows: workload.Rows{Count: l.Requests, Prompt: lengths(l.Prompt), Output: lengths(l.Output)}, Seed: l.Seed}
	}
	var out []workload.Request
	for p := rows.Play(); ; {
		if _, ok := p.Next(); !ok || l.Requests > 0 && len(out) >= l.Requests {
			break
		}
		r := p.Send()
		if l.PrefixCache == "forced" && l.CachedTokens > 0 {
			r.Cached = min(units.Tokens(l.CachedTokens), r.Prompt)
		}
		if l.File == "" && l.PrefixCache == "by_prompt_id" && l.Distinct > 0 {
			n := r.Prompt
			if l.PrefixTokens > 0 {
				n = min(n, units.Tokens(l.PrefixTokens))
			}
			r.Shared = []units.Segment{{Source: 1<<60 | uint64(len(out)%l.Distinct), Len: n}}
		}
		out = append(out, r)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no request")
	}
	return out, nil
}

// hashBlock is given only where the hashes are used.
func hashBlock(l *replayLoad) int {
	if strings.EqualFold(l.PrefixCache, string(workload.ReuseHashIDs)) {
		return l.HashBlock
	}
	return 0
}

// lengths of which only mean and standard deviation are known.
func lengths(ms [2]float64) workload.Lengths {
	mean := max(1, units.Tokens(ms[0]+0.5))
	if ms[1] <= 0 {
		return workload.Fixed(mean)
	}
	return workload.LogNormal{Mean: ms[0], SD: ms[1], Min: 1, Max: 8 * mean}
}

// script is a workload of listed requests: at their times, or a closed loop. Those of warmup are sent before, one
// after another, so that their prompts are in the prefix cache.
type script struct {
	name     string
	warmup   []workload.Request
	requests []workload.Request
	inflight int // 0 = at their times
}

func (s script) String() string { return s.name }

func (s script) Play() workload.Player {
	p := &scriptPlayer{script: s}
	if len(s.warmup) == 0 {
		p.begin(0)
	} else {
		p.due = []units.Time{0}
	}
	return p
}

type scriptPlayer struct {
	script
	sent, done int // of warm-up and requests together
	started    bool
	origin     units.Time   // when the requests proper begin
	due        []units.Time // free seats of the loop, ascending
}

func (p *scriptPlayer) begin(at units.Time) {
	p.started, p.origin = true, at
	p.due = nil
	for range p.inflight {
		p.due = append(p.due, at)
	}
}

func (p *scriptPlayer) Next() (units.Time, bool) {
	k := p.sent - len(p.warmup)
	if p.started && k >= len(p.requests) {
		return units.Never, false
	}
	if p.started && p.inflight == 0 {
		return p.origin + p.requests[k].At, true
	}
	if len(p.due) == 0 || !p.started && p.sent >= len(p.warmup) {
		return units.Never, false
	}
	return p.due[0], true
}

func (p *scriptPlayer) Send() workload.Request {
	at, ok := p.Next()
	if !ok {
		panic("backtest: Send, but nothing is due")
	}
	if !p.started || p.inflight > 0 {
		p.due = p.due[1:]
	}
	var r workload.Request
	if !p.started {
		r = p.warmup[p.sent]
	} else {
		r = p.requests[p.sent-len(p.warmup)]
	}
	r.ID, r.At = p.sent, at
	p.sent++
	return r
}

func (p *scriptPlayer) Done(_ int, at units.Time) {
	p.done++
	switch {
	case !p.started && p.done == len(p.warmup):
		p.begin(at.Add(units.Second))
	case !p.started || p.inflight > 0:
		i := len(p.due)
		for i > 0 && p.due[i-1] > at {
			i--
		}
		p.due = slices.Insert(p.due, i, at)
	}
}
