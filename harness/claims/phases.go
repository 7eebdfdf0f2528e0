package claims

const (
	sixteenBit = "quantization shrinks the linear layers; embeddings and lm_head stay 16-bit, and group scales are added"
	lonePrompt = "a lone prompt costs the same work in more steps: chunking cannot make it faster, it spares those who decode beside it"
	cardShare  = "vLLM fills its share of the card with KV cache; what a load needs is weights, activations, graphs and its own KV"
)

// indexPhases are the claims of the second report about phases 4 to 6.
func indexPhases() []Claim {
	return []Claim{
		{ID: "index.n_kv", In: index, Quote: "### Phase 4: KV Cache Stress Testing («11» tests)", Exact: true, Unit: "tests", Own: "3 + 3 + 2 + 2 + 1"},
		{ID: "index.kv_passed", In: index, Quote: "- Total: 11/11 tests («6» passed, 5 expected extreme failures)", Exact: true, Unit: "tests", Own: "index.n_kv - index.kv_failed", Ours: `count("kvcache", "within_limits")`, Within: 1e-9, Why: "our engine breaks other limits"},
		{ID: "index.kv_failed", In: index, Quote: "- Total: 11/11 tests (6 passed, «5» expected extreme failures)", Exact: true, Unit: "tests", Own: "index.n_kv - index.kv_passed", Ours: `count("kvcache", "breached")`, Within: 1e-9, Why: "our engine breaks other limits"},
		{ID: "index.kv_window", In: index, Quote: "- Safe operating window: <«60»% utilization", Exact: true, Rel: Below, Unit: "%", Ours: `100 * most("kvcache", "usage_without_preemption")`,
			Why: "vLLM preempts when no block is free, not at 60 %: cases with a higher peak ran without one preemption"},
		{ID: "index.kv_hits", In: index, Quote: "- KV cache hit rate: >«90»% (optimal)", Exact: true, Rel: AtLeast, Unit: "%", Ours: `100 * least("kvcache", "hit_rate_of_passing")`,
			Why: "a share of the prompt that is unique can never hit"},
		{ID: "index.kv_thrash", In: index, Quote: "Beyond «60»% utilization, cache thrashing occurs", Exact: true, Rel: AtMost, Unit: "%", Ours: `100 * most("kvcache", "usage_without_preemption")`,
			Why: "vLLM preempts when no block is free, not at 60 %: cases with a higher peak ran without one preemption"},
		{ID: "index.kv_batch", In: index, Quote: "Recommend batch_size ≤ «4» for seq_len > 2048", Exact: true, Unit: "sequences", Ours: `ours("kvcache/kv_baseline_low", "largest_safe_batch_4096")`,
			Why: "a bound of usage 60 % allows more sequences of 4,096 tokens on this card"},

		{ID: "index.n_storage", In: index, Quote: "### Phase 5: Model Weight Storage Analysis («60» tests)", Exact: true, Unit: "tests", Own: "index.storage_models * index.storage_gpus * index.storage_quants", Ours: `count("storage", "case")`, Within: 1e-9},
		{ID: "index.storage_models", In: index, Quote: "- Models: «3» (0.5B, 7B, 13B parameters)", Exact: true, Unit: "models", Own: "1 + 1 + 1"},
		{ID: "index.storage_gpus", In: index, Quote: "- GPUs: «5» (RTX 3090, A100 40GB, H100 80GB, RTX 4090, L40)", Exact: true, Unit: "GPUs", Own: "1 + 1 + 1 + 1 + 1"},
		{ID: "index.storage_quants", In: index, Quote: "- Quantization: «4» (FP32, FP16, INT8, INT4)", Exact: true, Unit: "formats", Own: "1 + 1 + 1 + 1"},
		{ID: "index.storage_fit", In: index, Quote: "- Total: 60/60 tests («29» fit, 31 don't fit)", Exact: true, Unit: "tests", Own: "index.n_storage - index.storage_unfit", Ours: `count("storage", "fits")`, Within: 1e-9,
			Why: "one overhead for all was added to the weights; vLLM's activations, graphs and the load's KV are smaller"},
		{ID: "index.storage_unfit", In: index, Quote: "- Total: 60/60 tests (29 fit, «31» don't fit)", Exact: true, Unit: "tests", Own: "index.n_storage - index.storage_fit", Ours: `60 - count("storage", "fits")`, Within: 1e-9,
			Why: "one overhead for all was added to the weights; vLLM's activations, graphs and the load's KV are smaller"},
		{ID: "index.storage_success", In: index, Quote: "- Success rate: «48.3»%", Unit: "%", Own: "100 * index.storage_fit / index.n_storage", Ours: `100 * count("storage", "fits") / 60`, Within: 0.01,
			Why: "more combinations fit"},
		{ID: "index.share_13b", In: index, Quote: "13B (H100 + INT4 only at «82»% utilization)", Unit: "%", Own: "100 * (13 * 0.5 + index.storage_overhead) / 80",
			Why: "13B at half a byte is 6.5 GB; with the stated overhead of 21.8 GB that is 35 % of 80 GB"},
		{ID: "index.storage_saving", In: index, Quote: "(FP32 → INT4) saves «87.5»% storage", Unit: "%", Own: "100 * (1 - 4 / 32)", Ours: `100 * (1 - ours("storage/storage_7b_h100_80gb_int4", "weights_gib") / ours("storage/storage_7b_h100_80gb_fp32", "weights_gib"))`, Within: 0.01, Why: sixteenBit},
		{ID: "index.storage_overhead", In: index, Quote: "activation + KV cache overhead («21.8»GB) dominates", Unit: "GB", Ours: `1.073741824 * ours("storage/storage_7b_h100_80gb_int4", "overhead_gib")`,
			Why: "the load of 32 sequences of 2,048 tokens needs less: Qwen2.5 has 4 KV heads, not 28"},
		{ID: "index.storage_int4_mandatory", In: index, Quote: "INT4 quantization mandatory for «7»B+", Exact: true, Says: "0", Unit: "combinations of 7B that fit in FP16", Ours: `ours("storage/storage_7b_a100_40gb_fp16", "fits") + ours("storage/storage_7b_h100_80gb_fp16", "fits")`, Within: 1e-9,
			Why: "7B in 16 bits fits cards of 40 and 80 GB with the whole load"},

		{ID: "index.n_prefill", In: index, Quote: "### Phase 6: Chunked Prefill Tests («30» tests)", Exact: true, Unit: "tests", Own: "index.prefill_models * index.prefill_lengths * index.prefill_strategies", Ours: `count("chunkedprefill", "case")`, Within: 1e-9},
		{ID: "index.prefill_models", In: index, Quote: "- Models: «2» (0.5B, 7B parameters)", Exact: true, Unit: "models", Own: "1 + 1"},
		{ID: "index.prefill_lengths", In: index, Quote: "- Prompt lengths: «3» (512, 2048, 8192 tokens)", Exact: true, Unit: "lengths", Own: "1 + 1 + 1"},
		{ID: "index.prefill_strategies", In: index, Quote: "- Chunking strategies: «5» (no_chunking", Exact: true, Unit: "strategies", Own: "1 + 1 + 1 + 1 + 1"},
		{ID: "index.prefill_passed", In: index, Quote: "- Total: «30»/30 tests passed", Exact: true, Unit: "tests", Ours: `count("chunkedprefill", "kept")`, Within: 1e-9, Why: "a case breaks its promise"},
		{ID: "index.prefill_faster", In: index, Quote: "- Latency reduction vs no chunking: «21.9»% (small chunks)", Unit: "%", Why: lonePrompt, Within: 0.25,
			Ours: `100 * (1 - ours("chunkedprefill/prefill_7b_8192_small_chunk", "isolated_ttft_ms") / ours("chunkedprefill/prefill_7b_8192_no_chunking", "isolated_ttft_ms"))`},
		{ID: "index.prefill_memory", In: index, Quote: "- Memory reduction: «20»-26x (critical for batching)", Rel: AtLeast, Unit: "×", Own: "index.prefill_memory_from / index.prefill_memory_to",
			Ours: `ours("chunkedprefill/prefill_7b_8192_no_chunking", "activation_gib") / ours("chunkedprefill/prefill_7b_8192_small_chunk", "activation_gib")`,
			Why:  "the peak activation has a part that does not shrink with the chunk: logits and the sampler's buffers"},
		{ID: "index.prefill_memory_high", In: index, Quote: "- Memory reduction: 20-«26»x (critical for batching)", Rel: AtMost, Unit: "×", Own: "index.prefill_memory_from / index.prefill_memory_to"},
		{ID: "index.prefill_rate", In: index, Quote: "- Throughput impact: +«36»% (small chunks vs no chunking)", Unit: "%",
			Ours: `100 * (ours("chunkedprefill/prefill_7b_8192_small_chunk", "mixed_total_tok_s") / ours("chunkedprefill/prefill_7b_8192_no_chunking", "mixed_total_tok_s") - 1)`,
			Why:  "the same tokens are computed whatever the chunk: the budget moves when, and hardly how much"},
		{ID: "index.prefill_upto", In: index, Quote: "It reduces prefill latency by up to «46»% for large prompts", Unit: "%", Own: "100 * (1 - 1 / index.prefill_speedup)",
			Why: "a prompt that is 3.03 times faster, as the same document says below, takes 67 % less"},
		{ID: "index.prefill_peak", In: index, Quote: "reducing peak memory from «4»GB to <1GB", Unit: "GB", Own: "index.prefill_memory_from", Ours: `1.073741824 * ours("chunkedprefill/prefill_7b_8192_no_chunking", "activation_gib")`, Why: "vLLM profiles the step of max_num_batched_tokens; its peak is smaller"},
		{ID: "index.prefill_peak_to", In: index, Quote: "reducing peak memory from 4GB to <«1»GB", Rel: Below, Exact: true, Unit: "GB", Own: "index.prefill_memory_to", Ours: `1.073741824 * ours("chunkedprefill/prefill_7b_8192_medium_chunk", "activation_gib")`, Why: "logits and the sampler's buffers stay"},

		{ID: "index.summary_saving", In: index, Quote: "- **Model Weight Reduction (INT4):** «87.5»% vs FP32", Unit: "%", Own: "100 * (1 - 4 / 32)", Ours: `100 * (1 - ours("storage/storage_7b_h100_80gb_int4", "weights_gib") / ours("storage/storage_7b_h100_80gb_fp32", "weights_gib"))`, Within: 0.01, Why: sixteenBit},
		{ID: "index.summary_7b", In: index, Quote: "- **7B Requirement:** H100 + INT4 («59»% utilization)", Unit: "%", Own: "100 * (7 * 0.5 + index.storage_overhead) / 80",
			Why: "7B at half a byte is 3.5 GB; with the stated overhead of 21.8 GB that is 32 % of 80 GB"},
		{ID: "index.summary_13b", In: index, Quote: "- **13B Not Recommended:** H100 only («82»% utilization max)", Unit: "%", Own: "100 * (13 * 0.5 + index.storage_overhead) / 80",
			Why: "13B at half a byte is 6.5 GB; with the stated overhead of 21.8 GB that is 35 % of 80 GB"},
		{ID: "index.summary_05b", In: index, Quote: "RTX3090 for 0.5B («51»% utilization INT4)", Unit: "%", Ours: `100 * ours("storage/storage_0.5b_rtx3090_int4", "load_share")`, Why: cardShare},
		{ID: "index.summary_faster", In: index, Quote: "- **Chunked Prefill Latency Reduction:** «21.9»% vs no chunking", Unit: "%", Own: "index.prefill_faster", Why: lonePrompt,
			Ours: `100 * (1 - ours("chunkedprefill/prefill_7b_8192_small_chunk", "isolated_ttft_ms") / ours("chunkedprefill/prefill_7b_8192_no_chunking", "isolated_ttft_ms"))`},
		{ID: "index.prefill_speedup", In: index, Quote: "- **Large Prompt Speedup:** «3.03»x for 8K tokens (0.5B)", Unit: "×", Why: lonePrompt,
			Ours: `ours("chunkedprefill/prefill_0.5b_8192_no_chunking", "isolated_ttft_ms") / ours("chunkedprefill/prefill_0.5b_8192_small_chunk", "isolated_ttft_ms")`},
		{ID: "index.prefill_memory_from", In: index, Quote: "- **Memory Reduction:** 20-26x («4»GB to 0.16GB)", Exact: true, Unit: "GB", Own: "index.prefill_peak"},
		{ID: "index.prefill_memory_to", In: index, Quote: "- **Memory Reduction:** 20-26x (4GB to «0.16»GB)", Unit: "GB", Ours: `1.073741824 * ours("chunkedprefill/prefill_0.5b_8192_small_chunk", "activation_gib")`, Why: "logits and the sampler's buffers stay"},
		{ID: "index.summary_rate", In: index, Quote: "- **Throughput Improvement:** +«36»% with chunking", Unit: "%", Own: "index.prefill_rate", Why: "the same tokens are computed whatever the chunk: the budget moves when, and hardly how much",
			Ours: `100 * (ours("chunkedprefill/prefill_7b_8192_small_chunk", "mixed_total_tok_s") / ours("chunkedprefill/prefill_7b_8192_no_chunking", "mixed_total_tok_s") - 1)`},
	}
}
