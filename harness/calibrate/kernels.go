package calibrate

import (
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/steptime"
)

// KernelReport says how far the fitted forms are from the measured kernels: mean absolute relative errors.
type KernelReport struct {
	What     string  `json:"what"`
	Kernels  int     `json:"kernels"`
	MeanAbs  float64 `json:"mean_abs_pct"`
	WorstP90 float64 `json:"p90_abs_pct"`
}

// Kernels fits a GPU's profile to the kernel tables whose names begin with prefix in dir, in the form of NVIDIA's
// aiconfigurator (latency_ms by shape). What there is no table for keeps the value of base.
func Kernels(g catalog.GPU, base steptime.GPU, dir, prefix string) (steptime.GPU, []KernelReport, error) {
	var reports []KernelReport
	path := func(kind string) (string, bool) {
		for _, end := range []string{".csv.gz", ".csv"} {
			p := filepath.Join(dir, prefix+"_"+kind+end)
			if _, err := os.Stat(p); err == nil {
				return p, true
			}
		}
		return "", false
	}
	fits := []struct {
		kind string
		fit  func(path string) (KernelReport, error)
	}{
		{"gemm_bfloat16", func(p string) (KernelReport, error) { return fitGEMM(p, &base.BF16, g.Bandwidth, g.PeakBF16, 2) }},
		{"gemm_fp8", func(p string) (KernelReport, error) { return fitGEMM(p, &base.FP8, g.Bandwidth, g.PeakFP8, 1) }},
		{"attn_decode_bf16", func(p string) (KernelReport, error) { return fitDecode(p, g, &base.Attention) }},
		{"attn_prefill_bf16", func(p string) (KernelReport, error) { return fitPrefill(p, g, &base.Attention) }},
		{"custom_allreduce", func(p string) (KernelReport, error) { return fitAllReduce(p, g, &base) }},
	}
	for _, f := range fits {
		p, ok := path(f.kind)
		if !ok {
			continue
		}
		r, err := f.fit(p)
		if err != nil {
			return base, nil, err
		}
		r.What = prefix + "_" + f.kind
		reports = append(reports, r)
	}
	if len(reports) == 0 {
		return base, nil, fmt.Errorf("calibrate: %s: no table named %s_gemm_bfloat16.csv.gz or the like", dir, prefix)
	}
	return base, reports, nil
}

// rowNodes are the numbers of rows at which an efficiency is fitted.
var rowNodes = [...]float64{1, 16, 64, 128, 192, 256, 512, 1024, 2048, 4096, 8192}

type gemmRow struct{ m, memory, compute, us float64 }

// roof is the blended roofline of a kernel in microseconds.
func (r gemmRow) roof() float64 {
	return math.Cbrt(r.memory*r.memory*r.memory + r.compute*r.compute*r.compute)
}

// fitGEMM finds the fixed time and the share of the roofline at each node that suit the most kernels of the size of a
// model's layer.
func fitGEMM(path string, into *steptime.GEMM, bandwidth, peak, width float64) (KernelReport, error) {
	t, err := readTable(path, "m_tokens", "n_out", "k_in", "latency_ms")
	if err != nil {
		return KernelReport{}, err
	}
	var rows []gemmRow
	for i := range t.rows {
		v, err := t.numbers(i, "m_tokens", "n_out", "k_in", "latency_ms")
		if err != nil {
			return KernelReport{}, err
		}
		m, n, k := v[0], v[1], v[2]
		if n < 768 || k < 768 || n*k < 3e6 || m > 16384 {
			continue // smaller than any layer of a served model
		}
		rows = append(rows, newGEMMRow(m, n, k, width, v[3]*1e3, bandwidth, peak))
	}
	return fitGEMMRows(rows, into), nil
}

func fitGEMMRows(rows []gemmRow, into *steptime.GEMM) KernelReport {
	best := math.Inf(1)
	for fixed := 0.0; fixed <= 6; fixed += 0.5 {
		g := steptime.GEMM{FixedUS: fixed, Efficiency: efficiencies(rows, fixed)}
		if e := gemmError(rows, g); e < best {
			best, *into = e, g
		}
	}
	return report(len(rows), func(i int) (float64, float64) { return gemmTime(rows[i], *into), rows[i].us })
}

func gemmTime(r gemmRow, g steptime.GEMM) float64 {
	return g.FixedUS + r.roof()/g.Efficiency.At(r.m)
}

func gemmError(rows []gemmRow, g steptime.GEMM) float64 {
	return meanAbsLog(len(rows), func(i int) (float64, float64) { return gemmTime(rows[i], g), rows[i].us })
}

// efficiencies takes at each node the median share over the kernels whose rows are nearest to it.
func efficiencies(rows []gemmRow, fixed float64) steptime.Curve {
	var curve steptime.Curve
	for i, node := range rowNodes {
		low, high := 0.0, math.Inf(1)
		if i > 0 {
			low = math.Sqrt(node * rowNodes[i-1])
		}
		if i+1 < len(rowNodes) {
			high = math.Sqrt(node * rowNodes[i+1])
		}
		var shares []float64
		for _, r := range rows {
			if r.m > low && r.m <= high {
				shares = append(shares, r.roof()/max(r.us-fixed, 0.1*r.us))
			}
		}
		if len(shares) > 0 {
			curve = append(curve, [2]float64{node, round(min(median(shares), 1), 3)})
		}
	}
	return curve
}

func report(n int, pair func(int) (predicted, measured float64)) KernelReport {
	errs := make([]float64, n)
	sum := 0.0
	for i := range n {
		p, m := pair(i)
		errs[i] = 100 * math.Abs(p/m-1)
		sum += errs[i]
	}
	return KernelReport{Kernels: n, MeanAbs: round(sum/float64(max(n, 1)), 2), WorstP90: round(quantile(errs, 0.9), 2)}
}

// round keeps so many decimals: a fitted figure has no more.
func round(v float64, decimals int) float64 {
	p := math.Pow(10, float64(decimals))
	return math.Round(v*p) / p
}
