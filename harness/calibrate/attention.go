package calibrate

import (
	"math"

	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/steptime"
)

type decodeRow struct{ items, memory, us float64 }

// fitDecode fits decode attention: one fixed time, items (sequence × KV head) and cache reads.
func fitDecode(path string, g catalog.GPU, into *steptime.Attention) (KernelReport, error) {
	t, err := readTable(path, "head_dim", "num_q_heads", "num_kv_heads", "batch_size", "kv_len", "latency_ms")
	if err != nil {
		return KernelReport{}, err
	}
	var rows []decodeRow
	for i := range t.rows {
		v, err := t.numbers(i, "head_dim", "num_q_heads", "num_kv_heads", "batch_size", "kv_len", "latency_ms")
		if err != nil {
			return KernelReport{}, err
		}
		items := v[3] * v[2]
		bytes := items * v[4] * v[0] * 4
		inCache := bytes > 256e3 && bytes < 1.5*float64(g.L2) // read again from the L2, which no model of many layers does
		if v[0] != 128 || v[1] < 8 || inCache || v[4] > 32768 {
			continue
		}
		rows = append(rows, decodeRow{items, bytes / g.Bandwidth * 1e6, v[5] * 1e3})
	}
	return fitDecodeRows(rows, into), nil
}

func fitDecodeRows(rows []decodeRow, into *steptime.Attention) KernelReport {
	at := func(x []float64, r decodeRow) float64 {
		return x[0] + math.Pow(math.Pow(x[1]*r.items, x[3])+math.Pow(r.memory/x[2], x[3]), 1/x[3])
	}
	x, _ := search([]float64{10, 0.03, 0.85, 2}, func(x []float64) float64 {
		if x[2] > 1 || x[3] < 1 || x[3] > 8 {
			return math.Inf(1)
		}
		return meanAbsLog(len(rows), func(i int) (float64, float64) { return at(x, rows[i]), rows[i].us })
	})
	into.FixedUS, into.ItemUS, into.Bandwidth, into.Overlap = round(x[0], 2), round(x[1], 4), round(x[2], 3), round(x[3], 2)
	return report(len(rows), func(i int) (float64, float64) { return at(x, rows[i]), rows[i].us })
}

type prefillRow struct{ pairs, queries, us float64 } // in FLOPs per extra key

// fitPrefill fits prompt attention: a share of the peak, and the keys by which every query seems to see more.
func fitPrefill(path string, g catalog.GPU, into *steptime.Attention) (KernelReport, error) {
	t, err := readTable(path, "head_dim", "num_q_heads", "num_kv_heads", "batch_size", "query_len", "latency_ms")
	if err != nil {
		return KernelReport{}, err
	}
	var rows []prefillRow
	for i := range t.rows {
		v, err := t.numbers(i, "head_dim", "num_q_heads", "num_kv_heads", "batch_size", "query_len", "latency_ms")
		if err != nil {
			return KernelReport{}, err
		}
		perPair := 4 * v[1] * v[0] * v[3]
		r := prefillRow{perPair * v[4] * (v[4] + 1) / 2, perPair * v[4], v[5] * 1e3}
		if v[0] != 128 || v[1] < 8 || v[4] < 64 || r.pairs < 2e9 {
			continue
		}
		rows = append(rows, r)
	}
	return fitPrefillRows(rows, g, into), nil
}

func fitPrefillRows(rows []prefillRow, g catalog.GPU, into *steptime.Attention) KernelReport {
	at := func(x []float64, r prefillRow) float64 {
		return into.FixedUS + (r.pairs+x[1]*r.queries)/(g.PeakBF16*x[0])*1e6
	}
	x, _ := search([]float64{0.6, 400}, func(x []float64) float64 {
		if x[0] > 1 {
			return math.Inf(1)
		}
		return meanAbsLog(len(rows), func(i int) (float64, float64) { return at(x, rows[i]), rows[i].us })
	})
	into.Peak, into.ExtraKeys = round(x[0], 3), round(x[1], 0)
	return report(len(rows), func(i int) (float64, float64) { return at(x, rows[i]), rows[i].us })
}

// fitAllReduce fits vLLM's custom all-reduce as it runs inside CUDA graphs, for each number of GPUs.
func fitAllReduce(path string, g catalog.GPU, into *steptime.GPU) (KernelReport, error) {
	t, err := readTable(path, "backend", "num_gpus", "message_size_elements", "latency_ms")
	if err != nil {
		return KernelReport{}, err
	}
	type row struct{ gpus, moved, us float64 }
	var all []row
	into.AllReduce = nil
	for _, gpus := range []float64{2, 4, 8} {
		var rows []row
		for i := range t.rows {
			v, err := t.numbers(i, "num_gpus", "message_size_elements", "latency_ms")
			if err != nil {
				return KernelReport{}, err
			}
			if v[0] != gpus || t.text(i, "backend") != "vllm_graph" || v[1] > 1<<27 {
				continue
			}
			rows = append(rows, row{gpus, 2 * v[1] * 2 * (gpus - 1) / gpus / g.Interconnect * 1e6, v[2] * 1e3})
		}
		if len(rows) == 0 {
			continue
		}
		x, _ := search([]float64{8, 0.5}, func(x []float64) float64 {
			if x[1] > 1 {
				return math.Inf(1)
			}
			return meanAbsLog(len(rows), func(i int) (float64, float64) { return x[0] + rows[i].moved/x[1], rows[i].us })
		})
		into.AllReduce = append(into.AllReduce, steptime.AllReduce{GPUs: int(gpus),
			Stream: steptime.Stream{FixedUS: round(x[0], 2), Bandwidth: round(x[1], 3)}})
		all = append(all, rows...)
	}
	return report(len(all), func(i int) (float64, float64) {
		for _, r := range into.AllReduce {
			if float64(r.GPUs) == all[i].gpus {
				return r.FixedUS + all[i].moved/r.Bandwidth, all[i].us
			}
		}
		return 0, all[i].us
	}), nil
}
