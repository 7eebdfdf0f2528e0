package claims

// Why our figures differ, where one reason serves several claims.
const (
	toyRate    = "the reports' rates come from a formula of batch and concurrency, not from an engine; ours is vLLM's scheduler with calibrated step times"
	saturated  = "a saturated engine serves no more when more rows are in flight; they wait longer"
	reserves   = "vLLM reserves gpu_memory_utilization of the card at the start, whatever the batch: batch size moves the KV cache's use, not the memory held"
	anyBatch   = "the figure grows with the batch alone, as if rows held memory; vLLM reserves its share of the card at the start"
	slackTime  = "1.2 times the quotient, a buffer that is not mentioned"
	overPrefix = "a margin of the padded time, not of the stated rate"
)

func fixesClaims() []Claim {
	return []Claim{
		{ID: "fixes.configurations", In: fixes, Quote: "**Test Matrix Coverage:** «11» configurations across 5 categories", Exact: true, Unit: "configurations",
			Own: "fixes.n_baseline + fixes.n_concurrency + fixes.n_large + fixes.n_stress + fixes.n_sla", Ours: `count("configmatrix", "requests")`, Within: 1e-9},
		{ID: "fixes.categories", In: fixes, Quote: "**Test Matrix Coverage:** 11 configurations across «5» categories", Exact: true, Unit: "categories",
			Own: "fixes.configurations - (fixes.n_baseline - 1) - (fixes.n_concurrency - 1) - (fixes.n_large - 1) - (fixes.n_stress - 1)"},
		{ID: "fixes.success", In: fixes, Quote: "**Overall Success Rate:** «100»% (11/11 tests passed)", Unit: "%", Own: "100 * fixes.passed / fixes.configurations"},
		{ID: "fixes.passed", In: fixes, Quote: "100% («11»/11 tests passed)", Exact: true, Unit: "tests", Ours: `count("configmatrix", "kept")`, Within: 1e-9,
			Why: "a pass there was a formula that returned; here a case passes when it keeps its promise"},
		{ID: "fixes.n_baseline", In: fixes, Quote: "**Baseline configurations** («3» tests)", Exact: true, Unit: "tests", Own: "fixes.table_n_baseline"},
		{ID: "fixes.n_concurrency", In: fixes, Quote: "**High concurrency tests** («3» tests)", Exact: true, Unit: "tests", Own: "fixes.table_n_concurrency"},
		{ID: "fixes.n_large", In: fixes, Quote: "**Large model tests** («2» tests)", Exact: true, Unit: "tests", Own: "fixes.table_n_large"},
		{ID: "fixes.n_stress", In: fixes, Quote: "**Stress tests** («2» tests)", Exact: true, Unit: "tests", Own: "fixes.table_n_stress"},
		{ID: "fixes.n_sla", In: fixes, Quote: "**SLA validation** («1» test)", Exact: true, Unit: "tests", Own: "fixes.table_n_sla"},
		{ID: "fixes.model_13b", In: fixes, Quote: "Qwen2.5 7B and «13»B models", Unit: "B parameters",
			Why: "there is no Qwen2.5 of 13B; the cases run Qwen2.5-14B-Instruct under that label"},

		{ID: "fixes.table_n_baseline", In: fixes, Quote: "| Baseline | «3» | 176.3 req/s", Exact: true, Unit: "tests", Own: "fixes.n_baseline"},
		{ID: "fixes.mean_baseline", In: fixes, Quote: "| Baseline | 3 | «176.3» req/s", Unit: "req/s", Own: "(fixes.rate_128 + fixes.rate_256 + fixes.rate_512) / fixes.n_baseline"},
		{ID: "fixes.table_n_concurrency", In: fixes, Quote: "| High Concurrency | «3» | 252.9 req/s", Exact: true, Unit: "tests", Own: "fixes.n_concurrency"},
		{ID: "fixes.mean_concurrency", In: fixes, Quote: "| High Concurrency | 3 | «252.9» req/s", Unit: "req/s", Own: "(fixes.rate_c4 + fixes.rate_c8 + fixes.rate_c16) / fixes.n_concurrency"},
		{ID: "fixes.table_n_large", In: fixes, Quote: "| Large Model | «2» | 8.0 req/s", Exact: true, Unit: "tests", Own: "fixes.n_large"},
		{ID: "fixes.mean_large", In: fixes, Quote: "| Large Model | 2 | «8.0» req/s", Unit: "req/s", Own: "(fixes.rate_7b + fixes.rate_13b) / fixes.n_large"},
		{ID: "fixes.table_n_stress", In: fixes, Quote: "| Stress | «2» | 588.1 req/s", Exact: true, Unit: "tests", Own: "fixes.n_stress"},
		{ID: "fixes.mean_stress", In: fixes, Quote: "| Stress | 2 | «588.1» req/s", Unit: "req/s", Own: "(fixes.rate_stress_low + fixes.rate_stress_high) / fixes.n_stress"},
		{ID: "fixes.rate_stress_low", In: fixes, Quote: "| «530.2» - 646.0 |", Unit: "req/s", Ours: `least("configmatrix/stress", "stress_request_throughput_rps")`, Why: toyRate},
		{ID: "fixes.rate_stress_high", In: fixes, Quote: "| 530.2 - «646.0» |", Unit: "req/s", Ours: `most("configmatrix/stress", "stress_request_throughput_rps")`, Why: toyRate},
		{ID: "fixes.table_n_sla", In: fixes, Quote: "| SLA | «1» | 202.0 req/s", Exact: true, Unit: "tests", Own: "fixes.n_sla"},
		{ID: "fixes.table_rate_sla", In: fixes, Quote: "| SLA | 1 | «202.0» req/s", Unit: "req/s", Own: "fixes.rate_sla", Ours: `ours("configmatrix/sla_0.5b_256_4_100k", "request_throughput_rps")`, Why: toyRate},

		{ID: "fixes.rate_128", In: fixes, Quote: "- Throughput: «101.0» req/s", Unit: "req/s", Ours: `ours("configmatrix/baseline_0.5b_128_2", "request_throughput_rps")`, Why: toyRate},
		{ID: "fixes.tokens_128", In: fixes, Quote: "- Tokens/sec: «10,100»", Unit: "tok/s", Own: "100 * fixes.rate_128", Ours: `ours("configmatrix/baseline_0.5b_128_2", "output_throughput_tok_s")`, Why: toyRate},
		{ID: "fixes.memory_128", In: fixes, Quote: "- GPU Memory: «2.0» GB", Unit: "GB", Ours: `ours("configmatrix/baseline_0.5b_128_2", "gpu_memory_gb")`, Why: reserves},
		{ID: "fixes.rate_256", In: fixes, Quote: "- Throughput: «164.1» req/s", Unit: "req/s", Ours: `ours("configmatrix/baseline_0.5b_256_2", "request_throughput_rps")`, Why: toyRate},
		{ID: "fixes.gain_256", In: fixes, Quote: "164.1 req/s (+«63»% vs baseline)", Unit: "%", Own: "100 * (fixes.tokens_256 / fixes.tokens_128 - 1)",
			Why: "16,407 ÷ 10,100 is 1.6245: +62 %"},
		{ID: "fixes.tokens_256", In: fixes, Quote: "- Tokens/sec: «16,407»", Unit: "tok/s", Own: "100 * fixes.rate_256", Ours: `ours("configmatrix/baseline_0.5b_256_2", "output_throughput_tok_s")`, Why: toyRate},
		{ID: "fixes.memory_256", In: fixes, Quote: "- GPU Memory: «4.0» GB", Unit: "GB", Own: "fixes.memory_128 * 256 / 128", Ours: `ours("configmatrix/baseline_0.5b_256_2", "gpu_memory_gb")`, Why: reserves},
		{ID: "fixes.rate_512", In: fixes, Quote: "- Throughput: «263.9» req/s", Unit: "req/s", Ours: `ours("configmatrix/baseline_0.5b_512_2", "request_throughput_rps")`, Why: toyRate},
		{ID: "fixes.gain_512", In: fixes, Quote: "263.9 req/s (+«161»% vs baseline)", Unit: "%", Own: "100 * (fixes.rate_512 / fixes.rate_128 - 1)",
			Ours: `100 * (ours("configmatrix/baseline_0.5b_512_2", "request_throughput_rps") / ours("configmatrix/baseline_0.5b_128_2", "request_throughput_rps") - 1)`, Why: saturated},
		{ID: "fixes.tokens_512", In: fixes, Quote: "- Tokens/sec: «26,390»", Unit: "tok/s", Own: "100 * fixes.rate_512", Ours: `ours("configmatrix/baseline_0.5b_512_2", "output_throughput_tok_s")`, Why: toyRate},
		{ID: "fixes.memory_512", In: fixes, Quote: "- GPU Memory: «8.0» GB", Unit: "GB", Own: "fixes.memory_128 * 512 / 128", Ours: `ours("configmatrix/baseline_0.5b_512_2", "gpu_memory_gb")`, Why: reserves},

		{ID: "fixes.rate_c4", In: fixes, Quote: "- **Concurrency 4**: «202.0» req/s", Unit: "req/s", Ours: `ours("configmatrix/concurrency_0.5b_128_4", "request_throughput_rps")`, Why: toyRate},
		{ID: "fixes.gain_c4", In: fixes, Quote: "202.0 req/s («2»x baseline)", Unit: "×", Own: "fixes.rate_c4 / fixes.rate_128",
			Ours: `ours("configmatrix/concurrency_0.5b_128_4", "request_throughput_rps") / ours("configmatrix/baseline_0.5b_128_2", "request_throughput_rps")`, Within: 0.1, Why: saturated},
		{ID: "fixes.rate_c8", In: fixes, Quote: "- **Concurrency 8**: «240.0» req/s", Unit: "req/s", Ours: `ours("configmatrix/concurrency_0.5b_128_8", "request_throughput_rps")`, Why: toyRate},
		{ID: "fixes.gain_c8", In: fixes, Quote: "240.0 req/s («2.4»x baseline)", Unit: "×", Own: "fixes.rate_c8 / fixes.rate_128",
			Ours: `ours("configmatrix/concurrency_0.5b_128_8", "request_throughput_rps") / ours("configmatrix/baseline_0.5b_128_2", "request_throughput_rps")`, Within: 0.1, Why: saturated},
		{ID: "fixes.rate_c16", In: fixes, Quote: "- **Concurrency 16**: «316.8» req/s", Unit: "req/s", Ours: `ours("configmatrix/concurrency_0.5b_128_16", "request_throughput_rps")`, Why: toyRate},
		{ID: "fixes.gain_c16", In: fixes, Quote: "316.8 req/s («3.1»x baseline)", Unit: "×", Own: "fixes.rate_c16 / fixes.rate_128",
			Ours: `ours("configmatrix/concurrency_0.5b_128_16", "request_throughput_rps") / ours("configmatrix/baseline_0.5b_128_2", "request_throughput_rps")`, Within: 0.1, Why: saturated},
		{ID: "fixes.linear", In: fixes, Quote: "**Finding:** «Linear» improvement with concurrency up to 16 workers", Says: "16 / 4", Exact: true, Unit: "× from 4 to 16 workers",
			Own: "fixes.rate_c16 / fixes.rate_c4", Why: "linear would be four times the rate for four times the workers"},
		{ID: "fixes.rate_7b", In: fixes, Quote: "- **7B Model**: «12.3» req/s", Unit: "req/s", Ours: `ours("configmatrix/large_7b_64_2", "request_throughput_rps")`, Why: toyRate},
		{ID: "fixes.rate_13b", In: fixes, Quote: "- **13B Model**: «3.75» req/s", Unit: "req/s", Own: "fixes.table_rate_13b", Ours: `ours("configmatrix/large_13b_32_2", "request_throughput_rps")`, Why: toyRate},
		{ID: "fixes.table_rate_13b", In: fixes, Quote: "| 8.0 req/s | «3.8» - 12.3 |", Unit: "req/s", Own: "fixes.rate_13b", Ours: `ours("configmatrix/large_13b_32_2", "request_throughput_rps")`, Why: toyRate},

		{ID: "fixes.volume_sla", In: fixes, Quote: "- **Request Volume:** «100,000» requests", Exact: true, Unit: "requests", Ours: `ours("configmatrix/sla_0.5b_256_4_100k", "requests")`, Within: 1e-9},
		{ID: "fixes.rate_sla", In: fixes, Quote: "- **Throughput:** «202.0» req/s (concurrency=4 baseline)", Unit: "req/s", Own: "fixes.rate_c4", Ours: `ours("configmatrix/sla_0.5b_256_4_100k", "request_throughput_rps")`, Why: toyRate},
		{ID: "fixes.hours_sla", In: fixes, Quote: "- **Estimated Time:** ~«0.1» hours (9.9 minutes)", Unit: "h", Own: "fixes.volume_sla / fixes.rate_sla / 3600",
			Why: "beside it, 9.9 minutes are 0.165 hours"},
		{ID: "fixes.minutes_sla", In: fixes, Quote: "- **Estimated Time:** ~0.1 hours («9.9» minutes)", Unit: "min", Own: "fixes.volume_sla / fixes.rate_sla / 60", Why: slackTime},
		{ID: "fixes.margin_sla", In: fixes, Quote: "- **Safety Margin:** «95.8»%", Unit: "%", Own: "100 * (1 - fixes.minutes_sla / 60 / 24)", Why: "even 9.9 minutes of 24 hours leave 99.3 %"},
	}
}
