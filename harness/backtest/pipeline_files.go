package backtest

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// pipelineRun is one row of runs.csv: how a run was configured.
type pipelineRun struct {
	id, kind                        string
	batchSize, minActors, maxActors int
	maxConcurrentBatches            int
	maxTasksInFlight                int
	maxNumSeqs, maxPending          int
	rows, blocks, serverCap         int
	cpus, gpus                      int
	latencyMeanS, loadS, qps        float64
	injected                        string
	overrunMs                       float64
	peak                            int
}

// sighting is one request as its server saw it.
type sighting struct {
	row                         int
	latencyS, arrivalS, finishS float64
}

// table reads named columns of a CSV file, gzip by name.
type table struct {
	name   string
	in     *csv.Reader
	column map[string]int
	record []string
	err    error
}

func readTable(name string, each func(*table)) error {
	r, err := open(name)
	if err != nil {
		return err
	}
	defer r.Close()
	t := &table{name: name, in: csv.NewReader(r), column: map[string]int{}}
	head, err := t.in.Read()
	if err != nil {
		return fmt.Errorf("%s: no header: %w", name, err)
	}
	for i, c := range head {
		t.column[c] = i
	}
	for t.err == nil {
		if t.record, err = t.in.Read(); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		each(t)
	}
	return t.err
}

// text is a cell; a column that is not there is an error.
func (t *table) text(column string) string {
	i, ok := t.column[column]
	if !ok {
		t.err = fmt.Errorf("%s: column %q is missing", t.name, column)
		return ""
	}
	return t.record[i]
}

// number is a cell; empty is 0.
func (t *table) number(column string) float64 {
	s := t.text(column)
	if s == "" || t.err != nil {
		return 0
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		line, col := t.in.FieldPos(t.column[column])
		t.err = fmt.Errorf("%s:%d:%d: %s %q, want a number", t.name, line, col, column, s)
	}
	return v
}

func (t *table) count(column string) int { return int(t.number(column)) }

func readPipelineRuns(name string) ([]pipelineRun, error) {
	var runs []pipelineRun
	err := readTable(name, func(t *table) {
		runs = append(runs, pipelineRun{
			id: t.text("id"), kind: t.text("kind"), batchSize: t.count("batch_size"),
			minActors: t.count("concurrency_min"), maxActors: t.count("concurrency_max"),
			maxConcurrentBatches: t.count("max_concurrent_batches"), maxTasksInFlight: t.count("max_tasks_in_flight"),
			maxNumSeqs: t.count("max_num_seqs"), maxPending: t.count("max_pending_requests"),
			rows: t.count("rows"), blocks: t.count("blocks"), serverCap: t.count("server_cap"),
			cpus: t.count("cpus"), gpus: t.count("gpus"),
			latencyMeanS: t.number("latency_mean_s"), loadS: t.number("load_s"), qps: t.number("qps"),
			injected: t.text("injected"), overrunMs: t.number("sleep_overrun_p90_ms"),
			peak: t.count("peak_in_flight"),
		})
	})
	if err == nil && len(runs) == 0 {
		err = fmt.Errorf("%s: no runs", name)
	}
	return runs, err
}

func readTimeline(name string) ([]sighting, error) {
	var out []sighting
	err := readTable(name, func(t *table) {
		out = append(out, sighting{t.count("row"), t.number("latency_s"), t.number("arrival_s"), t.number("finish_s")})
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%s: no requests", name)
	}
	slices.SortStableFunc(out, func(a, b sighting) int {
		switch {
		case a.arrivalS < b.arrivalS:
			return -1
		case a.arrivalS > b.arrivalS:
			return 1
		}
		return 0
	})
	return out, err
}
