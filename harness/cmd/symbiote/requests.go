package main

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// requests takes the requests of a run as they end: into the statistics, against the SLO, and into the files that were
// asked for. None is kept.
type requests struct {
	stream             *stats.Stream
	target             slo.Target
	ended, failed, met int
	rejected           int
	why                string // the first failure

	files  []*outFile
	csv    *csv.Writer
	record *record.Writer
	err    error
}

func (f *simulateFlags) collector() (*requests, error) {
	c := &requests{stream: stats.NewStream(stats.NearestRank)}
	c.target.TTFT = time.Duration(f.sloTTFT * float64(time.Millisecond))
	c.target.TPOT = time.Duration(f.sloTPOT * float64(time.Millisecond))
	if f.perRequest != "" {
		file, err := c.create(f.perRequest)
		if err != nil {
			return nil, err
		}
		c.csv = csv.NewWriter(file)
		c.err = c.csv.Write([]string{"id", "arrival_s", "ttft_ms", "tpot_ms", "e2el_ms", "prompt_tokens", "output_tokens", "cached_tokens", "preemptions", "outcome"})
	}
	if f.record != "" {
		file, err := c.create(f.record)
		if err != nil {
			c.discard()
			return nil, err
		}
		c.record = record.NewWriter(file)
	}
	return c, nil
}

// An outFile takes its name when it is whole.
type outFile struct {
	*bufio.Writer
	file *os.File // temporary
	name string
}

func (c *requests) create(name string) (*outFile, error) {
	file, err := os.CreateTemp(filepath.Dir(name), ".symbiote-*")
	if err != nil {
		return nil, err
	}
	o := &outFile{bufio.NewWriter(file), file, name}
	c.files = append(c.files, o)
	return o, nil
}

func (c *requests) add(r *record.Record) {
	c.ended++
	c.stream.Add(r)
	if !r.Completed() {
		if c.failed++; c.failed == 1 {
			c.why = r.Detail
		}
		if r.Outcome == failure.Rejected {
			c.rejected++
		}
	} else if met, _ := c.target.Met(r); met {
		c.met++
	}
	if c.csv != nil && c.err == nil {
		c.err = c.csv.Write(requestLine(r))
	}
	if c.record != nil {
		c.record.Request(r)
	}
}

// close writes what is left of the run, whose requests were added, and puts the files in their places.
func (c *requests) close(run *record.Run) error {
	if c.csv != nil {
		c.csv.Flush()
		c.err = cmp.Or(c.err, c.csv.Error())
	}
	if c.record != nil {
		rest := *run
		rest.Requests = nil
		c.err = cmp.Or(c.err, c.record.Close(&rest))
	}
	for _, o := range c.files {
		if err := cmp.Or(c.err, o.Flush(), o.file.Chmod(0o644), o.file.Close()); err != nil {
			return err
		}
		if err := os.Rename(o.file.Name(), o.name); err != nil {
			return err
		}
	}
	c.files = nil
	return nil
}

// discard removes what close did not put in its place.
func (c *requests) discard() {
	for _, o := range c.files {
		o.file.Close()
		os.Remove(o.file.Name())
	}
}

func requestLine(r *record.Record) []string {
	ms := func(s units.Span, ok bool) string {
		if !ok {
			return ""
		}
		return strconv.FormatFloat(s.Milliseconds(), 'f', 6, 64)
	}
	outcome := string(r.Outcome)
	if r.Completed() {
		outcome = "completed"
	}
	return []string{strconv.Itoa(r.ID), strconv.FormatFloat(r.Intended.Seconds(), 'f', 6, 64), ms(r.TTFT()), ms(r.TPOT()), ms(r.E2EL()),
		strconv.Itoa(int(r.Prompt)), strconv.Itoa(int(r.Output)), strconv.Itoa(int(r.Cached)), strconv.Itoa(r.Preemptions), outcome}
}

// progressLine shows on a terminal how far a long run has come; elsewhere it says nothing.
func progressLine(stderr io.Writer, total int) func(units.Time, int, int) {
	file, ok := stderr.(*os.File)
	if !ok || total == 0 {
		return nil
	}
	if st, err := file.Stat(); err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return progress(file, total, time.Now)
}

// progress writes percent, simulated time and what is left of the wait, over and over on one line.
func progress(w io.Writer, total int, clock func() time.Time) func(units.Time, int, int) {
	start := clock()
	last := start
	return func(at units.Time, _, done int) {
		now := clock()
		if now.Sub(last) < 200*time.Millisecond {
			return
		}
		last = now
		eta := "?"
		if done > 0 {
			eta = time.Duration(float64(now.Sub(start)) * float64(total-done) / float64(done)).Round(time.Second).String()
		}
		fmt.Fprintf(w, "\r%3d%%  simulated %v, %d of %d done, %s left   ", 100*done/total, units.Span(at).Duration().Round(time.Second), done, total, eta)
	}
}

// printRun prints a run for people: what, where from, and the figures.
func printRun(w io.Writer, run *record.Run, d stats.Document, load workload.Workload) {
	p := run.Provenance
	fmt.Fprintf(w, "simulated vLLM %s, host profile %s; %s\n%s\n\n", p.VLLMVersion, p.Host, p.ModelError, load)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\tmean\tp50\tp90\tp95\tp99\tmax\t\n")
	for _, row := range []struct {
		name string
		d    stats.Dist
	}{{"TTFT ms", d.TTFT}, {"TPOT ms", d.TPOT}, {"ITL ms", d.ITL}, {"E2EL ms", d.E2EL}, {"queue ms", d.Queue}} {
		fmt.Fprintf(t, "%s\t", row.name)
		for _, figure := range []string{"mean", "p50", "p90", "p95", "p99", "max"} {
			fmt.Fprintf(t, "%.4g\t", row.d.Milliseconds(figure))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	fmt.Fprintf(w, "\nrequests %d, completed %d, failed %d in %.4g s: %.4g req/s, %.5g output tok/s, %.5g tok/s\n",
		d.Requests, d.Completed, d.Failed, d.DurationS, d.RequestThroughputRPS, d.OutputThroughput, d.TotalThroughput)
	fmt.Fprintf(w, "running %.4g mean, %d peak; waiting %d peak; KV usage %.1f%% peak of %d blocks; %d preemptions; prefix hits %.1f%%; %d steps\n",
		d.RunningMean, d.RunningPeak, d.WaitingPeak, 100*d.KVUsagePeak, d.NumGPUBlocks, d.Preemptions, 100*d.PrefixHitRate, d.Steps)
}
