package ray

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

//go:embed pipe.py
var script []byte

// Backend runs a workload.Pipeline as a Ray job, and a workload.Load as one batch of the vLLM stage: behind its semaphore
// when so many rows are kept in flight, else each row held until it is due. What answers release Ray Data does not know:
// Run returns errors.ErrUnsupported for it, and for every Load where only HTTP can be spoken.
type Backend struct {
	Cluster
	Endpoint string // an OpenAI-compatible server as Ray's workers reach it, http://127.0.0.1:8000/v1; HTTP pipelines need it
	APIKey   string
	Options  Options

	// StandIns are servers that take the place of the engines in a vLLM pipeline's actors, one an actor, where there is
	// no GPU: Ray's vLLM stage runs as it is, on a package vllm that passes each request on. One machine only.
	StandIns []string

	// Stream lets them see when each token came. Ray itself waits for whole answers, so that nobody sees the gaps between
	// the tokens of a real engine. It costs the workers' time.
	Stream bool
}

//go:embed all:standin
var standInFiles embed.FS

// standIn is the package vllm, and what Ray imports beside it, of a job without an engine.
func standIn() []File {
	var files []File
	err := fs.WalkDir(standInFiles, "standin", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := standInFiles.ReadFile(path)
		files = append(files, File{Name: strings.TrimPrefix(path, "standin/"), Data: data})
		return err
	})
	if err != nil {
		panic(err)
	}
	return files
}

// Options are Ray's settings beyond those of a workload.Pipeline. The zero value is Ray's defaults.
type Options struct {
	RowTimeout    time.Duration // of an HTTP request; 0 = aiohttp's 5 min
	PreserveOrder bool
}

// Report is a run and what happened around it.
type Report struct {
	Run      *record.Run
	Tally    Tally
	End      End
	Ray      string        // version
	Makespan time.Duration // from the start of execution to the last row's arrival at the driver
}

// Run runs w in front of d. Rows that no answer came for are in the Run with an outcome; an error means that the job
// could not be run to an end, or could not be followed.
func (b Backend) Run(ctx context.Context, d deploy.Deployment, w workload.Workload) (*record.Run, error) {
	report, err := b.Report(ctx, d, w)
	return report.Run, err
}

// Report is Run with what the job told beside it. When the job was cut short it comes with an error, and then holds
// what was known by then.
func (b Backend) Report(ctx context.Context, d deploy.Deployment, w workload.Workload) (Report, error) {
	p, asked, ok := b.pipeline(w)
	if !ok {
		return Report{}, fmt.Errorf("ray: %q: Ray Data does not know what its answers release: %w", w, errors.ErrUnsupported)
	}
	if err := p.Validate(); err != nil {
		return Report{}, err
	}
	if p.Kind == workload.HTTP && b.Endpoint == "" {
		return Report{}, errors.New("ray: an HTTP pipeline needs the endpoint that its rows are sent to")
	}
	version, err := b.Version(ctx)
	if err != nil {
		return Report{}, err
	}
	if err := b.Require(ctx, needs(d, p), fmt.Sprintf("a pool of %d actors", max(1, p.MinActors))); err != nil {
		return Report{}, err
	}
	id := "symbiote-" + strings.ToLower(rand.Text()[:12])
	records, rows := rowsOf(asked)
	config, err := json.Marshal(b.config(id, d, p))
	if err != nil {
		return Report{}, err
	}
	job := Job{ID: id, Entrypoint: "python pipe.py", Env: map[string]string{"TS_CONFIG": string(config)},
		Files: []File{{Name: "pipe.py", Data: script}, {Name: "rows.jsonl", Data: rows}}}
	if len(b.StandIns) > 0 && p.Kind == workload.VLLM {
		job.Files = append(job.Files, standIn()...)
		job.Env["TS_ENGINES"], job.Env["TS_RUN"] = strings.Join(b.StandIns, ","), id
		if b.Stream {
			job.Env["TS_STREAM"] = "1"
		}
	}
	s, watch := &story{}, b.watch(ctx)
	end, err := b.Cluster.Run(ctx, job, s.see)
	r := b.report(s, records, end, version, err)
	watch.tell(r.Run, s)
	return r, err
}

// pipeline is w as Ray Data would send it, and its rows. Those of a Load are one batch of the vLLM stage.
func (b Backend) pipeline(w workload.Workload) (workload.Pipeline, []workload.Request, bool) {
	switch w := w.(type) {
	case workload.Pipeline:
		return w, workload.Requests(workload.Load{Rows: w.Rows, Arrivals: workload.AllAtOnce{}, Seed: w.Seed}), true
	case workload.Load:
		if w.Validate() != nil || b.Endpoint != "" && len(b.StandIns) == 0 {
			break
		}
		rows := workload.Requests(w)
		n := len(rows)
		p := workload.Pipeline{Rows: workload.List{Name: w.String(), Requests: rows}, BatchSize: n, Blocks: 1, MaxConcurrentBatches: 1, MaxPending: n}
		p.OnError.Continue = true // a row that is refused is nobody else's business
		if a, ok := w.Arrivals.(workload.Closed); ok {
			p.MaxPending = a.InFlight
			for i := range rows {
				rows[i].At = 0
			}
		}
		return p, rows, n > 0
	}
	return workload.Pipeline{}, nil, false
}

// needs is what a pool of the least size occupies, and one CPU for the tasks before and after it.
func needs(d deploy.Deployment, p workload.Pipeline) Resources {
	n := float64(max(1, p.MinActors))
	if p.Kind == workload.HTTP {
		return Resources{CPUs: n + 1}
	}
	gpus := max(1, d.Engine.TensorParallelSize) * max(1, d.Engine.PipelineParallelSize)
	return Resources{CPUs: n + 1, GPUs: n * float64(gpus)}
}

// config is what the job's script is told; its names are those of pipe.py.
func (b Backend) config(id string, d deploy.Deployment, p workload.Pipeline) map[string]any {
	model := d.Model.ID
	if names := d.Server.ServedModelName; len(names) > 0 && p.Kind == workload.HTTP {
		model = names[0]
	}
	headers := map[string]string{}
	if b.APIKey != "" {
		headers["Authorization"] = "Bearer " + b.APIKey
	}
	def := func(n, v int) int {
		if n == 0 {
			return v
		}
		return n
	}
	kind, pool := "vllm", max(1, p.MinActors)
	if p.Kind == workload.HTTP {
		kind = "http"
	}
	wait, timeout := p.OnError.BaseRetryWait, b.Options.RowTimeout
	if wait == 0 {
		wait = time.Second
	}
	if timeout == 0 {
		timeout = 5 * time.Minute
	}
	salt := [4]byte{}
	rand.Read(salt[:])
	return map[string]any{
		"kind": kind, "model": model, "url": strings.TrimRight(b.Endpoint, "/") + "/completions", "headers": headers,
		"tag": id, "salt": uint32(salt[0])<<16 | uint32(salt[1])<<8 | uint32(salt[2]),
		"body":       map[string]any{"temperature": 0, "ignore_eos": true},
		"batch_size": p.BatchSize, "pool": [2]int{pool, max(pool, p.MaxActors)},
		"max_concurrent_batches": def(p.MaxConcurrentBatches, 8), "max_tasks_in_flight": p.MaxTasksInFlight,
		"blocks": def(p.Blocks, units.CeilDiv(p.Rows.Len(), p.BatchSize)), "qps": p.QPS,
		"max_retries": p.OnError.MaxRetries, "base_retry_wait_s": wait.Seconds(), "row_timeout_s": timeout.Seconds(),
		"preserve_order": b.Options.PreserveOrder, "max_errored_blocks": p.OnError.MaxErroredBlocks,
		"continue": p.OnError.Continue, "max_pending": p.MaxPending, "engine_kwargs": engineArguments(d.Engine, p),
	}
}

// engineArguments are the fields of an engine that were given, by vLLM's names.
func engineArguments(e deploy.Engine, p workload.Pipeline) map[string]any {
	if p.MaxNumSeqs > 0 {
		e.MaxNumSeqs = p.MaxNumSeqs // the limit of rows at the engine follows from it
	}
	text, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		panic(err)
	}
	given := map[string]any{}
	for name, v := range all {
		if v != nil && v != 0.0 && v != "" && v != false && name != "usage_context" {
			given[name] = v
		}
	}
	return given
}

// ownText is the kind of source that belongs to one row alone.
const ownText = 0xf << 60

// rowsOf are rows as records to be filled in and as the lines of rows.jsonl.
func rowsOf(rows []workload.Request) ([]record.Record, []byte) {
	var asked []record.Record
	var lines bytes.Buffer
	for _, q := range rows {
		segments, rest := [][3]uint64{}, q.Prompt
		for _, s := range q.Shared {
			n := min(s.Len, rest)
			segments = append(segments, [3]uint64{s.Source, uint64(s.From), uint64(n)})
			rest -= n
		}
		if rest > 0 {
			segments = append(segments, [3]uint64{ownText | uint64(q.ID), 0, uint64(rest)})
		}
		line, err := json.Marshal([]any{len(asked), q.Output, segments, q.At.Seconds()})
		if err != nil {
			panic(err)
		}
		lines.Write(append(line, '\n'))
		asked = append(asked, record.Record{ID: q.ID, Stage: q.Stage, Intended: q.At, Prompt: q.Prompt})
	}
	return asked, lines.Bytes()
}

// report turns what the job told into a Run.
func (b Backend) report(s *story, asked []record.Record, end End, v Version, cut error) Report {
	lost, why := failure.Aborted, "no answer came out: the job "+end.Status
	run := &record.Run{Provenance: record.Provenance{Backend: "ray", Notes: []string{"Ray " + v.Ray + " at " + b.Dashboard}}}
	if b.Endpoint != "" {
		run.Provenance.Notes = append(run.Provenance.Notes, "rows sent to "+b.Endpoint)
	}
	switch {
	case s.fault != nil:
		lost, why = classify(s.fault.Msg), s.fault.Type+": "+brief(s.fault.Msg)
		run.Failure = &failure.Error{Class: lost, Message: "the Ray Data job failed: " + why}
	case cut != nil:
		why = cut.Error()
	case end.Status == "FAILED" || end.Status == "STOPPED":
		run.Failure = &failure.Error{Class: failure.Aborted, Message: fmt.Sprintf("the Ray job %s, exit code %d: %s", end.Status, end.ExitCode, brief(end.Message))}
	}
	r := Report{Run: run, End: end, Ray: v.Ray}
	run.Requests, r.Tally = s.account(asked, lost, why)
	for _, l := range s.rows {
		for _, g := range l.Gaps {
			run.Gaps.Add(units.Seconds(g), 1)
		}
	}
	run.Gaps.Settle()
	run.Start = units.Never
	for i := range run.Requests {
		q := &run.Requests[i]
		run.Start = min(run.Start, q.Sent)
		if q.Last != units.Never {
			run.End = max(run.End, q.Last)
		}
	}
	run.Start = min(run.Start, run.End)
	if s.done != nil {
		r.Makespan = units.Seconds(s.done.At - s.start.At).Duration()
	}
	run.Provenance.Notes = append(run.Provenance.Notes, r.Tally.String())
	warn := func(format string, args ...any) { run.Warnings = append(run.Warnings, fmt.Sprintf(format, args...)) }
	if t := r.Tally; t.Lost+t.Failed+t.Resent+t.OutTwice > 0 {
		warn("ray: %v", t)
	}
	if s.garbled > 0 {
		warn("ray: %d lines of the job's log could not be read", s.garbled)
	}
	if !strings.HasPrefix(v.Ray, measured) {
		warn("ray: the cluster runs Ray %s; the simulated pipeline follows %sx", v.Ray, measured)
	}
	return r
}

// Loopback lets serve accept connections on a port of 127.0.0.1 until the listener is closed, and returns the base URL
// that an Endpoint or a StandIn wants.
func Loopback(serve func(net.Listener) error) (url string, closing func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go serve(l)
	return "http://" + l.Addr().String() + "/v1", func() { l.Close() }, nil
}
