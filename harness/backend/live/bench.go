package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// BenchResult is what `vllm bench serve --save-result` writes, by its definitions: times count from the actual send,
// percentiles are linear, deviations are the population's, itl is between chunks. Its JSON has that tool's keys.
type BenchResult struct {
	Date               string   `json:"date"`
	EndpointType       string   `json:"endpoint_type"`
	Backend            string   `json:"backend"`
	Label              *string  `json:"label"`
	ModelID            string   `json:"model_id"`
	TokenizerID        string   `json:"tokenizer_id"`
	NumPrompts         int      `json:"num_prompts"`
	RequestRate        any      `json:"request_rate"` // a number, or "inf"
	Burstiness         float64  `json:"burstiness"`
	MaxConcurrency     *int     `json:"max_concurrency"`
	Duration           float64  `json:"duration"`
	Completed          int      `json:"completed"`
	Failed             int      `json:"failed"`
	TotalInputTokens   int      `json:"total_input_tokens"`
	TotalOutputTokens  int      `json:"total_output_tokens"`
	RequestThroughput  float64  `json:"request_throughput"`
	RequestGoodput     *float64 `json:"request_goodput"`
	OutputThroughput   float64  `json:"output_throughput"`
	TotalThroughput    float64  `json:"total_token_throughput"`
	MaxOutputPerSecond float64  `json:"max_output_tokens_per_s"`
	MaxConcurrent      int      `json:"max_concurrent_requests"`
	RTFx               float64  `json:"rtfx"`

	Metrics []BenchMetric `json:"-"` // written as mean_ttft_ms, median_ttft_ms, …
}

// BenchMetric is one metric's figures in milliseconds.
type BenchMetric struct {
	Name                             string // ttft tpot itl e2el
	Mean, Median, Std, P50, P90, P99 float64
}

// MarshalJSON writes the metrics as keys of the document, as the tool does.
func (b BenchResult) MarshalJSON() ([]byte, error) {
	type plain BenchResult
	data, err := json.Marshal(plain(b))
	if err != nil {
		return nil, err
	}
	var more bytes.Buffer
	for _, m := range b.Metrics {
		for _, f := range []struct {
			name string
			v    float64
		}{{"mean", m.Mean}, {"median", m.Median}, {"std", m.Std}, {"p50", m.P50}, {"p90", m.P90}, {"p99", m.P99}} {
			v, err := json.Marshal(f.v)
			if err != nil {
				return nil, fmt.Errorf("%s_%s_ms: %w", f.name, m.Name, err)
			}
			fmt.Fprintf(&more, ",\"%s_%s_ms\":%s", f.name, m.Name, v)
		}
	}
	return append(append(data[:len(data)-1], more.Bytes()...), '}'), nil
}

// Bench summarizes a measurement as `vllm bench serve` would have. good counts the requests that met the SLO, below 0
// where none was given.
func (m *Measurement) Bench(w workload.Load, now time.Time, good int) BenchResult {
	b := BenchResult{
		Date: now.Format("20060102-150405"), EndpointType: "openai", Backend: "openai", ModelID: m.Server.Model,
		TokenizerID: m.Server.Root, NumPrompts: len(m.Run.Requests), RequestRate: "inf", Burstiness: 1,
		Duration: m.Run.End.Seconds(), // from the start of the dispatch, as it counts
	}
	b.arrivals(w)
	var ttft, tpot, e2el []float64
	for i := range m.Run.Requests {
		r := &m.Run.Requests[i]
		if !r.Completed() {
			b.Failed++
			continue
		}
		b.Completed++
		b.TotalInputTokens += int(r.Prompt)
		b.TotalOutputTokens += int(r.Output)
		ttft = append(ttft, r.First.Sub(r.Sent).Milliseconds())
		e2el = append(e2el, r.Last.Sub(r.Sent).Milliseconds())
		if r.Output > 1 {
			tpot = append(tpot, r.Last.Sub(r.First).Milliseconds()/float64(r.Output-1))
		}
	}
	b.Metrics = []BenchMetric{figures("ttft", ttft), figures("tpot", tpot), figures("itl", expand(m.ICL)), figures("e2el", e2el)}
	if b.Duration > 0 {
		b.RequestThroughput = float64(b.Completed) / b.Duration
		b.OutputThroughput = float64(b.TotalOutputTokens) / b.Duration
		b.TotalThroughput = float64(b.TotalInputTokens+b.TotalOutputTokens) / b.Duration
		if good >= 0 {
			g := float64(good) / b.Duration
			b.RequestGoodput = &g
		}
	}
	for _, n := range m.chunksPerSecond {
		b.MaxOutputPerSecond = max(b.MaxOutputPerSecond, float64(n))
	}
	b.MaxConcurrent = concurrent(m.Run)
	return b
}

func (b *BenchResult) arrivals(w workload.Load) {
	switch a := w.Arrivals.(type) {
	case workload.Poisson:
		b.RequestRate = a.Rate
	case workload.Gamma:
		b.RequestRate, b.Burstiness = a.Rate, 1/(a.CV*a.CV)
	case workload.Constant:
		b.RequestRate = a.Rate
		b.Burstiness = math.MaxFloat64 // its inf, which JSON cannot hold
	case workload.Closed:
		b.MaxConcurrency = &a.InFlight
	}
}

// maxExpanded bounds how many gaps are written out to be summarized; more are thinned evenly.
const maxExpanded = 1 << 22

func expand(g record.Gaps) []float64 {
	every := g.Count/maxExpanded + 1
	var all []float64
	for _, it := range g.Items {
		for range (it.N + every - 1) / every {
			all = append(all, it.Gap.Milliseconds())
		}
	}
	return all
}

func figures(name string, sample []float64) BenchMetric {
	m := BenchMetric{Name: name}
	if len(sample) == 0 {
		return m
	}
	slices.Sort(sample)
	n := float64(len(sample))
	for _, x := range sample {
		m.Mean += x / n
	}
	for _, x := range sample {
		m.Std += float64((x-m.Mean)*(x-m.Mean)) / n
	}
	m.Std = math.Sqrt(m.Std)
	at := func(q float64) float64 {
		pos := q * (n - 1)
		low := int(pos)
		high := min(low+1, len(sample)-1)
		return sample[low] + float64((pos-float64(low))*(sample[high]-sample[low]))
	}
	m.Median, m.P50, m.P90, m.P99 = at(0.5), at(0.5), at(0.9), at(0.99)
	return m
}

// concurrent is the most requests that overlap one whole second, counted from the first send.
func concurrent(run *record.Run) int {
	first := units.Never
	for i := range run.Requests {
		if run.Requests[i].Completed() {
			first = min(first, run.Requests[i].Sent)
		}
	}
	seconds := map[int]int{}
	most := 0
	for i := range run.Requests {
		r := &run.Requests[i]
		if !r.Completed() {
			continue
		}
		for s := int(r.Sent.Sub(first) / units.Second); s <= int(r.Last.Sub(first)/units.Second); s++ {
			seconds[s]++
			most = max(most, seconds[s])
		}
	}
	return most
}
