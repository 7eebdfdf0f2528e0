package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// words names the mean error of some metrics and over which runs it is.
func (s *Serving) words(metrics ...string) string {
	var parts []string
	n, whose := 0, ""
	for _, m := range metrics {
		if e, of := s.of(m); e.N > 0 {
			parts = append(parts, fmt.Sprintf("%s %s %%", strings.ReplaceAll(m, "_", " "), figure(e.Mean)))
			n, whose = max(n, e.N), of
		}
	}
	return fmt.Sprintf("mean absolute error over up to %d %s: %s", n, whose, strings.Join(parts, ", "))
}

// of is a metric's error over the runs that no profile was fitted on, if there are any, else over all.
func (s *Serving) of(metric string) (MetricErrors, string) {
	if held := s.over("validation", metric); held.N > 0 {
		return held, "measured runs that nothing was fitted on"
	}
	return s.Metrics[metric], "measured runs"
}

// over is a metric's error over the runs of one role.
func (s *Serving) over(role, metric string) MetricErrors {
	var off []float64
	sum := 0.0
	for _, c := range s.PerCase {
		if x, ok := c.Errors[metric]; ok && c.Role == role {
			off = append(off, math.Abs(x))
			sum += math.Abs(x)
		}
	}
	if off == nil {
		return MetricErrors{}
	}
	slices.Sort(off)
	rank := func(percent int) float64 { return off[(len(off)*percent+99)/100-1] }
	return MetricErrors{len(off), sum / float64(len(off)), rank(50), rank(90)}
}

func mainMetrics() []string {
	return []string{"request_throughput", "output_throughput", "e2e_mean", "ttft_mean", "tpot_mean", "longest_stall"}
}
