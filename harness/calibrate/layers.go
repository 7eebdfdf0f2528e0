package calibrate

import (
	"path/filepath"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/steptime"
)

// Layers fits a GPU's profile to one model's layers as LLMServingSim's profiler timed them inside vLLM: dense.csv and
// per_sequence.csv by rows, attention.csv.gz by chunk, batch and context, in microseconds on one GPU.
func Layers(g catalog.GPU, base steptime.GPU, dir, model string) (steptime.GPU, []KernelReport, error) {
	m, err := fixtures.Model(model)
	if err != nil {
		return base, nil, err
	}
	rows, err := layerGEMMs(filepath.Join(dir, "dense.csv"), "tokens", g, map[string][2]int{
		"qkv_proj":     {(m.Heads + 2*m.KVHeads) * m.HeadDim, m.HiddenSize},
		"o_proj":       {m.HiddenSize, m.Heads * m.HeadDim},
		"gate_up_proj": {2 * m.IntermediateSize, m.HiddenSize},
		"down_proj":    {m.HiddenSize, m.IntermediateSize},
	})
	if err != nil {
		return base, nil, err
	}
	head, err := layerGEMMs(filepath.Join(dir, "per_sequence.csv"), "sequences", g, map[string][2]int{"lm_head": {m.VocabSize, m.HiddenSize}})
	if err != nil {
		return base, nil, err
	}
	gemms := fitGEMMRows(append(rows, head...), &base.BF16)
	gemms.What = dir + " matrices"
	decodes, prefills, err := layerAttention(filepath.Join(dir, "attention.csv.gz"), g, m)
	if err != nil {
		return base, nil, err
	}
	decode := fitDecodeRows(decodes, &base.Attention)
	decode.What = dir + " decode attention"
	prefill := fitPrefillRows(prefills, g, &base.Attention)
	prefill.What = dir + " prompt attention"
	return base, []KernelReport{gemms, decode, prefill}, nil
}

func layerGEMMs(path, count string, g catalog.GPU, shapes map[string][2]int) ([]gemmRow, error) {
	t, err := readTable(path, "layer", count, "time_us")
	if err != nil {
		return nil, err
	}
	var rows []gemmRow
	for i := range t.rows {
		shape, ok := shapes[t.text(i, "layer")]
		if !ok {
			continue
		}
		v, err := t.numbers(i, count, "time_us")
		if err != nil {
			return nil, err
		}
		rows = append(rows, newGEMMRow(v[0], float64(shape[0]), float64(shape[1]), 2, v[1], g.Bandwidth, g.PeakBF16))
	}
	return rows, nil
}

func newGEMMRow(m, n, k, width, us, bandwidth, peak float64) gemmRow {
	moved := width*n*k + 2*m*(n+k)
	return gemmRow{m, moved / bandwidth * 1e6, 2 * m * n * k / peak * 1e6, us}
}

func layerAttention(path string, g catalog.GPU, m catalog.Model) (decodes []decodeRow, prefills []prefillRow, err error) {
	t, err := readTable(path, "prefill_chunk", "kv_prefill", "n_decode", "kv_decode", "time_us")
	if err != nil {
		return nil, nil, err
	}
	perToken := float64(4 * m.KVHeads * m.HeadDim)
	for i := range t.rows {
		v, err := t.numbers(i, "prefill_chunk", "kv_prefill", "n_decode", "kv_decode", "time_us")
		if err != nil {
			return nil, nil, err
		}
		chunk, before, n, context, us := v[0], v[1], v[2], v[3], v[4]
		switch bytes := n * context * perToken; {
		case chunk == 0 && n > 0 && (bytes < 256e3 || bytes > 1.5*float64(g.L2)):
			decodes = append(decodes, decodeRow{n * float64(m.KVHeads), bytes / g.Bandwidth * 1e6, us})
		case n == 0 && chunk >= 64:
			perPair := float64(4 * m.Heads * m.HeadDim)
			prefills = append(prefills, prefillRow{perPair * (chunk*(chunk+1)/2 + chunk*before), perPair * chunk, us})
		}
	}
	return decodes, prefills, nil
}
