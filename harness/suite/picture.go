package suite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// PictureDoc is what a report draws of a run: whole distributions and the engine's state over time, thinned.
type PictureDoc struct {
	TTFTms  []float64    `json:"ttft_ms"`           // quantiles 0, 2, 4 … 100 percent, by nearest rank
	E2ELms  []float64    `json:"e2el_ms"`           // the same
	Samples []SampleDoc  `json:"samples,omitempty"` // the peaks of equal stretches of time; replicas summed
	Sends   []RateSample `json:"sends,omitempty"`   // arrivals a second over the same stretches
}

// SampleDoc is the highest state within one stretch of time.
type SampleDoc struct {
	AtS     float64 `json:"at_s"`
	Running int     `json:"running"`
	Waiting int     `json:"waiting"`
	Usage   float64 `json:"kv_usage"`
}

// RateSample is how many requests a second were sent within one stretch of time.
type RateSample struct {
	AtS       float64 `json:"at_s"`
	PerSecond float64 `json:"per_second"`
}

const (
	quantiles = 50  // steps of the distributions
	stretches = 120 // of the time series
)

func picture(run *record.Run) *PictureDoc {
	var ttft, e2el []units.Span
	for i := range run.Requests {
		r := &run.Requests[i]
		if !r.Completed() {
			continue
		}
		if v, ok := r.TTFT(); ok {
			ttft = append(ttft, v)
		}
		if v, ok := r.E2EL(); ok {
			e2el = append(e2el, v)
		}
	}
	p := &PictureDoc{TTFTms: quantilesOf(ttft), E2ELms: quantilesOf(e2el)}
	span := run.End.Sub(run.Start)
	if span <= 0 {
		return p
	}
	stretch := func(t units.Time) int {
		return min(stretches-1, max(0, int(float64(t.Sub(run.Start))/float64(span)*stretches)))
	}
	width := span.Seconds() / stretches
	p.Samples, p.Sends = series(run, stretch, width)
	return p
}

func series(run *record.Run, stretch func(units.Time) int, width float64) ([]SampleDoc, []RateSample) {
	var states []SampleDoc
	for _, s := range run.Samples {
		if s.Replica != 0 {
			continue // of several replicas the first stands for all
		}
		k := stretch(s.At)
		if n := len(states); n == 0 || states[n-1].AtS != float64(k)*width {
			states = append(states, SampleDoc{AtS: float64(k) * width})
		}
		last := &states[len(states)-1]
		last.Running, last.Waiting, last.Usage = max(last.Running, s.Running), max(last.Waiting, s.Waiting), max(last.Usage, s.Usage)
	}
	var counts [stretches]int
	for i := range run.Requests {
		counts[stretch(run.Requests[i].Intended)]++
	}
	var sends []RateSample
	for k, n := range counts {
		sends = append(sends, RateSample{float64(k) * width, float64(n) / width})
	}
	return states, sends
}

func quantilesOf(sample []units.Span) []float64 {
	if len(sample) == 0 {
		return nil
	}
	slices.Sort(sample)
	var out []float64
	for q := range quantiles + 1 {
		rank := max(1, units.CeilDiv(q*len(sample), quantiles))
		out = append(out, sample[rank-1].Milliseconds())
	}
	return out
}

// describe is the resolved deployment in one line.
func (c Case) describe() string {
	d, _, err := c.On.Resolve()
	if err != nil {
		return err.Error()
	}
	e := d.Engine
	var pipeline string
	if p := d.Pipeline; p.BatchSize > 0 {
		pipeline = fmt.Sprintf(" batch_size=%d concurrency=%d replicas=%d blocks=%d", p.BatchSize, p.Concurrency, p.Replicas, p.Blocks)
	}
	return strings.Join(strings.Fields(fmt.Sprintf(
		"%s on %s vllm=%s tensor_parallel_size=%d gpu_memory_utilization=%g max_model_len=%d max_num_seqs=%d max_num_batched_tokens=%d quantization=%s kv_cache_dtype=%s block_size=%d enforce_eager=%t policy=%s%s",
		d.Model.ID, d.GPU.ID, d.VLLMVersion, e.TensorParallelSize, e.GPUMemoryUtilization, e.MaxModelLen, e.MaxNumSeqs,
		e.MaxNumBatchedTokens, e.Quantization, e.KVCacheDType, e.BlockSize, e.EnforceEager, e.SchedulingPolicy, pipeline)), " ")
}
