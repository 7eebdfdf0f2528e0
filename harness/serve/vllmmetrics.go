package serve

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/serve/pydantic"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// exposeMetrics is the text of /metrics: the families of vLLM 0.32 in its order.
func (s *Server) exposeMetrics() []byte {
	x := &exposition{b: make([]byte, 0, 64<<10), created: unixSeconds(s.started)}
	x.process(s.started)
	engines := make([]engineView, len(s.replicas))
	for i, r := range s.replicas {
		engines[i] = r.view(strconv.Itoa(i), s.name(r))
	}
	x.engines(engines, s)
	s.http.write(x)
	return x.b
}

// An engineView is a replica as one scrape sees it.
type engineView struct {
	label, model string
	gauge        engine.Gauge
	m            engineMetrics
	config       string
}

func (r *replica) view(label, model string) engineView {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.dead {
		r.advance(r.server.now())
	}
	v := engineView{label: label, model: model, gauge: r.engine.Gauge(), m: r.metrics, config: r.cacheConfig(label)}
	for _, h := range v.m.histograms() {
		h.counts = append([]uint64(nil), h.counts...)
	}
	return v
}

func (m *engineMetrics) histograms() []*histogram {
	return []*histogram{
		&m.promptLen, &m.generatedLen, &m.iteration, &m.maxGenerated, &m.n, &m.maxTokens, &m.ttft, &m.itl, &m.perToken,
		&m.e2e, &m.queue, &m.inference, &m.prefill, &m.decode, &m.requestPreempted, &m.prefix,
	}
}

// labels are the engine's own with one more, by the alphabet before or behind them.
func (v *engineView) labels(extra string) string {
	own := `engine="` + v.label + `"`
	model := `model_name="` + escapeLabel(v.model) + `"`
	switch {
	case extra == "":
		return own + "," + model
	case extra < "model_name":
		return own + "," + extra + "," + model
	}
	return own + "," + model + "," + extra
}

func escapeLabel(s string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(s)
}

// each makes the series of a family: for every engine one for every extra label.
func each(engines []engineView, value func(v *engineView, i int) float64, extras ...string) (all []series) {
	if len(extras) == 0 {
		extras = []string{""}
	}
	for e := range engines {
		for i, extra := range extras {
			all = append(all, series{labels: engines[e].labels(extra), value: value(&engines[e], i)})
		}
	}
	return all
}

func zero(*engineView, int) float64 { return 0 }

func (x *exposition) engines(e []engineView, s *Server) {
	const mfu = " (for Model Flops Utilization calculations)."
	x.counter("vllm:estimated_flops_per_gpu", "Estimated number of floating point operations per GPU"+mfu, each(e, zero)...)
	x.counter("vllm:estimated_read_bytes_per_gpu", "Estimated number of bytes read from memory per GPU"+mfu, each(e, zero)...)
	x.counter("vllm:estimated_write_bytes_per_gpu", "Estimated number of bytes written to memory per GPU"+mfu, each(e, zero)...)
	x.gauges(e)
	x.counter("vllm:prefix_cache_queries", "Prefix cache queries, in terms of number of queried tokens.", each(e, func(v *engineView, _ int) float64 { return float64(v.gauge.Queries) })...)
	x.counter("vllm:prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens.", each(e, func(v *engineView, _ int) float64 { return float64(v.gauge.Hits) })...)
	const external = " from KV connector cross-instance cache sharing, in terms of number of "
	x.counter("vllm:external_prefix_cache_queries", "External prefix cache queries"+external+"queried tokens.", each(e, zero)...)
	x.counter("vllm:external_prefix_cache_hits", "External prefix cache hits"+external+"cached tokens.", each(e, zero)...)
	x.counter("vllm:mm_cache_queries", "Multi-modal cache queries, in terms of number of queried items.", each(e, zero)...)
	x.counter("vllm:mm_cache_hits", "Multi-modal cache hits, in terms of number of cached items.", each(e, zero)...)
	x.counter("vllm:num_preemptions", "Cumulative number of preemption from the engine.", each(e, func(v *engineView, _ int) float64 { return float64(v.m.preemptions) })...)
	x.tokenCounters(e)
	x.counter("vllm:request_success", "Count of successfully processed requests.", each(e, func(v *engineView, i int) float64 {
		if i < 3 {
			return float64(v.m.ends[int(stopped)+i])
		}
		return 0
	}, quoted("finished_reason", "stop", "length", "abort", "error", "repetition")...)...)
	model := `model_name="` + escapeLabel(e[0].model) + `",reason="`
	x.counter("vllm:admission_rejections", "Number of admission attempts rejected by a queue limit, by reason.",
		series{labels: model + `max_num_queued_reqs"`, value: float64(s.rejectedRequests.Load())},
		series{labels: model + `max_num_queued_tokens"`, value: float64(s.rejectedTokens.Load())})
	x.histograms(e)
	x.head("vllm:cache_config_info", "gauge", "Information of the LLMEngine CacheConfig")
	for i := range e {
		x.sample("vllm:cache_config_info", e[i].config, 1)
	}
}

// quoted are the labels name="value" for each value.
func quoted(name string, values ...string) []string {
	labels := make([]string, len(values))
	for i, v := range values {
		labels[i] = name + `="` + v + `"`
	}
	return labels
}

func (x *exposition) gauges(e []engineView) {
	waiting := func(v *engineView, i int) float64 {
		if i > 0 {
			return 0
		}
		return float64(v.gauge.Waiting.Now)
	}
	x.gauge("vllm:num_requests_running", "Number of requests in model execution batches.", each(e, func(v *engineView, _ int) float64 { return float64(v.gauge.Running.Now) })...)
	x.gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.", each(e, waiting)...)
	x.gauge("vllm:num_requests_waiting_by_reason", "Number of waiting requests by reason. Reason labels: 'capacity' = waiting for scheduling capacity; 'deferred' = deferred by transient constraints (LoRA budget, KV transfer, blocked status). Sum of all reasons equals vllm:num_requests_waiting.",
		each(e, waiting, quoted("reason", "capacity", "deferred")...)...)
	x.gauge("vllm:engine_sleep_state", "Engine sleep state; awake = 0 means engine is sleeping; awake = 1 means engine is awake; weights_offloaded = 1 means sleep level 1; discard_all = 1 means sleep level 2.",
		each(e, func(_ *engineView, i int) float64 {
			if i == 0 {
				return 1
			}
			return 0
		}, quoted("sleep_state", "awake", "weights_offloaded", "discard_all")...)...)
	x.gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", each(e, func(v *engineView, _ int) float64 {
		return 1 - float64(v.gauge.Total-units.Blocks(v.gauge.Used.Now))/float64(v.gauge.Total) // rounds as vLLM's does
	})...)
}

func (x *exposition) tokenCounters(e []engineView) {
	cached := func(v *engineView, i int) float64 {
		if i > 0 {
			return 0
		}
		return float64(v.m.cached)
	}
	x.counter("vllm:prompt_tokens", "Number of prefill tokens processed.", each(e, func(v *engineView, _ int) float64 { return float64(v.m.promptTokens) })...)
	x.counter("vllm:prompt_tokens_by_source", "Number of prompt tokens by source.", each(e, func(v *engineView, i int) float64 {
		return [...]float64{float64(v.m.promptTokens - v.m.cached), float64(v.m.cached), 0}[i]
	}, quoted("source", "local_compute", "local_cache_hit", "external_kv_transfer")...)...)
	x.counter("vllm:prompt_tokens_cached", "Number of cached prompt tokens (local + external).", each(e, cached)...)
	x.counter("vllm:prompt_tokens_cached_by_source", "Prefix-cache hit tokens by the cache tier that supplied them: device (local HBM), host (offloaded to DRAM), disk, p2p (transferred from another vLLM instance) or external_unspecified. Counted at admission; sums to vllm:prefix_cache_hits + vllm:external_prefix_cache_hits.",
		each(e, cached, quoted("source", "device", "host", "p2p", "disk", "external_unspecified")...)...)
	x.counter("vllm:generation_tokens", "Number of generation tokens processed.", each(e, func(v *engineView, _ int) float64 { return float64(v.m.generated) })...)
}

func (x *exposition) histograms(e []engineView) {
	for _, f := range []struct {
		name, help string
		of         func(*engineMetrics) *histogram
	}{
		{"request_prompt_tokens", "Number of prefill tokens processed.", func(m *engineMetrics) *histogram { return &m.promptLen }},
		{"request_generation_tokens", "Number of generation tokens processed.", func(m *engineMetrics) *histogram { return &m.generatedLen }},
		{"iteration_tokens_total", "Histogram of number of tokens per engine_step.", func(m *engineMetrics) *histogram { return &m.iteration }},
		{"request_max_num_generation_tokens", "Histogram of maximum number of requested generation tokens.", func(m *engineMetrics) *histogram { return &m.maxGenerated }},
		{"request_params_n", "Histogram of the n request parameter.", func(m *engineMetrics) *histogram { return &m.n }},
		{"request_params_max_tokens", "Histogram of the max_tokens request parameter.", func(m *engineMetrics) *histogram { return &m.maxTokens }},
		{"time_to_first_token_seconds", "Histogram of time to first token in seconds.", func(m *engineMetrics) *histogram { return &m.ttft }},
		{"inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", func(m *engineMetrics) *histogram { return &m.itl }},
		{"request_time_per_output_token_seconds", "Histogram of time_per_output_token_seconds per request.", func(m *engineMetrics) *histogram { return &m.perToken }},
		{"e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", func(m *engineMetrics) *histogram { return &m.e2e }},
		{"request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", func(m *engineMetrics) *histogram { return &m.queue }},
		{"request_inference_time_seconds", "Histogram of time spent in RUNNING phase for request.", func(m *engineMetrics) *histogram { return &m.inference }},
		{"request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.", func(m *engineMetrics) *histogram { return &m.prefill }},
		{"request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.", func(m *engineMetrics) *histogram { return &m.decode }},
		{"request_num_preemptions", "Histogram of the number of times a request was preempted.", func(m *engineMetrics) *histogram { return &m.requestPreempted }},
		{"request_prefill_kv_computed_tokens", "Histogram of new KV tokens computed during prefill (excluding cached tokens).", func(m *engineMetrics) *histogram { return &m.prefix }},
	} {
		var all []histogramSeries
		for i := range e {
			all = append(all, histogramSeries{before: `engine="` + e[i].label + `"`, after: `model_name="` + escapeLabel(e[i].model) + `"`, h: f.of(&e[i].m)})
		}
		x.histogram("vllm:"+f.name, f.help, all...)
	}
}

// cacheConfig are the labels of vllm:cache_config_info.
func (r *replica) cacheConfig(label string) string {
	e := &r.deployment.Engine
	blocks := int(r.engine.Gauge().Total) + 1
	perRequest := units.CeilDiv(e.MaxModelLen, e.BlockSize)
	memory, override := "None", "None"
	if e.KVCacheMemoryBytes > 0 {
		memory = strconv.FormatInt(int64(e.KVCacheMemoryBytes), 10)
	}
	if e.NumGPUBlocksOverride > 0 {
		override = strconv.Itoa(e.NumGPUBlocksOverride)
	}
	size := strconv.Itoa(e.BlockSize)
	return fmt.Sprintf(`_block_size_resolved="True",block_size="%s",cache_dtype="%s",cache_hit_alignment_tokens="None",effective_attention_block_size="%s",`+
		`enable_mamba_shared_prefix_checkpoint="False",enable_prefix_caching="%s",engine="%s",gpu_memory_utilization="%s",hash_block_size="None",`+
		`is_attention_free="False",kv_cache_dtype_skip_layers="[]",kv_cache_layout="None",kv_cache_max_concurrency="%s",kv_cache_memory_bytes="%s",`+
		`kv_cache_size_tokens="%d",kv_offloading_backend="native",kv_offloading_size="None",kv_sharing_fast_prefill="False",mamba_block_size="None",`+
		`mamba_cache_dtype="auto",mamba_cache_mode="none",mamba_page_size_padded="None",mamba_ssm_cache_dtype="float32",num_cpu_blocks="None",`+
		`num_gpu_blocks="%d",num_gpu_blocks_override="%s",prefix_cache_retention_interval="0",prefix_caching_hash_algo="sha256",prefix_match_unit="None",`+
		`replayssm_buffer_len="16",skip_page_size_padded="None",sliding_window="None",swa_bounded_replay="True",use_kda_recoverssm="False",`+
		`use_replayssm="False",user_specified_block_size="%s"`,
		size, orAuto(e.KVCacheDType), size, pythonBool(on(e.EnablePrefixCaching)), label, pydantic.Float(e.GPUMemoryUtilization),
		pydantic.Float(float64(blocks)/float64(perRequest)), memory, blocks*e.BlockSize, blocks, override, pythonBool(r.blockSizeGiven))
}

func orAuto(s string) string {
	if s == "" {
		return "auto"
	}
	return s
}

func pythonBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

func on(b *bool) bool { return b != nil && *b }

// process writes the families of Python's client library, with this process's figures where it has such.
func (x *exposition) process(started time.Time) {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	generations := quoted("generation", "0", "1", "2")
	for _, f := range []struct{ name, help string }{
		{"python_gc_objects_collected_total", "Objects collected during gc"},
		{"python_gc_objects_uncollectable_total", "Uncollectable objects found during GC"},
		{"python_gc_collections_total", "Number of times this generation was collected"},
	} {
		x.head(f.name, "counter", f.help)
		for _, g := range generations {
			x.sample(f.name, g, 0)
		}
	}
	x.head("python_info", "gauge", "Python platform information")
	x.sample("python_info", `implementation="CPython",major="3",minor="11",patchlevel="7",version="3.11.7"`, 1)
	for _, f := range []struct {
		name, kind, help string
		value            float64
	}{
		{"process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", float64(mem.Sys)},
		{"process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", float64(mem.Sys - mem.HeapReleased)},
		{"process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.", math.Round(unixSeconds(started)*100) / 100},
		{"process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", cpuSeconds()},
		{"process_open_fds", "gauge", "Number of open file descriptors.", openFiles()},
		{"process_max_fds", "gauge", "Maximum number of open file descriptors.", maxFiles()},
	} {
		x.head(f.name, f.kind, f.help)
		x.sample(f.name, "", f.value)
	}
}

func openFiles() float64 {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return float64(len(entries))
}
