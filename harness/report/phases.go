package report

import (
	"fmt"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/claims"
	"github.com/testing-symbiote/symbiote/harness/failure"
)

// A phase is one of the six questions, with the cases that every full run answers.
type phase struct {
	suite, title string
	ids          []string
}

// phases are the 123 cases in their order.
func phases() []phase {
	ps := []phase{
		{"configmatrix", "Configuration matrix", []string{
			"baseline_0.5b_128_2", "baseline_0.5b_256_2", "baseline_0.5b_512_2",
			"concurrency_0.5b_128_4", "concurrency_0.5b_128_8", "concurrency_0.5b_128_16",
			"large_7b_64_2", "large_13b_32_2", "stress_0.5b_256_16", "stress_0.5b_512_8", "sla_0.5b_256_4_100k"}},
		{"burstiness", "Burstiness", []string{"burst_5x_spike", "burst_10x_spike", "burst_oscillating", "burst_ramp_drop"}},
		{"oom", "OOM scenarios", []string{"oom_normal_batch_128", "oom_large_batch_512", "oom_oversized_batch_2048",
			"oom_extreme_batch_8192", "oom_multi_worker_1024", "oom_at_limit_512", "oom_small_gpu_512"}},
		{"kvcache", "KV-cache stress", []string{"kv_baseline_low", "kv_baseline_medium", "kv_baseline_high",
			"kv_highfreq_10", "kv_highfreq_20", "kv_highfreq_200", "kv_longseq_8k", "kv_longseq_32k",
			"kv_concurrent_64", "kv_concurrent_512", "kv_thrash"}},
		{"storage", "Model weight storage", nil},
		{"chunkedprefill", "Chunked prefill", nil},
	}
	for _, model := range []string{"0.5b", "7b", "13b"} {
		for _, gpu := range storageGPUs() {
			for _, quant := range []string{"fp32", "fp16", "int8", "int4"} {
				ps[4].ids = append(ps[4].ids, fmt.Sprintf("storage_%s_%s_%s", model, gpu, quant))
			}
		}
	}
	for _, model := range []string{"0.5b", "7b"} {
		for _, prompt := range []int{512, 2048, 8192} {
			for _, strategy := range []string{"no_chunking", "small_chunk", "medium_chunk", "token_budget", "adaptive"} {
				ps[5].ids = append(ps[5].ids, fmt.Sprintf("prefill_%s_%d_%s", model, prompt, strategy))
			}
		}
	}
	return ps
}

func storageGPUs() []string { return []string{"rtx3090", "a100_40gb", "h100_80gb", "rtx4090", "l40"} }

// tests returns the tables of a suite.
func (f *Facts) tests(suite string) []Test {
	var own []Test
	for _, t := range f.Tests {
		if t.Suite == suite {
			own = append(own, t)
		}
	}
	return own
}

// row finds a case of a suite; the first table that ran it counts before those that only plan it.
func (f *Facts) row(suite, id string) *Row {
	return f.rowWhere(suite, id, func(*Row) bool { return true })
}

func (f *Facts) rowWhere(suite, id string, ok func(*Row) bool) *Row {
	for _, t := range f.tests(suite) {
		for i := range t.Rows {
			if t.Rows[i].is(id) && ok(&t.Rows[i]) {
				return &t.Rows[i]
			}
		}
	}
	return nil
}

// is says whether the row is the case, or the first of its variants: id/base=40% stands for id.
func (r *Row) is(id string) bool { return r.Case == id || strings.HasPrefix(r.Case, id+"/") }

func (f *Facts) phase(suite string) phase {
	for _, p := range f.phases {
		if p.suite == suite {
			return p
		}
	}
	return phase{suite: suite}
}

// present are the rows of a phase's cases, in their order.
func (f *Facts) present(suite string) []*Row {
	var rows []*Row
	for _, id := range f.phase(suite).ids {
		if r := f.row(suite, id); r != nil {
			rows = append(rows, r)
		}
	}
	return rows
}

// kept says whether the case keeps its promise in every table that has it.
func (f *Facts) kept(suite, id string) bool {
	for _, t := range f.tests(suite) {
		for _, r := range t.Rows {
			if r.is(id) && !r.Want.Kept {
				return false
			}
		}
	}
	return true
}

// broken are the promises that the cases of a suite do not keep together.
func (f *Facts) broken(suite string) []string {
	out := []string{}
	for _, t := range f.tests(suite) {
		for _, p := range t.Promises {
			if !p.Kept {
				out = append(out, p.Says)
			}
		}
	}
	return out
}

// figures answers the claims ledger: a metric over the cases of a suite that have it.
func (f *Facts) figures(suite, metric string) []claims.Figure {
	var found []claims.Figure
	prefix, name := "", metric
	if rest, ok := strings.CutPrefix(metric, "stress_"); ok {
		prefix, name = "stress_", rest
	}
	for _, id := range f.phase(suite).ids {
		if !strings.HasPrefix(id, prefix) {
			continue
		}
		if x, ok := f.figure(suite, id, name); ok {
			found = append(found, claims.Figure{Case: id, Value: x})
		}
	}
	return found
}

// figure is one metric of one case: a verdict as 0 or 1, else a figure of its summary, its plan or its columns.
func (f *Facts) figure(suite, id, metric string) (float64, bool) {
	r := f.row(suite, id)
	if r == nil {
		return 0, false
	}
	if x, ok := f.derived(suite, id, metric); ok {
		return x, true
	}
	switch metric {
	case "case":
		return 1, true
	case "kept":
		return truth(f.kept(suite, id)), true
	case "broken":
		return truth(!f.kept(suite, id)), true
	case "memory_exhaustion", "configuration_validation", "performance_timeout", "unknown":
		return truth(r.Failure != "" && string(failure.Class(r.Failure).Mode()) == metric), true
	case "gpu_memory_gb":
		gib, ok := r.Plan["budget_gib"]
		return gib * 1.073741824, ok
	}
	r = f.rowWhere(suite, id, func(r *Row) bool { _, ok := r.number(metric); return ok })
	if r == nil {
		return 0, false
	}
	return r.number(metric)
}

// number is a figure by the key of the summary or the plan, or by the unit of the benchmark.
func (r *Row) number(key string) (float64, bool) {
	if x, ok := r.Summary[key].(float64); ok {
		return x, true
	}
	if x, ok := r.Plan[key]; ok {
		return x, true
	}
	x, ok := r.Metrics[key]
	return x, ok
}

// dist is one figure of a distribution of the summary, such as ttft_ms p99.
func (r *Row) dist(name, figure string) (float64, bool) {
	d, _ := r.Summary[name].(map[string]any)
	x, ok := d[figure].(float64)
	return x, ok
}

// ofBudget is the share of the card's budget that weights, activations, graphs and the KV cache in use come to.
func (r *Row) ofBudget() (float64, bool) {
	if r.Plan["budget_gib"] == 0 {
		return 0, false
	}
	used := r.fixedGiB()
	if usage, ok := r.number("kv_usage_peak"); ok {
		used += usage * r.Plan["kv_cache_gib"]
	}
	return used / r.Plan["budget_gib"], true
}

func (r *Row) fixedGiB() float64 {
	return r.Plan["weights_gib"] + r.Plan["activation_gib"] + r.Plan["non_torch_gib"] + r.Plan["cuda_graph_gib"]
}
