package steptime

import "fmt"

// Validate refuses figures that no hardware can reach: a share of the roofline above one, a negative time.
func (g GPU) Validate() error {
	shares := []struct {
		name  string
		curve Curve
	}{
		{"gemm_bf16", g.BF16.Efficiency}, {"gemm_fp8", g.FP8.Efficiency}, {"gemm_int8", g.INT8.Efficiency},
		{"gemm_int4", g.INT4.Efficiency}, {"attention prefill_peak", Curve{{1, g.Attention.Peak}}},
		{"attention bandwidth", Curve{{1, g.Attention.Bandwidth}}}, {"sustained", Curve{{1, g.Sustained}}},
		{"elementwise", Curve{{1, g.Elementwise.Bandwidth}}}, {"sampling", Curve{{1, g.Sampling.Bandwidth}}},
	}
	for _, r := range g.AllReduce {
		if r.FixedUS < 0 || r.SkewUS < 0 {
			return fmt.Errorf("steptime: profile %s: all_reduce over %d: a negative time", g.ID, r.GPUs)
		}
		shares = append(shares, struct {
			name  string
			curve Curve
		}{fmt.Sprintf("all_reduce over %d", r.GPUs), Curve{{1, r.Bandwidth}}})
	}
	for _, s := range shares {
		if err := s.curve.validate(); err != nil {
			return fmt.Errorf("steptime: profile %s: %s: %w", g.ID, s.name, err)
		}
	}
	for _, us := range []float64{g.BF16.FixedUS, g.FP8.FixedUS, g.INT8.FixedUS, g.INT4.FixedUS, g.Attention.FixedUS,
		g.Attention.ItemUS, g.Attention.ExtraKeys, g.Attention.Overlap - 1, g.Elementwise.FixedUS, g.Sampling.FixedUS} {
		if us < 0 {
			return fmt.Errorf("steptime: profile %s: a time or count of %g below what is possible", g.ID, us)
		}
	}
	if g.DefaultHost == "" {
		return fmt.Errorf("steptime: profile %s: default_host is missing", g.ID)
	}
	return g.Origin.validate(g.ID)
}

// Validate refuses negative times and figures without a source.
func (h Host) Validate() error {
	for _, us := range []float64{h.SchedulePerStep, h.SchedulePerRequest, h.SchedulePerPrefill, h.SchedulePerToken, h.UpdatePerStep,
		h.UpdatePerToken, h.UpdatePerFinished, h.LaunchFull, h.LaunchPiecewisePerStep, h.LaunchPiecewise,
		h.LaunchCompiled, h.LaunchEager, h.DeliverPerStep, h.DeliverPerToken, h.DeliverPerFinished, h.WritePerToken,
		h.IntakePerRequest, h.IntakePerToken, float64(h.IntakeAwaits), h.Connection} {
		if us < 0 {
			return fmt.Errorf("steptime: host profile %s: a cost of %gµs, want ≥ 0", h.ID, us)
		}
	}
	return h.Origin.validate(h.ID)
}

func (o Origin) validate(id string) error {
	if o.Source == "" || o.Date == "" || o.FittedOn == "" || o.Error == "" {
		return fmt.Errorf("steptime: profile %s: source, date, fitted_on and error must all be stated", id)
	}
	return nil
}

func (c Curve) validate() error {
	if len(c) == 0 {
		return fmt.Errorf("no points, want at least one")
	}
	for i, p := range c {
		if p[1] <= 0 || p[1] > 1 {
			return fmt.Errorf("a share of %g of the physical limit at %g, want > 0 and ≤ 1", p[1], p[0])
		}
		if p[0] <= 0 || i > 0 && p[0] <= c[i-1][0] {
			return fmt.Errorf("x = %g, want > 0 and growing", p[0])
		}
	}
	return nil
}
