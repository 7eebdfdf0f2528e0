package report

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/failure"
)

const (
	daySeconds = 24 * 3600.0
	slaCase    = "sla_0.5b_256_4_100k"

	// assumedError is the bound of the serving backtest, used where these results hold no backtest for a GPU.
	assumedError = 25.0
)

// A volume is one line of the SLA table.
type volume struct {
	Name    string    `json:"volume"`
	Rows    float64   `json:"requests"`
	Seconds float64   `json:"seconds"`
	Margin  float64   `json:"margin_pct"` // of 24 hours
	Verdict string    `json:"verdict"`
	Error   float64   `json:"model_error_pct"`
	Shown   [3]string `json:"-"`
}

// expected is how a profile states an error that was not measured on its own GPU or host.
var expected = regexp.MustCompile(`expect up to ([\d.]+) %`)

// rateError is how far the throughput of a row may be off, in percent, and what says so.
func (f *Facts) rateError(r *Row) (float64, string) {
	if f.Backend() != "sim" {
		return 0, "measured"
	}
	if r != nil && r.Provenance != nil {
		if m := expected.FindAllStringSubmatch(r.Provenance.ModelError, -1); m != nil {
			off := 0.0
			for _, x := range m {
				n, _ := strconv.ParseFloat(x[1], 64)
				off = max(off, n)
			}
			return off, "what the profile says to expect where nothing was measured"
		}
	}
	if f.Serving != nil {
		if m, whose := f.Serving.of("request_throughput"); m.N > 0 {
			return m.P90, fmt.Sprintf("the 90th percentile over %d %s", m.N, whose)
		}
	}
	return assumedError, "no backtest stands in these results; 25 % is assumed"
}

// sla is what the job with a deadline makes of a day.
func (f *Facts) sla() []volume {
	r := f.row("configmatrix", slaCase)
	if r == nil {
		return nil
	}
	rate, ok := r.number("request_throughput_rps")
	if !ok || rate <= 0 {
		return nil
	}
	off, _ := f.rateError(r)
	var all []volume
	for _, v := range []volume{{Name: "100K", Rows: 1e5}, {Name: "1M", Rows: 1e6}, {Name: "10M", Rows: 1e7}, {Name: "17M", Rows: 1.7e7}, {Name: "largest in 24 h", Rows: math.Floor(rate * daySeconds)}} {
		v.Seconds = v.Rows / rate
		v.Margin = math.Round(1e6*(1-v.Seconds/daySeconds)) / 1e4
		v.Error = off
		// The error is predicted ÷ measured − 1 of the rate, so the real time is the predicted one times 1 ± error.
		switch {
		case v.Seconds*(1+off/100) <= daySeconds:
			v.Verdict = "meets 24 h, the model's error included"
		case v.Seconds*(1-off/100) > daySeconds:
			v.Verdict = "misses 24 h, the model's error included"
		default:
			v.Verdict = "undecided: nearer to 24 h than the model's error"
		}
		v.Shown = [3]string{count(v.Rows), seconds(v.Seconds), percent(v.Margin)}
		all = append(all, v)
	}
	return all
}

// A mode counts failures of one of the four kinds, the finer classes beneath.
type mode struct {
	Mode    string         `json:"mode"`
	Count   int            `json:"count"`
	Classes map[string]int `json:"classes"`
	Cases   []string       `json:"cases"`
	Meant   int            `json:"expected"` // of them promised by the case
}

// diagnosis sorts what failed of these suites. A failure that a case promises is counted and marked as expected.
func (f *Facts) diagnosis(suites ...string) []mode {
	all := []mode{{Mode: string(failure.MemoryExhaustion)}, {Mode: string(failure.ConfigurationValidation)}, {Mode: string(failure.PerformanceTimeout)}, {Mode: string(failure.UnknownMode)}}
	for i := range all {
		all[i].Classes, all[i].Cases = map[string]int{}, []string{}
	}
	for _, t := range f.Tests {
		if !slices.Contains(suites, t.Suite) {
			continue
		}
		for _, r := range t.Rows {
			if r.Failure == "" {
				continue
			}
			for i := range all {
				if all[i].Mode != string(failure.Class(r.Failure).Mode()) || slices.Contains(all[i].Cases, r.Case) {
					continue
				}
				all[i].Count++
				all[i].Classes[r.Failure]++
				all[i].Cases = append(all[i].Cases, r.Case)
				if r.Want.Kept {
					all[i].Meant++
				}
			}
		}
	}
	return all
}

// A recommendation rests on cases that were run.
type recommendation struct {
	Title    string `json:"title"`
	Setting  string `json:"setting"`
	Evidence string `json:"evidence"`
	Case     string `json:"case"`
}

// configurations are chosen from the cases of the matrix that ran on one GPU: the fastest whose answers start in
// time, the fastest at all, and the one that needs the least memory for at least half of the best rate.
func (f *Facts) configurations() []recommendation {
	rows := slices.DeleteFunc(f.present("configmatrix"), func(r *Row) bool {
		_, rate := r.number("request_throughput_rps")
		return !rate || !strings.Contains(r.Case, "_0.5b_") || r.GPU != "a100-40gb-sxm" || !r.Want.Kept
	})
	if len(rows) == 0 {
		return f.swept()
	}
	rate := func(r *Row) float64 { x, _ := r.number("request_throughput_rps"); return x }
	ttft := func(r *Row) float64 { x, _ := r.dist("ttft_ms", "p99"); return x }
	need := func(r *Row) float64 { share, _ := r.ofBudget(); return share * r.Plan["budget_gib"] }
	pick := func(ok func(*Row) bool, better func(a, b *Row) int) *Row {
		fit := slices.DeleteFunc(slices.Clone(rows), func(r *Row) bool { return !ok(r) })
		if len(fit) == 0 {
			return nil
		}
		return slices.MinFunc(fit, better)
	}
	faster := func(a, b *Row) int { return cmp.Compare(rate(b), rate(a)) }
	best := pick(func(*Row) bool { return true }, faster)
	const start = 2000 // ms
	var out []recommendation
	say := func(title string, r *Row) {
		if r == nil {
			return
		}
		out = append(out, recommendation{title, r.setting(), fmt.Sprintf("%s of %d tried: %s req/s, TTFT p99 %s, %s GiB of memory in use at the peak, every request completed",
			r.Case, len(rows), figure(rate(r)), seconds(ttft(r)/1000), figure(need(r))), r.Case})
	}
	say(fmt.Sprintf("Production: the most requests a second with TTFT p99 ≤ %d s", start/1000), pick(func(r *Row) bool { return ttft(r) <= start }, faster))
	say("High throughput: the most requests a second, whatever the latency", best)
	say("Memory-conservative: the least memory in use for at least half of the best rate", pick(func(r *Row) bool { return 2*rate(r) >= rate(best) },
		func(a, b *Row) int { return cmp.Compare(need(a), need(b)) }))
	return append(out, f.swept()...)
}

// swept are the deployments that a sweep under an SLO found and that nothing beats in both rate and latency.
func (f *Facts) swept() []recommendation {
	var out []recommendation
	for _, t := range f.tests("configmatrix") {
		for _, r := range t.Rows {
			if r.Cells["front"] == "*" {
				out = append(out, recommendation{"On the front of a sweep: " + r.Case, r.Case,
					fmt.Sprintf("sustains %s, TTFT p99 %s, E2EL p50 %s, found in %s runs; nothing beats it in both rate and latency. Asked: %s",
						r.Cells["req/s"], r.Cells["TTFT99"], r.Cells["E2EL50"], r.Cells["runs"], t.Asks), r.Case})
			}
		}
	}
	return out
}

// setting reads batch_size and concurrency off a matrix case's deployment; the case's name says the same.
func (r *Row) setting() string {
	parts := strings.Split(r.Case, "_")
	if len(parts) < 4 {
		return r.Deployment
	}
	return fmt.Sprintf("batch_size %s, concurrency %s, %s on one %s", parts[2], parts[3], r.Model, r.GPU)
}

// A readiness is what became of one promise. There is no approval: who deploys decides, and sees what it rests on.
type readiness struct {
	Promise string `json:"promise"`
	Verdict string `json:"verdict"`
	RestsOn string `json:"rests_on"`
	Error   string `json:"model_error"`
}

func (f *Facts) readiness() []readiness {
	var all []readiness
	_, how := f.rateError(f.row("configmatrix", slaCase))
	for _, v := range f.sla() {
		if v.Name != "largest in 24 h" {
			all = append(all, readiness{v.Name + " requests in 24 h", v.Verdict, "case " + slaCase + ": " + v.Shown[1] + ", margin " + v.Shown[2],
				fmt.Sprintf("%s %% of throughput (%s)", figure(v.Error), how)})
		}
	}
	all = append(all, f.latencyReadiness()...)
	for _, p := range f.phases {
		n, kept := 0, 0
		var broken []string
		for _, id := range p.ids {
			if f.row(p.suite, id) == nil {
				continue
			}
			n++
			if f.kept(p.suite, id) {
				kept++
			} else {
				broken = append(broken, id)
			}
		}
		r := readiness{Promise: p.title + ": every case keeps its promise", Verdict: "not run", RestsOn: fmt.Sprintf("%d of %d cases are in these results", n, len(p.ids)), Error: "–"}
		if n > 0 {
			r.Verdict = fmt.Sprintf("%d of %d kept", kept, n)
			r.Error = f.errorOf(p.suite)
		}
		if together := f.broken(p.suite); len(together) > 0 {
			r.Verdict += fmt.Sprintf("; %d promises of the cases together are broken", len(together))
			broken = append(broken, together...)
		}
		if broken != nil {
			r.RestsOn += "; broken: " + strings.Join(broken, ", ")
		}
		all = append(all, r)
	}
	return all
}

// latencyReadiness says for each burst how many requests were answered as promised.
func (f *Facts) latencyReadiness() []readiness {
	var all []readiness
	for _, t := range f.tests("burstiness") {
		for _, id := range f.phase("burstiness").ids {
			for _, r := range t.Rows {
				met, ok := r.number("slo-met-%")
				if !ok || !r.is(id) || strings.Contains(r.Case, "seats=") { // the smaller twin is there to miss
					continue
				}
				verdict := "misses it"
				if met >= 99 {
					verdict = "meets it"
				}
				all = append(all, readiness{fmt.Sprintf("%s: %v for 99 %% of the requests", r.Case, t.SLO), verdict + " (" + percent(met) + ")", "case " + r.Case + ": " + r.Workload, f.latencyError()})
			}
		}
	}
	return all
}

func (f *Facts) latencyError() string {
	if f.Backend() != "sim" || f.Serving == nil {
		return f.errorOf("burstiness")
	}
	return f.Serving.words("ttft_mean", "ttft_p99", "tpot_mean")
}

// errorOf is the model error that the rows of a suite state.
func (f *Facts) errorOf(suite string) string {
	if f.Backend() != "sim" {
		return "measured, no model"
	}
	if suite == "storage" || suite == "oom" {
		if m := f.Memory; m != nil {
			return fmt.Sprintf("KV size off by %s GiB on average over %d start-ups; %d of %d verdicts right", figure(m.Error.Mean), m.Predicted, m.Right, m.Right+m.Wrong)
		}
		return "memory planner; no backtest stands in these results"
	}
	if f.Serving != nil {
		return f.Serving.words(mainMetrics()...)
	}
	return "no backtest stands in these results; each row states its profile's error"
}
