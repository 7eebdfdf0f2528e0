package vllm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// A Series is one line of a Prometheus page.
type Series struct {
	Name   string
	Labels []Label // in the order of the page
	Value  float64
}

// Label is a name and its value, unescaped.
type Label struct{ Name, Value string }

// Label returns the value of a label, "" where the series has none of that name.
func (s Series) Label(name string) string {
	for _, l := range s.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// Metrics are the figures of /metrics that a run is held against, of all engines together. Counters count from the
// server's start.
type Metrics struct {
	Running, Waiting int
	Usage            float64 // of the KV cache, 0..1: the mean over engines
	Engines          int

	PrefixQueries, PrefixHits float64 // tokens
	Preemptions               float64
	PromptTokens              float64
	GenerationTokens          float64
	Finished                  map[string]float64 // by finished_reason
	Rejections                float64

	TTFT, ITL, E2E, Queue Summary
	BlockSize, NumBlocks  int      // of cache_config_info; 0 where the page does not say
	Missing               []string // what this page has under no name we know
}

// Summary is the sum and count of a histogram, in seconds.
type Summary struct{ Sum, Count float64 }

// Mean is the average since the server started, NaN before the first observation.
func (s Summary) Mean() float64 { return s.Sum / s.Count }

// maxMetricsPage bounds what is read of one page; a busy server with 8 engines prints about 0.5 MB.
const maxMetricsPage = 32 << 20

// Scrape reads a server's /metrics page. base is the server's address without a path.
func Scrape(ctx context.Context, client *http.Client, base string) (Metrics, error) {
	url := strings.TrimSuffix(base, "/") + "/metrics"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Metrics{}, fmt.Errorf("metrics: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return Metrics{}, fmt.Errorf("metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Metrics{}, fmt.Errorf("metrics: %s answers %s, want 200 OK", url, resp.Status)
	}
	page, err := io.ReadAll(io.LimitReader(resp.Body, maxMetricsPage))
	if err != nil {
		return Metrics{}, fmt.Errorf("metrics: %w", err)
	}
	series, err := ParseMetrics(string(page))
	if err != nil {
		return Metrics{}, fmt.Errorf("metrics: %s: %w", url, err)
	}
	return Read(series), nil
}

// ParseMetrics reads the Prometheus text format: one series a line, comments skipped, time stamps and exemplars
// ignored.
func ParseMetrics(page string) ([]Series, error) {
	var all []Series
	n := 0
	for line := range strings.Lines(page) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		s, err := parseSeries(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func parseSeries(line string) (Series, error) {
	end := strings.IndexAny(line, "{ \t")
	if end <= 0 {
		return Series{}, fmt.Errorf("no value after the name in %.60q", line)
	}
	s := Series{Name: line[:end]}
	rest := line[end:]
	if rest[0] == '{' {
		var err error
		if s.Labels, rest, err = parseLabels(rest[1:]); err != nil {
			return Series{}, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return Series{}, fmt.Errorf("%s has no value", s.Name)
	}
	v, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return Series{}, fmt.Errorf("%s = %.30q, want a number", s.Name, fields[0])
	}
	s.Value = v
	return s, nil
}

var errLabels = errors.New("labels do not end")

// parseLabels reads name="value",… up to the closing brace and returns what follows it.
func parseLabels(text string) ([]Label, string, error) {
	var labels []Label
	for {
		text = strings.TrimLeft(text, " ,")
		if text == "" {
			return nil, "", errLabels
		}
		if text[0] == '}' {
			return labels, text[1:], nil
		}
		name, after, ok := strings.Cut(text, "=")
		after = strings.TrimLeft(after, " ")
		if !ok || strings.ContainsAny(name, "}\"") || !strings.HasPrefix(after, `"`) {
			return nil, "", fmt.Errorf("label %.30q, want name=\"value\"", text)
		}
		value, rest, ok := quoted(after[1:])
		if !ok {
			return nil, "", errLabels
		}
		labels = append(labels, Label{strings.TrimSpace(name), value})
		text = rest
	}
}

// quoted reads up to the closing quote, undoing \\, \" and \n.
func quoted(text string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			return b.String(), text[i+1:], true
		case '\\':
			if i++; i == len(text) {
				return "", "", false
			}
			if text[i] == 'n' {
				b.WriteByte('\n')
			} else {
				b.WriteByte(text[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// Read picks vLLM's figures out of a page. Names changed over the years: each is looked for under the newest name
// first, and of two generations on one page only one is counted.
func Read(page []Series) Metrics {
	r := reader{byName: make(map[string][]Series)}
	for _, s := range page {
		r.byName[s.Name] = append(r.byName[s.Name], s)
	}
	m := Metrics{
		Running:          int(r.sum("vllm:num_requests_running")),
		Waiting:          int(r.sum("vllm:num_requests_waiting")),
		PrefixQueries:    r.sum("vllm:prefix_cache_queries_total", "vllm:prefix_cache_queries", "vllm:gpu_prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries"),
		PrefixHits:       r.sum("vllm:prefix_cache_hits_total", "vllm:prefix_cache_hits", "vllm:gpu_prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits"),
		Preemptions:      r.sum("vllm:num_preemptions_total", "vllm:num_preemptions"),
		PromptTokens:     r.sum("vllm:prompt_tokens_total", "vllm:prompt_tokens"),
		GenerationTokens: r.sum("vllm:generation_tokens_total", "vllm:generation_tokens"),
		TTFT:             r.summary("vllm:time_to_first_token_seconds"),
		ITL:              r.summary("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
		E2E:              r.summary("vllm:e2e_request_latency_seconds"),
		Queue:            r.summary("vllm:request_queue_time_seconds"),
		Finished:         make(map[string]float64),
	}
	usage := r.find("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
	for _, s := range usage {
		m.Usage += s.Value / float64(len(usage))
	}
	m.Engines = len(usage)
	for _, s := range r.find("vllm:request_success_total", "vllm:request_success") {
		m.Finished[s.Label("finished_reason")] += s.Value
	}
	for _, s := range r.byName["vllm:admission_rejections_total"] {
		m.Rejections += s.Value // newer than most servers: not missed where absent
	}
	for _, s := range r.byName["vllm:cache_config_info"] {
		m.BlockSize, _ = strconv.Atoi(s.Label("block_size"))
		m.NumBlocks, _ = strconv.Atoi(s.Label("num_gpu_blocks"))
	}
	m.Missing = r.missing
	return m
}

type reader struct {
	byName  map[string][]Series
	missing []string
}

// find returns the series of the first of the names that the page has.
func (r *reader) find(names ...string) []Series {
	for _, n := range names {
		if s := r.byName[n]; len(s) > 0 {
			return s
		}
	}
	r.missing = append(r.missing, names[0])
	return nil
}

func (r *reader) sum(names ...string) float64 {
	total := 0.0
	for _, s := range r.find(names...) {
		if !math.IsNaN(s.Value) {
			total += s.Value
		}
	}
	return total
}

func (r *reader) summary(names ...string) Summary {
	for _, n := range names {
		if len(r.byName[n+"_count"]) > 0 {
			return Summary{r.sum(n + "_sum"), r.sum(n + "_count")}
		}
	}
	r.missing = append(r.missing, names[0])
	return Summary{}
}
