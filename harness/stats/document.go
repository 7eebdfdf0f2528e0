package stats

import "github.com/testing-symbiote/symbiote/harness/units"

// Document is the JSON that `simulate` and `load` print: the same keys for a simulated and for a measured run.
type Document struct {
	Requests             int      `json:"requests"`
	Completed            int      `json:"completed"`
	Failed               int      `json:"failed"`
	DurationS            float64  `json:"duration_s"`
	RequestThroughputRPS float64  `json:"request_throughput_rps"`
	OutputThroughput     float64  `json:"output_throughput_tok_s"`
	TotalThroughput      float64  `json:"total_throughput_tok_s"`
	TTFT                 Dist     `json:"ttft_ms"`
	TPOT                 Dist     `json:"tpot_ms"`
	ITL                  Dist     `json:"itl_ms"`
	E2EL                 Dist     `json:"e2el_ms"`
	Queue                Dist     `json:"queue_ms"`
	Preemptions          int      `json:"preemptions"`
	PrefixHitRate        float64  `json:"prefix_hit_rate"`
	KVUsagePeak          float64  `json:"kv_usage_peak"`
	RunningMean          float64  `json:"running_mean"`
	RunningPeak          int      `json:"running_peak"`
	WaitingPeak          int      `json:"waiting_peak"`
	Steps                int      `json:"steps"`
	NumGPUBlocks         int      `json:"num_gpu_blocks"`
	GoodputRPS           float64  `json:"goodput_rps"`
	WallS                float64  `json:"wall_s"`
	Seed                 uint64   `json:"seed"`
	Warnings             []string `json:"warnings"`
}

// Document fills in what a summary knows; goodput, wall time and seed are the caller's.
func (s Summary) Document() Document {
	warnings := s.Warnings
	if warnings == nil {
		warnings = []string{}
	}
	return Document{
		Requests: s.Requests, Completed: s.Completed, Failed: s.Failed, DurationS: s.Duration.Seconds(),
		RequestThroughputRPS: s.RequestThroughput, OutputThroughput: s.OutputThroughput, TotalThroughput: s.TotalThroughput,
		TTFT: s.TTFT, TPOT: s.TPOT, ITL: s.ITL, E2EL: s.E2EL, Queue: s.Queue,
		Preemptions: s.Engine.Preemptions, PrefixHitRate: s.PrefixHitRate, KVUsagePeak: s.Engine.UsagePeak,
		RunningMean: s.Engine.RunningMean, RunningPeak: s.Engine.RunningPeak, WaitingPeak: s.Engine.WaitingPeak,
		Steps: s.Engine.Steps, NumGPUBlocks: int(s.Engine.NumBlocks), Warnings: warnings,
	}
}

// Milliseconds of a distribution by the name of a figure: mean, p50, p90, p95, p99 or max.
func (d Dist) Milliseconds(figure string) float64 {
	var v units.Span
	switch figure {
	case "mean":
		v = d.Mean
	case "p50":
		v = d.P50
	case "p90":
		v = d.P90
	case "p95":
		v = d.P95
	case "p99":
		v = d.P99
	case "max":
		v = d.Max
	default:
		panic("stats: no figure " + figure)
	}
	return v.Milliseconds()
}
