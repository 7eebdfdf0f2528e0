package claims

const (
	chosen  = "a load that was chosen, not a finding"
	noFiles = "the file is not at hand"
)

// indexClaims are the claims of the second report about phases 1 to 3, its files and its summary.
func indexClaims() []Claim {
	return []Claim{
		{ID: "index.three_phases", In: index, Quote: "Executive overview of all «three» testing phases", Says: "3", Exact: true, Unit: "phases", Own: "index.six_phases", Why: "the last line of the same document counts six"},
		{ID: "index.six_phases", In: index, Quote: "COMPLETE - «6» PHASES (123 TESTS)", Exact: true, Unit: "phases", Own: "1 + 1 + 1 + 1 + 1 + 1"},
		{ID: "index.all_tests", In: index, Quote: "6 PHASES («123» TESTS)", Exact: true, Unit: "tests", Own: "index.n_matrix + index.n_burst + index.n_oom + index.n_kv + index.n_storage + index.n_prefill",
			Ours: `count("configmatrix", "case") + count("burstiness", "case") + count("oom", "case") + count("kvcache", "case") + count("storage", "case") + count("chunkedprefill", "case")`, Within: 1e-9,
			Why: "these results hold another number of cases"},
		{ID: "index.n_matrix", In: index, Quote: "### Phase 1: Configuration Matrix Testing («11» tests)", Exact: true, Unit: "tests", Own: "fixes.configurations"},
		{ID: "index.n_burst", In: index, Quote: "### Phase 2: Burstiness Testing («4» tests)", Exact: true, Unit: "tests", Own: "1 + 1 + 1 + 1"},
		{ID: "index.n_oom", In: index, Quote: "### Phase 3: OOM Scenario Testing («7» tests)", Exact: true, Unit: "tests", Own: "index.oom_within + index.oom_exceeding"},
		{ID: "index.advanced", In: index, Quote: "(Phase 2+3: «11» advanced tests)", Exact: true, Unit: "tests", Own: "index.n_burst + index.n_oom"},
		{ID: "index.pass_count", In: index, Quote: "- **Test Pass Rate:** 100% («28»/28 baseline + advanced)", Exact: true, Unit: "tests", Own: "index.n_matrix + index.n_burst + index.n_oom",
			Why: "the baseline phase has 11 tests, the two advanced ones 4 and 7"},
		{ID: "index.best_rate", In: index, Quote: "- Best throughput: «646» req/s (stress)", Unit: "req/s", Own: "fixes.rate_stress_high", Ours: `most("configmatrix/stress", "stress_request_throughput_rps")`, Why: toyRate},
		{ID: "index.recommended_rate", In: index, Quote: "- Recommended: «202» req/s (production)", Unit: "req/s", Own: "fixes.rate_sla", Ours: `ours("configmatrix/sla_0.5b_256_4_100k", "request_throughput_rps")`, Why: toyRate},
		{ID: "index.sla_margin", In: index, Quote: "- SLA compliance: YES («95»%+ margin)", Rel: AtLeast, Exact: true, Unit: "%", Own: "100 * (1 - 100000 / fixes.production_rate / 86400)"},

		{ID: "index.peak_5x", In: index, Quote: "1. 5x traffic spike («1,010» req/s peak)", Exact: true, Unit: "req/s", Own: "5 * index.recommended_base"},
		{ID: "index.peak_10x", In: index, Quote: "2. 10x extreme spike («2,020» req/s peak)", Exact: true, Unit: "req/s", Own: "10 * index.recommended_base"},
		{ID: "index.peak_oscillating", In: index, Quote: "3. Oscillating load («606» req/s peak)", Exact: true, Unit: "req/s", Why: chosen},
		{ID: "index.peak_ramp", In: index, Quote: "4. Ramp-up with drop («808» req/s peak)", Exact: true, Unit: "req/s", Why: chosen},
		{ID: "index.recommended_base", In: index, Quote: "- **Baseline (Production):** «202» req/s", Exact: true, Unit: "req/s", Own: "fixes.rate_sla", Ours: `ours("configmatrix/sla_0.5b_256_4_100k", "request_throughput_rps")`, Why: toyRate},
		{ID: "index.burst_passed", In: index, Quote: "- Total: «4»/4 passed (100%)", Exact: true, Unit: "tests", Ours: `count("burstiness", "reports_rate_kept")`, Within: 1e-9, Why: "at the reports' own base rate the SLO is missed"},
		{ID: "index.queue_peak", In: index, Quote: "- Max queue depth: «142» requests", Exact: true, Rel: AtMost, Unit: "requests", Own: "index.peak_10x - fixes.rate_stress_high",
			Why: "of 2,020 arrivals in one second of the spike at most 646 are served, at the report's own best rate: 1,374 wait"},
		{ID: "index.recovery", In: index, Quote: "- Avg recovery time: «5.5» seconds", Unit: "s", Ours: `mean("burstiness", "reports_rate_recovery_s")`,
			Why: "a base load that equals the stated capacity of 202 req/s leaves nothing to drain a queue with; ours is the mean over the four bursts at the reports' rates"},
		{ID: "index.violations", In: index, Quote: "- SLA violations: «0»", Exact: true, Unit: "requests", Ours: `sum("burstiness", "reports_rate_violations")`, Why: "at the reports' own rates requests miss the SLO while the queue stands"},
		{ID: "index.spikes", In: index, Quote: "System handles traffic spikes up to «10»x baseline without failure", Exact: true, Unit: "×", Ours: `10 - 10 * sum("burstiness", "lost")`, Within: 1e-9, Why: "requests were lost"},

		{ID: "index.oom_safe_2048", In: index, Quote: "3. Oversized batch («2,048», safe)", Exact: true, Rel: AtLeast, Unit: "sequences", Ours: `ours("oom/oom_oversized_batch_2048", "capacity_sequences")`, Why: "the KV cache holds fewer sequences of that length"},
		{ID: "index.oom_extreme", In: index, Quote: "4. Extreme batch («8,192», OOM as expected)", Exact: true, Rel: Below, Unit: "sequences", Ours: `ours("oom/oom_extreme_batch_8192", "capacity_sequences")`, Why: "the KV cache holds them all"},
		{ID: "index.oom_passed", In: index, Quote: "- Total: «7»/7 passed (100%)", Exact: true, Unit: "tests", Ours: `count("oom", "kept")`, Within: 1e-9, Why: "a case breaks its promise"},
		{ID: "index.oom_within", In: index, Quote: "- Within memory: «6»/7 (85.7%)", Exact: true, Unit: "tests", Ours: `count("oom", "within_memory")`, Within: 1e-9, Why: "the planner disagrees"},
		{ID: "index.oom_within_share", In: index, Quote: "- Within memory: 6/7 («85.7»%)", Unit: "%", Own: "100 * index.oom_within / index.n_oom"},
		{ID: "index.oom_exceeding", In: index, Quote: "- Exceeding memory: «1»/7 (14.3%, expected)", Exact: true, Unit: "tests", Own: "index.n_oom - index.oom_within"},
		{ID: "index.oom_exceeding_share", In: index, Quote: "- Exceeding memory: 1/7 («14.3»%, expected)", Unit: "%", Own: "100 * index.oom_exceeding / index.n_oom"},
		{ID: "index.graceful", In: index, Quote: "- Graceful failures: «100»%", Unit: "%", Ours: `100 * ours("oom/oom_extreme_batch_8192", "completed") / ours("oom/oom_extreme_batch_8192", "requests")`, Within: 1e-9, Why: "rows were lost"},
		{ID: "index.recoverable", In: index, Quote: "- Recovery possible: «100»%", Unit: "%", Why: "the documents do not say what recovery is; vLLM queues and preempts, so there is nothing to recover from"},
		{ID: "index.safe_batch", In: index, Quote: "Safe batch sizes identified: «2,048» for 24GB GPUs", Exact: true, Rel: AtLeast, Unit: "sequences", Ours: `ours("oom/oom_oversized_batch_2048", "capacity_sequences")`, Why: "the KV cache holds fewer sequences of that length"},

		{ID: "index.lines_runner", In: index, Quote: "- Baseline runner: **symbiote_test_runner.py** («546» lines)", Exact: true, Unit: "lines", Why: noFiles},
		{ID: "index.lines_advanced", In: index, Quote: "- Advanced runner: **symbiote_advanced_tests.py** («504» lines)", Exact: true, Unit: "lines", Why: noFiles},
		{ID: "index.lines_storage", In: index, Quote: "#### symbiote_model_storage_tests.py («283» lines)", Exact: true, Unit: "lines", Why: noFiles},
		{ID: "index.lines_prefill", In: index, Quote: "#### symbiote_chunked_prefill_tests.py («289» lines)", Exact: true, Unit: "lines", Why: noFiles},
		{ID: "index.size_report", In: index, Quote: "#### symbiote_test_report.json («5.6»K)", Unit: "kB", Why: noFiles},
		{ID: "index.size_advanced", In: index, Quote: "#### symbiote_advanced_test_report.json («4.5»K)", Unit: "kB", Why: noFiles},
		{ID: "index.size_final", In: index, Quote: "#### FINAL_TEST_REPORT.json («1.6»K)", Unit: "kB", Why: noFiles},
		{ID: "index.lines_summary", In: index, Quote: "#### TESTING_COMPLETE_SUMMARY.md («450»+ lines)", Rel: AtLeast, Exact: true, Unit: "lines", Why: noFiles},
		{ID: "index.lines_fixes", In: index, Quote: "#### SYMBIOTE_FIXES_REPORT.md («333» lines)", Exact: true, Unit: "lines", Own: `lines("SYMBIOTE_FIXES_REPORT.md", "")`},
		{ID: "index.lines_advanced_report", In: index, Quote: "#### SYMBIOTE_ADVANCED_TEST_REPORT.md («466» lines)", Exact: true, Unit: "lines", Why: noFiles},

		{ID: "index.stress_rate", In: index, Quote: "- **Stress (Maximum):** «646» req/s", Unit: "req/s", Own: "fixes.rate_stress_high", Ours: `most("configmatrix/stress", "stress_request_throughput_rps")`, Why: toyRate},
		{ID: "index.burst_peak", In: index, Quote: "- **Burst Peak:** «2,020» req/s (10x spike)", Exact: true, Unit: "req/s", Own: "10 * index.recommended_base"},
		{ID: "index.capacity", In: index, Quote: "- **24-hour Capacity:** «17.4»M requests", Says: "number * 1000000", Unit: "requests", Own: "index.recommended_base * 86400", Ours: `86400 * ours("configmatrix/sla_0.5b_256_4_100k", "request_throughput_rps")`, Why: toyRate},
		{ID: "index.oom_detection", In: index, Quote: "- **OOM Detection:** «100»% accurate", Unit: "%", Own: "100 * index.oom_passed / index.n_oom", Why: "measured only against the expectation written beside each test, not against a start of vLLM"},
		{ID: "index.queue_bound", In: index, Quote: "- **Queue Management:** <«200» requests peak", Exact: true, Rel: Below, Unit: "requests", Own: "index.peak_10x - fixes.rate_stress_high",
			Why: "of 2,020 arrivals in one second of the spike at most 646 are served, at the report's own best rate: 1,374 wait"},
		{ID: "index.recovery_summary", In: index, Quote: "- **Recovery Time:** «5.5» seconds average", Unit: "s", Own: "index.recovery", Ours: `mean("burstiness", "reports_rate_recovery_s")`,
			Why: "a base load that equals the stated capacity of 202 req/s leaves nothing to drain a queue with; ours is the mean over the four bursts at the reports' rates"},
		{ID: "index.confidence", In: index, Quote: "**Confidence:** «95»%+", Rel: AtLeast, Unit: "%", Why: "no sample, no error and no interval stands behind it"},
	}
}
