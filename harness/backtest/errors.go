package backtest

import "math"

// servingMetrics are what errors are stated for, in the order in which tables print them.
var servingMetrics = [...]struct {
	name string
	of   func(*Measured) float64 // 0 = not there
}{
	{"e2e_mean", func(m *Measured) float64 { return m.E2E.mean() }},
	{"ttft_mean", func(m *Measured) float64 { return m.TTFT.mean() }},
	{"ttft_p90", func(m *Measured) float64 { return m.TTFT.p90() }},
	{"ttft_p99", func(m *Measured) float64 { return m.TTFT.p99() }},
	{"tpot_mean", func(m *Measured) float64 { return m.TPOT.mean() }},
	{"itl_mean", func(m *Measured) float64 { return m.ITL.mean() }},
	{"output_throughput", func(m *Measured) float64 { return m.OutputRate }},
	{"request_throughput", func(m *Measured) float64 { return m.RequestRate }},
	{"total_throughput", func(m *Measured) float64 { return m.TotalRate }},
	{"longest_stall", func(m *Measured) float64 { return m.LongestStall }},
	{"recomputed_tokens", func(m *Measured) float64 { return m.RecomputedTokens }},
}

func (p *Percentiles) mean() float64 {
	if p == nil {
		return 0
	}
	return p.Mean
}

func (p *Percentiles) p90() float64 {
	if p == nil {
		return 0
	}
	return p.P90
}

func (p *Percentiles) p99() float64 {
	if p == nil {
		return 0
	}
	return p.P99
}

// judge notes the signed error of every metric that was measured, and whether the case is inside the bound.
func (c *ServingCase) judge(boundPct float64) {
	c.Errors = map[string]float64{}
	c.Inside = c.Failed == 0
	for _, m := range servingMetrics {
		want := m.of(&c.Measured)
		if want == 0 {
			continue
		}
		e := 100 * (m.of(&c.Predicted)/want - 1)
		c.Errors[m.name] = math.Round(100*e) / 100
		if (m.name == "e2e_mean" || m.name == "tpot_mean") && math.Abs(e) > boundPct {
			c.Inside = false
		}
	}
}

// worst orders cases: those without a prediction first, then by the error of what the bound looks at.
func (c *ServingCase) worst() float64 {
	if c.Failure != "" {
		return math.Inf(1)
	}
	return max(math.Abs(c.Errors["e2e_mean"]), math.Abs(c.Errors["tpot_mean"]))
}

// total summarizes the cases, all together and by set.
func (r *ServingReport) total() {
	r.Metrics = summarize(r.PerCase)
	r.Sets = map[string]ServingTotals{}
	bySet := map[string][]ServingCase{}
	for _, c := range r.PerCase {
		bySet[c.Set] = append(bySet[c.Set], c)
	}
	for set, cases := range bySet {
		t := ServingTotals{Cases: len(cases), Host: cases[0].Host, Metrics: summarize(cases)}
		for _, c := range cases {
			if c.Failure != "" || c.Failed > 0 {
				t.Failed++
			}
		}
		r.Sets[set] = t
	}
}

func summarize(cases []ServingCase) map[string]MetricErrors {
	out := map[string]MetricErrors{}
	for _, m := range servingMetrics {
		var errs []float64
		signed := 0.0
		for _, c := range cases {
			if e, ok := c.Errors[m.name]; ok {
				errs = append(errs, math.Abs(e))
				signed += e
			}
		}
		if p := percentiles(errs); p != nil {
			round := func(v float64) float64 { return math.Round(100*v) / 100 }
			out[m.name] = MetricErrors{len(errs), round(p.Mean), round(p.P50), round(p.P90), round(signed / float64(len(errs)))}
		}
	}
	return out
}

// ServingMetrics are the names of the metrics that errors are stated for, in the order of a table.
func ServingMetrics() []string {
	var names []string
	for _, m := range servingMetrics {
		names = append(names, m.name)
	}
	return names
}
