package backtest

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
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
	injected                        faults
	unknown                         error // what was injected is none of them
	onError                         workload.OnError
	overrunMs                       float64
	peak, rowsOut                   int
}

// faults are what was done to rows, by row.
type faults map[int]fault

type fault struct {
	how   workload.Fault
	times int  // from the first try on
	early bool // inside the engine: the server never saw it
}

// sighting is one request as its server saw it; one that nobody waited for to its end has no finish, 0.
type sighting struct {
	row                         int
	latencyS, arrivalS, finishS float64
}

// readFaults reads such as row5:429x2;row20:resetxinf. A status 500 is text when the run's error says that Ray did not
// find JSON in it.
func readFaults(text, errorClass string) (faults, error) {
	out := faults{}
	for part := range strings.SplitSeq(text, ";") {
		if part == "" {
			continue
		}
		where, rest, _ := strings.Cut(part, ":")
		kind, times, _ := strings.Cut(rest, "x")
		row, err := strconv.Atoi(strings.TrimPrefix(where, "row"))
		f := fault{times: math.MaxInt}
		if times != "inf" {
			f.times, _ = strconv.Atoi(times)
		}
		switch kind {
		case "408", "429", "502", "503", "504", "reset":
			f.how = workload.Retryable
		case "400":
			f.how = workload.Rejected
		case "500":
			if f.how = workload.Rejected; errorClass == "ContentTypeError" {
				f.how = workload.Raised
			}
		case "value":
			f.how, f.early = workload.Raised, true
		case "dead":
			f.how, f.early = workload.EngineDead, true
		default:
			err = errors.New("not a fault that is known")
		}
		if err != nil || f.times < 1 {
			return nil, fmt.Errorf("injected = %q, want such as row5:429x2;row20:resetxinf", text)
		}
		out[row] = f
	}
	return out, nil
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
		injected, err := readFaults(t.text("injected"), t.text("error_class"))
		runs = append(runs, pipelineRun{
			id: t.text("id"), kind: t.text("kind"), batchSize: t.count("batch_size"),
			minActors: t.count("concurrency_min"), maxActors: t.count("concurrency_max"),
			maxConcurrentBatches: t.count("max_concurrent_batches"), maxTasksInFlight: t.count("max_tasks_in_flight"),
			maxNumSeqs: t.count("max_num_seqs"), maxPending: t.count("max_pending_requests"),
			rows: t.count("rows"), blocks: t.count("blocks"), serverCap: t.count("server_cap"),
			cpus: t.count("cpus"), gpus: t.count("gpus"),
			latencyMeanS: t.number("latency_mean_s"), loadS: t.number("load_s"), qps: t.number("qps"),
			overrunMs: t.number("sleep_overrun_p90_ms"), peak: t.count("peak_in_flight"), rowsOut: t.count("rows_out"),
			injected: injected, unknown: err,
			onError: workload.OnError{MaxRetries: t.count("max_retries"), BaseRetryWait: units.Seconds(t.number("base_retry_wait_s")).Duration(),
				MaxErroredBlocks: t.count("max_errored_blocks"), Continue: t.count("should_continue_on_error") == 1},
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
