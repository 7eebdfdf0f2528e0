package report

import (
	"fmt"
	"strings"
)

// latencyCDF draws how the times to the first token of the matrix's cases are distributed.
func (f *Facts) latencyCDF() *plot {
	var all []series
	for _, r := range f.present("configmatrix") {
		if r.Picture == nil || len(r.Picture.TTFTms) < 2 || !strings.Contains(r.Case, "_0.5b_") || len(all) == colours {
			continue
		}
		s := series{Name: r.Case}
		n := len(r.Picture.TTFTms) - 1
		for i, ms := range r.Picture.TTFTms {
			s.Points = append(s.Points, xy{ms, 100 * float64(i) / float64(n)})
		}
		all = append(all, s)
	}
	if all == nil {
		return nil
	}
	return draw("cdf", "Time to the first token, cumulated",
		"A curve further left starts answering sooner. A long flat end at the top is the tail: the last rows of a batch that waited for seats.",
		axis{Label: "time to first token, ms (logarithmic)", Log: true}, axis{Label: "share of requests, %", lo: 0, hi: 100, fixed: true}, all, nil, nil)
}

// overTime draws one figure of the engine's state over the time of each run.
func overTime(p plot, label string, rows []*Row, of func(running, waiting, usage float64) float64) *plot {
	var all []series
	for _, r := range rows {
		if r == nil || r.Picture == nil || len(r.Picture.Samples) < 2 || len(all) == colours {
			continue
		}
		s := series{Name: r.Case}
		for _, p := range r.Picture.Samples {
			s.Points = append(s.Points, xy{p.AtS, of(p.Running, p.Waiting, p.Usage)})
		}
		all = append(all, s)
	}
	if all == nil {
		return nil
	}
	return draw(p.ID, p.Title, p.Caption, axis{Label: "time since the first request, s"}, axis{Label: label}, all, nil, nil)
}

func (f *Facts) queues() *plot {
	return overTime(plot{ID: "queue", Title: "Requests waiting, over time",
		Caption: "Each hump is a burst that arrives faster than it is served. A queue that does not come back to zero is an overload."},
		"requests waiting", f.present("burstiness"), func(_, waiting, _ float64) float64 { return waiting })
}

func (f *Facts) usage() *plot {
	var rows []*Row
	for _, id := range []string{"kv_baseline_high", "kv_highfreq_200", "kv_longseq_8k", "kv_concurrent_64", "kv_concurrent_512", "kv_thrash"} {
		rows = append(rows, f.row("kvcache", id))
	}
	return overTime(plot{ID: "usage", Title: "KV-cache usage, over time",
		Caption: "At 100 % no block is free: vLLM then preempts and computes again. A healthy load stays well below."},
		"KV blocks in use, %", rows, func(_, _, usage float64) float64 { return 100 * usage })
}

// burstTimeline draws one burst with its phases: what arrives, what runs, what waits.
func (f *Facts) burstTimeline() *plot {
	r := f.row("burstiness", "burst_10x_spike")
	if r == nil || r.Picture == nil || len(r.Picture.Samples) < 2 {
		return nil
	}
	arrivals, waiting, running := series{Name: "arrivals a second"}, series{Name: "requests waiting"}, series{Name: "requests running"}
	end := 0.0
	for _, p := range r.Picture.Sends {
		arrivals.Points = append(arrivals.Points, xy{p.AtS, p.PerSecond})
	}
	for _, p := range r.Picture.Samples {
		waiting.Points = append(waiting.Points, xy{p.AtS, p.Waiting})
		running.Points = append(running.Points, xy{p.AtS, p.Running})
		end = max(end, p.AtS)
	}
	spans := []span{{0, min(30, end), "before"}, {min(30, end), min(35, end), "10×"}, {min(35, end), end, "after"}}
	return draw("burst", "A ten-fold burst of five seconds",
		"The queue grows while more arrives than is served and drains when arrivals fall; nothing is lost. How long the tail after the shaded burst is, is the recovery.",
		axis{Label: "time since the first request, s"}, axis{Label: "requests; requests a second"}, []series{arrivals, waiting, running}, spans, nil)
}

// memoryBars draws how each deployment's card divides, and the budget that gpu_memory_utilization sets.
func (f *Facts) memoryBars() *plot {
	names := []string{"weights", "activations", "CUDA graphs and other", "KV cache"}
	var bars []bar
	for _, suite := range []string{"configmatrix", "oom", "kvcache"} {
		seen := map[string]bool{}
		for _, r := range f.present(suite) {
			p := r.Plan
			key := fmt.Sprint(r.Model, r.GPU, p["activation_gib"], p["budget_gib"])
			if p == nil || seen[key] {
				continue
			}
			seen[key] = true
			bars = append(bars, bar{r.Case, []float64{p["weights_gib"], p["activation_gib"], p["non_torch_gib"] + p["cuda_graph_gib"], p["kv_cache_gib"]}, p["budget_gib"], p["gpu_total_gib"]})
		}
	}
	if bars == nil {
		return nil
	}
	p := stack("memory", "How the memory of a GPU divides",
		"vLLM takes the budget whatever the batch; what weights, activations and graphs leave of it becomes KV cache. A deployment without a bar for the cache would not start.",
		"memory of one GPU, GiB", names, bars)
	p.Caption += " The line across each bar is the budget, the outline the whole card. One bar stands for all cases whose memory divides alike."
	return p
}

// storageMatrix draws which model fits which GPU in which quantization.
func (f *Facts) storageMatrix() *plot {
	if len(f.present("storage")) == 0 {
		return nil
	}
	quants := []string{"fp32", "fp16", "int8", "int4"}
	var rows, keys []string
	for _, model := range []string{"0.5b", "7b", "13b"} {
		for _, gpu := range storageGPUs() {
			rows, keys = append(rows, model+" on "+gpu), append(keys, model+"_"+gpu)
		}
	}
	return matrix("storage", "Which model fits which GPU, by quantization",
		"Read along a row: the first column that says production is the least quantization that the card allows with room for 32 sequences of 2,048 tokens.",
		quants, rows, func(i, k int) square {
			r := f.row("storage", "storage_"+keys[i]+"_"+quants[k])
			switch {
			case r == nil:
				return square{"not run", 1}
			case strings.Contains(verdict(r), "not fit") || r.Failure != "":
				return square{"does not fit", 0}
			case strings.HasPrefix(verdict(r), "production"):
				return square{"production", 2}
			}
			return square{"tight", 1}
		})
}

// verdict is the word that a case's table has for it.
func verdict(r *Row) string { return r.Cells["verdict"] }

// pareto draws throughput against latency over the matrix; what nothing beats in both is joined.
func (f *Facts) pareto() *plot {
	var all []series
	for _, gpu := range []string{"a100-40gb-sxm", "h100-sxm"} {
		s := series{Name: gpu, Dots: true}
		for _, r := range f.present("configmatrix") {
			rate, ok1 := r.number("request_throughput_rps")
			late, ok2 := r.dist("e2el_ms", "p99")
			if r.GPU == gpu && ok1 && ok2 && strings.Contains(r.Case, "_0.5b_") {
				s.Points = append(s.Points, xy{late / 1000, rate})
				parts := strings.Split(r.Case, "_")
				s.Labels = append(s.Labels, parts[2]+", "+parts[3])
			}
		}
		if s.Points != nil {
			all = append(all, s)
		}
	}
	if all == nil {
		return nil
	}
	var front []xy
	for _, p := range all[0].Points {
		beaten := false
		for _, q := range all[0].Points {
			beaten = beaten || (q != p && q.x <= p.x && q.y >= p.y)
		}
		if !beaten {
			front = append(front, p)
		}
	}
	sortByX(front)
	all = append(all, series{Name: "front of " + all[0].Name + ": nothing is faster and sooner", Points: front})
	return draw("pareto", "Throughput against latency: the Pareto front",
		"Up is more requests a second, left is a sooner last token. Beyond the bend, more rows in flight buy little throughput for much latency. Labels: batch_size, concurrency.",
		axis{Label: "E2EL p99, s"}, axis{Label: "requests a second (not from zero)", Tight: true}, all, nil, nil)
}

// stalls draws the longest pause of the decodes against the size of the prompt's chunks.
func (f *Facts) stalls() *plot {
	chunks := []struct {
		strategy string
		tokens   float64
	}{{"small_chunk", 256}, {"medium_chunk", 512}, {"token_budget", 2048}, {"no_chunking", 16384}}
	var all []series
	for _, model := range []string{"0.5b", "7b"} {
		s := series{Name: "Qwen2.5 " + model + ", prompt of 8,192 tokens"}
		for _, c := range chunks {
			if ns, ok := f.figure("chunkedprefill", "prefill_"+model+"_8192_"+c.strategy, "longest-stall-ns"); ok {
				s.Points = append(s.Points, xy{c.tokens, ns / 1e6})
			}
		}
		if len(s.Points) > 1 {
			all = append(all, s)
		}
	}
	if all == nil {
		return nil
	}
	return draw("stall", "What a long prompt does to those who decode",
		"Each step computes at most this many tokens. The larger the budget, the longer the 32 decodes stand still while the prompt is computed; without chunks, for all of it.",
		axis{Label: "max_num_batched_tokens (logarithmic)", Log: true}, axis{Label: "longest stall between two tokens, ms (logarithmic)", Log: true}, all, nil, nil)
}

// modelError draws predictions against measured runs.
func (f *Facts) modelError() *plot {
	if f.Serving == nil {
		return nil
	}
	fitted, held := series{Name: "a run for calibration", Dots: true}, series{Name: "a run that nothing was fitted on", Dots: true}
	var all []xy
	for _, c := range f.Serving.PerCase {
		p := xy{c.Measured.OutputThroughput, c.Predicted.OutputThroughput}
		switch {
		case p.x <= 0 || p.y <= 0:
			continue
		case c.Role == "validation":
			held.Points = append(held.Points, p)
		default:
			fitted.Points = append(fitted.Points, p)
		}
		all = append(all, p)
	}
	if len(all) < 2 {
		return nil
	}
	lo, hi := all[0].x, all[0].x
	for _, p := range all {
		lo, hi = min(lo, p.x), max(hi, p.x)
	}
	exact := series{Name: "exact", Points: []xy{{lo, lo}, {hi, hi}}}
	high := series{Name: "25 % off", Points: []xy{{lo, 1.25 * lo}, {hi, 1.25 * hi}}}
	low := series{Name: "25 % off", Points: []xy{{lo, 0.75 * lo}, {hi, 0.75 * hi}}}
	return draw("error", "The model against real runs",
		"Each dot is a run of a real vLLM on an H100, replayed by the simulator. On the line the prediction is exact; dots between the outer lines are less than 25 % off.",
		axis{Label: "measured output tokens a second (logarithmic)", Log: true}, axis{Label: "predicted (logarithmic)", Log: true}, []series{fitted, held, exact, high, low}, nil, nil)
}

// pictures are all that can be drawn of these results.
func (f *Facts) pictures() map[string]*plot {
	return map[string]*plot{"cdf": f.latencyCDF(), "queue": f.queues(), "usage": f.usage(), "burst": f.burstTimeline(),
		"memory": f.memoryBars(), "storage": f.storageMatrix(), "pareto": f.pareto(), "stall": f.stalls(), "error": f.modelError()}
}
