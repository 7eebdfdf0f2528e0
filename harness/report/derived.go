package report

import (
	"strconv"
	"strings"
)

// derived are figures of a case that the claims ledger asks for and that no column has as it is.
func (f *Facts) derived(suite, id, metric string) (float64, bool) {
	r := f.row(suite, id)
	if r == nil {
		return 0, false
	}
	switch suite {
	case "burstiness":
		return f.ofBurst(r, id, metric)
	case "oom":
		return r.ofDemand(metric)
	case "kvcache":
		if length, ok := strings.CutPrefix(metric, "largest_safe_batch_"); ok {
			return f.safeBatch(length)
		}
		return r.ofStress(metric)
	case "storage":
		return r.ofStorage(metric)
	case "chunkedprefill":
		switch metric {
		case "isolated_ttft_ms":
			ns, ok := r.number("alone-ttft-ns")
			return ns / 1e6, ok
		case "mixed_total_tok_s":
			return r.number("tok/s")
		}
	}
	return 0, false
}

// ofBurst reads a burst at the rates of the reports: the twin of the case whose base rate is 202 requests a second.
func (f *Facts) ofBurst(r *Row, id, metric string) (float64, bool) {
	if metric == "lost" {
		return r.number("lost-requests")
	}
	name, ok := strings.CutPrefix(metric, "reports_rate_")
	if !ok {
		return 0, false
	}
	twin := f.row("burstiness", id+"/base=202")
	if twin == nil {
		return 0, false
	}
	met, ok := twin.number("slo-met-%")
	switch name {
	case "kept":
		return truth(met >= 90), ok
	case "violations":
		n, ok2 := twin.number("requests")
		return n * (1 - met/100), ok && ok2
	case "recovery_s":
		ns, ok := twin.number("recovery-ns")
		return ns / 1e9, ok
	}
	return 0, false
}

// ofDemand reads what a batch asks of the cache.
func (r *Row) ofDemand(metric string) (float64, bool) {
	switch metric {
	case "capacity_sequences": // of this case's length
		n, ok := r.number("requests")
		share, ok2 := r.number("of-cache")
		return n / share, ok && ok2 && share > 0
	case "within_memory":
		return truth(verdict(r) == "safe" || verdict(r) == "risky"), true
	}
	return 0, false
}

func (r *Row) ofStress(metric string) (float64, bool) {
	broke := r.Cells["broke first"]
	preempted, ran := r.number("preemptions")
	switch metric {
	case "within_limits":
		return truth(broke == "-" || broke == "none"), ran
	case "breached":
		return truth(broke != "-" && broke != "none"), ran
	case "usage_without_preemption":
		usage, ok := r.number("kv_usage_peak")
		return usage, ok && preempted == 0
	case "hit_rate_of_passing":
		hits, ok := r.number("prefix_hit_rate")
		return hits, ok && hits > 0 && r.Want.Kept && broke == "-"
	}
	return 0, false
}

// ofStorage reads a plan for the load of the storage suite: 32 sequences of 2,048 tokens.
func (r *Row) ofStorage(metric string) (float64, bool) {
	if metric == "fits" {
		return truth(r.Failure == "" && !strings.Contains(verdict(r), "not fit")), true
	}
	if r.Plan["kv_cache_tokens"] == 0 {
		return 0, false
	}
	load := r.Plan["kv_cache_gib"] / r.Plan["kv_cache_tokens"] * 32 * 2048
	switch metric {
	case "overhead_gib": // all but the weights
		return r.fixedGiB() - r.Plan["weights_gib"] + load, true
	case "load_share": // of the whole card
		return (r.fixedGiB() + load) / r.Plan["gpu_total_gib"], true
	}
	return 0, false
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// safeBatch reads the largest batch of sequences of a length that the stress suite's search found.
func (f *Facts) safeBatch(length string) (float64, bool) {
	r := f.row("kvcache", length)
	if r == nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(r.Cells["kv=auto"], 64)
	return n, err == nil
}
