package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/testing-symbiote/symbiote/harness/backend/live"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// told is the outcome of a load: the keys of `simulate`, of the middle one of the repeats, and what a real server adds.
type told struct {
	stats.Document
	ServiceTTFT  stats.Dist             `json:"service_ttft_ms"` // from the actual send
	ServiceE2EL  stats.Dist             `json:"service_e2el_ms"`
	Lag          stats.Dist             `json:"lag_ms"`
	ICL          stats.Dist             `json:"icl_ms"`
	Failures     map[string]int         `json:"failures"`
	AllRequests  withFailures           `json:"failures_as_timeout"`
	Failure      string                 `json:"failure"`
	Reason       string                 `json:"reason"`
	SteadyFromS  float64                `json:"steady_from_s"`
	SteadyToS    float64                `json:"steady_to_s"`
	SteadyOutput float64                `json:"steady_output_throughput_tok_s"`
	ArrivalRate  float64                `json:"arrival_rate_rps"`
	ArrivalCV    float64                `json:"arrival_cv"`
	Tokens       string                 `json:"tokens_counted_by"`
	Client       clientTold             `json:"client"`
	Cache        cacheTold              `json:"cache"`
	Lengths      live.Lengths           `json:"lengths"`
	Server       live.Server            `json:"server"`
	Repeats      int                    `json:"repeats"`
	Intervals    map[string]*[2]float64 `json:"intervals"` // mean and half width of its 95 % interval, over the repeats
	Simulated    *stats.Document        `json:"simulated,omitempty"`
	ErrorPct     map[string]float64     `json:"simulated_error_pct,omitempty"`
	Definitions  []live.Definition      `json:"definitions"`
	share        float64
	judged       bool
	notes        []string
	workload     workload.Load
}

// withFailures are latencies over all requests, a failed one counted as the timeout.
type withFailures struct {
	TTFT stats.Dist `json:"ttft_ms"`
	E2EL stats.Dist `json:"e2el_ms"`
}

type clientTold struct {
	CPUShare     float64  `json:"cpu_share"`
	GCPauseMS    float64  `json:"gc_pause_max_ms"`
	InFlightPeak int      `json:"in_flight_peak"`
	InFlightMax  int      `json:"in_flight_limit"`
	Limited      []string `json:"limited"` // why this is the client's figure, not the server's; empty when it is the server's
}

type cacheTold struct {
	Declared string `json:"declared"`
	Verified bool   `json:"verified"`
	Queries  int    `json:"query_tokens"`
	Hits     int    `json:"hit_tokens"`
	Expected *int   `json:"expected_hit_tokens"`
	From     string `json:"expected_by"`
}

// judge summarizes the repeats around the one in the middle, by output throughput.
func (f *loadFlags) judge(all []*live.Measurement, load workload.Load, wall time.Duration) (*told, error) {
	summaries := make([]stats.Summary, len(all))
	order := make([]int, len(all))
	for i, m := range all {
		summaries[i], order[i] = stats.Summarize(m.Run), i
	}
	slices.SortFunc(order, func(a, b int) int {
		return int(1e6 * (summaries[a].OutputThroughput - summaries[b].OutputThroughput))
	})
	middle := order[len(order)/2]
	if last := len(all) - 1; all[last].Run.Failure != nil {
		middle = last // what went wrong is the result
	}
	m, s := all[middle], summaries[middle]
	target := slo.Target{TTFT: time.Duration(f.sloTTFT * float64(time.Millisecond)), TPOT: time.Duration(f.sloTPOT * float64(time.Millisecond))}
	out, err := (&simulateFlags{perRequest: f.perRequest, record: f.record, sloTTFT: f.sloTTFT, sloTPOT: f.sloTPOT}).collector()
	if err != nil {
		return nil, err
	}
	defer out.discard()
	for i := range m.Run.Requests {
		out.add(&m.Run.Requests[i])
	}
	if err := out.close(m.Run); err != nil {
		return nil, err
	}
	t := &told{Document: s.Document(), workload: load, notes: m.Run.Provenance.Notes, judged: !target.Empty()}
	t.WallS, t.Seed = wall.Seconds(), load.Seed+uint64(middle)
	t.share = float64(out.met) / float64(max(out.ended, 1))
	if t.DurationS > 0 {
		t.GoodputRPS = float64(out.met) / t.DurationS
	}
	t.fill(m, s, f.backend.Limits.Timeout)
	t.repeats(summaries)
	if f.benchJSON != "" {
		good := -1
		if t.judged {
			good = out.met
		}
		data, err := json.Marshal(m.Bench(load, time.Now(), good))
		if err != nil {
			return nil, err
		}
		return t, os.WriteFile(f.benchJSON, append(data, '\n'), 0o644)
	}
	return t, nil
}

// fill takes over what only a measurement has.
func (t *told) fill(m *live.Measurement, s stats.Summary, timeout time.Duration) {
	t.ServiceTTFT, t.ServiceE2EL, t.Lag = s.ServiceTTFT, s.ServiceE2EL, s.Lag
	t.ICL = stats.OfGaps(stats.NearestRank, m.ICL)
	t.Failures = map[string]int{}
	for _, f := range s.Failures {
		t.Failures[string(f.Class)] = f.Count
	}
	t.AllRequests.TTFT, t.AllRequests.E2EL = failuresAsTimeout(m.Run, timeout)
	if m.Run.Failure != nil {
		t.Failure, t.Reason = string(m.Run.Failure.Class), m.Run.Failure.Message
	}
	t.SteadyFromS, t.SteadyToS, t.SteadyOutput = s.Steady.From.Seconds(), s.Steady.To.Seconds(), s.Steady.OutputThroughput
	t.ArrivalRate, t.ArrivalCV = s.ArrivalRate, s.ArrivalCV
	t.Tokens, t.Lengths, t.Server = m.Tokens, m.Lengths, m.Server
	c := m.Client
	t.Client = clientTold{c.CPUShare, c.GCPause.Milliseconds(), c.InFlightPeak, c.InFlightMax, append([]string{}, c.Limited...)}
	t.Cache = cacheTold{Declared: m.Cache.Declared.String(), Verified: m.Cache.Counted && m.Cache.From != "", Queries: int(m.Cache.Queries), Hits: int(m.Cache.Hits), From: m.Cache.From}
	if m.Cache.From != "" {
		expected := int(m.Cache.Expected)
		t.Cache.Expected = &expected
	}
	t.Definitions = live.Definitions()
	if m.Simulated == nil || m.Simulated.Failure != nil {
		return
	}
	doc := stats.Summarize(m.Simulated).Document()
	t.Simulated, t.ErrorPct = &doc, map[string]float64{}
	for _, row := range t.figures() {
		if measured := row.of(t.Document); measured > 0 {
			t.ErrorPct[row.name] = 100 * (row.of(doc) - measured) / measured
		}
	}
}

// repeats sets the intervals; of one run there are none.
func (t *told) repeats(all []stats.Summary) {
	t.Repeats, t.Intervals = len(all), map[string]*[2]float64{}
	for _, row := range t.figures() {
		var figures []float64
		for _, s := range all {
			figures = append(figures, row.of(s.Document()))
		}
		if len(all) > 1 {
			i := live.Mean(figures)
			t.Intervals[row.name] = &[2]float64{i.Mean, i.Half}
		}
	}
}

// figure is one that repeats and the simulator are compared by.
type figure struct {
	name string
	of   func(stats.Document) float64
}

func (t *told) figures() []figure {
	return []figure{
		{"request_throughput_rps", func(d stats.Document) float64 { return d.RequestThroughputRPS }},
		{"output_throughput_tok_s", func(d stats.Document) float64 { return d.OutputThroughput }},
		{"ttft_p50_ms", func(d stats.Document) float64 { return d.TTFT.Milliseconds("p50") }},
		{"ttft_p99_ms", func(d stats.Document) float64 { return d.TTFT.Milliseconds("p99") }},
		{"tpot_p50_ms", func(d stats.Document) float64 { return d.TPOT.Milliseconds("p50") }},
		{"tpot_p99_ms", func(d stats.Document) float64 { return d.TPOT.Milliseconds("p99") }},
		{"itl_p99_ms", func(d stats.Document) float64 { return d.ITL.Milliseconds("p99") }},
		{"e2el_p50_ms", func(d stats.Document) float64 { return d.E2EL.Milliseconds("p50") }},
	}
}

// tell prints the result and says the exit code.
func (t *told) tell(f *loadFlags, stdout, stderr io.Writer) (int, error) {
	if f.json {
		printJSON(stdout, t)
	} else {
		t.print(stdout)
		for _, w := range t.Warnings {
			fmt.Fprintf(stderr, "symbiote load: warning: %s\n", w)
		}
	}
	switch {
	case t.Failure != "":
		fmt.Fprintf(stderr, "symbiote load: the server failed (%s): %s\n", t.Failure, t.Reason)
		return 1, nil
	case t.Requests > 0 && t.Completed == 0:
		fmt.Fprintf(stderr, "symbiote load: none of %d requests completed: %s\n", t.Requests, t.failed())
		return 2, nil
	case t.judged && t.share < sloShare:
		return 1, nil
	}
	return 0, nil
}

func (t *told) failed() string {
	var parts []string
	for class, n := range t.Failures {
		parts = append(parts, fmt.Sprintf("%d %s", n, class))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func (t *told) print(w io.Writer) {
	for _, n := range t.notes {
		fmt.Fprintln(w, n)
	}
	if t.workload.Rows != nil {
		fmt.Fprintln(w, t.workload)
	}
	tab := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tab, "\nms\tmean\tp50\tp90\tp95\tp99\tmax\t\n")
	for _, row := range []struct {
		name string
		d    stats.Dist
	}{{"TTFT", t.TTFT}, {"  from the send", t.ServiceTTFT}, {"TPOT", t.TPOT}, {"ITL", t.ITL}, {"ICL", t.ICL}, {"E2EL", t.E2EL}, {"lag", t.Lag}, {"TTFT, failures as timeout", t.AllRequests.TTFT}} {
		fmt.Fprintf(tab, "%s\t", row.name)
		for _, of := range []string{"mean", "p50", "p90", "p95", "p99", "max"} {
			fmt.Fprintf(tab, "%.4g\t", row.d.Milliseconds(of))
		}
		fmt.Fprintln(tab)
	}
	tab.Flush()
	fmt.Fprintf(w, "\nrequests %d, completed %d, failed %d", t.Requests, t.Completed, t.Failed)
	if t.Failed > 0 {
		fmt.Fprintf(w, " (%s)", t.failed())
	}
	fmt.Fprintf(w, " in %.4g s: %.4g req/s, %.5g output tok/s, %.5g tok/s\n", t.DurationS, t.RequestThroughputRPS, t.OutputThroughput, t.TotalThroughput)
	if t.SteadyToS > 0 {
		fmt.Fprintf(w, "steady window %.4g s to %.4g s: %.5g output tok/s\n", t.SteadyFromS, t.SteadyToS, t.SteadyOutput)
	}
	fmt.Fprintf(w, "arrivals as achieved: %.4g/s, coefficient of variation %.3g; %d preemptions; prefix hits %.1f%%\n", t.ArrivalRate, t.ArrivalCV, t.Preemptions, 100*t.PrefixHitRate)
	if t.judged {
		fmt.Fprintf(w, "%.2f%% of %d requests met the SLO; goodput %.4g req/s\n", 100*t.share, t.Requests, t.GoodputRPS)
	}
	t.compare(w)
	fmt.Fprintln(w, "\ndefinitions")
	tab = tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, d := range t.Definitions {
		fmt.Fprintf(tab, "  %s\t%s\t%s\n", d.Metric, d.Formula, d.Others)
	}
	tab.Flush()
}

// compare prints the repeats' intervals and the simulator's figures beside the measured ones.
func (t *told) compare(w io.Writer) {
	if t.Repeats == 1 {
		fmt.Fprintln(w, "one run: what a next one would give is not known; -repeats 3 gives intervals")
	}
	if t.Repeats == 1 && t.Simulated == nil {
		return
	}
	tab := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tab, "\n\tmeasured\t%d repeats, 95%%\tsimulated\terror\t\n", t.Repeats)
	for _, row := range t.figures() {
		interval, simulated, off := "", "", ""
		if i := t.Intervals[row.name]; i != nil {
			interval = live.Interval{Mean: i[0], Half: i[1]}.String()
		}
		if t.Simulated != nil {
			simulated, off = fmt.Sprintf("%.4g", row.of(*t.Simulated)), fmt.Sprintf("%+.1f%%", t.ErrorPct[row.name])
		}
		fmt.Fprintf(tab, "%s\t%.4g\t%s\t%s\t%s\t\n", row.name, row.of(t.Document), interval, simulated, off)
	}
	tab.Flush()
}

// failuresAsTimeout are the latencies over all requests, where one that failed counts as long as the timeout: averages
// over successes alone get better the more requests fail.
func failuresAsTimeout(run *record.Run, timeout time.Duration) (ttft, e2el stats.Dist) {
	var t, e []units.Span
	for i := range run.Requests {
		r := &run.Requests[i]
		first, last := units.FromDuration(timeout), units.FromDuration(timeout)
		if r.Completed() {
			if v, ok := r.TTFT(); ok {
				first = v
			}
			if v, ok := r.E2EL(); ok {
				last = v
			}
		}
		t, e = append(t, first), append(e, last)
	}
	return stats.Of(stats.NearestRank, t), stats.Of(stats.NearestRank, e)
}
