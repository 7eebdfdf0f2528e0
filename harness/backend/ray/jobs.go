package ray

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// What can be wrong with a cluster, apart from what a job does.
var (
	ErrUnreachable = errors.New("no Ray dashboard answers")
	ErrTooOld      = errors.New("this Ray is too old")
	ErrNoJob       = errors.New("no such job")
	ErrResources   = errors.New("the cluster does not have the resources")
	ErrPending     = errors.New("the job does not start")
	ErrNeverEnds   = errors.New("the job does not end")
	ErrGone        = errors.New("the cluster went away")
)

// Cluster is a Ray cluster, spoken to through its dashboard's REST interface alone.
type Cluster struct {
	Dashboard string       // http://127.0.0.1:8265
	Client    *http.Client // nil = http.DefaultClient
	Limits    Limits
}

// Limits bound every wait. A zero field is its default.
type Limits struct {
	Call    time.Duration // one REST call: 30 s
	Pending time.Duration // from submission until the job runs: 2 min
	Job     time.Duration // from submission until it ends: 1 h
	Stop    time.Duration // from asking a job to stop until it has: 30 s
	Silence time.Duration // of a dashboard that used to answer: 20 s
	Poll    time.Duration // between two looks: 0.5 s
}

func (l Limits) filled() Limits {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&l.Call, 30*time.Second)
	def(&l.Pending, 2*time.Minute)
	def(&l.Job, time.Hour)
	def(&l.Stop, 30*time.Second)
	def(&l.Silence, 20*time.Second)
	def(&l.Poll, 500*time.Millisecond)
	return l
}

// maxAnswer bounds an answer of the dashboard; a log of a million rows is 200 MB.
const maxAnswer = 512 << 20

// call sends one request and decodes the answer into out, if out is not nil.
func (c Cluster) call(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.Limits.filled().Call)
	defer cancel()
	base := strings.TrimRight(c.Dashboard, "/")
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ray: the dashboard's address %q is not a URL, want such as http://127.0.0.1:8265: %w", c.Dashboard, err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	client := c.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ray: %w at %s (%s %s): %v; is the cluster running, and is this the address that `ray start --dashboard-host --dashboard-port` gave it?",
			ErrUnreachable, base, method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("ray: %w at %s (%s %s): the answer broke off: %v", ErrUnreachable, base, method, path, err)
	case len(text) > maxAnswer:
		return fmt.Errorf("ray: %s %s: the answer has more than %d MiB", method, path, maxAnswer>>20)
	case resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("ray: %w: %s %s: %s", ErrNoJob, method, path, brief(string(text)))
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("ray: %s %s: status %d: %s", method, path, resp.StatusCode, brief(string(text)))
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("ray: %s%s does not answer as Ray's dashboard does: %v: %s", base, path, err, brief(string(text)))
	}
	return nil
}

// brief is the part of a text that fits into an error: tracebacks say what is wrong at their end.
func brief(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 600 {
		s = s[:200] + " […] " + s[len(s)-400:]
	}
	return s
}

// Version is what a cluster runs.
type Version struct {
	Ray     string `json:"ray_version"`
	Commit  string `json:"ray_commit"`
	Session string `json:"session_name"`
}

// oldest is the first Ray that has ray.data.llm.
const oldestMajor, oldestMinor = 2, 44

// measured is the Ray whose dispatch the simulated pipeline follows.
const measured = "2.60."

// Version asks what the cluster runs; one that cannot run the job's script is an error.
func (c Cluster) Version(ctx context.Context) (Version, error) {
	var v Version
	if err := c.call(ctx, http.MethodGet, "/api/version", "", nil, &v); err != nil {
		if errors.Is(err, ErrNoJob) {
			return v, fmt.Errorf("ray: %s has no /api/version, so it is no Ray dashboard", c.Dashboard)
		}
		return v, err
	}
	parts := strings.SplitN(v.Ray, ".", 3)
	if len(parts) < 2 {
		return v, fmt.Errorf("ray: %s/api/version says ray_version %q, want such as 2.60.0", c.Dashboard, v.Ray)
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err := errors.Join(err1, err2); err != nil {
		return v, fmt.Errorf("ray: %s/api/version says ray_version %q, want such as 2.60.0", c.Dashboard, v.Ray)
	}
	if major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		return v, fmt.Errorf("ray: %w: %s runs %s, and ray.data.llm came with %d.%d", ErrTooOld, c.Dashboard, v.Ray, oldestMajor, oldestMinor)
	}
	return v, nil
}

// Resources are what nodes have, or what a job needs.
type Resources struct{ CPUs, GPUs float64 }

// Resources sums what the living nodes have, used or not.
func (c Cluster) Resources(ctx context.Context) (Resources, error) {
	var answer struct {
		Data struct {
			Result struct {
				Result []struct {
					State string             `json:"state"`
					Total map[string]float64 `json:"resources_total"`
				} `json:"result"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := c.call(ctx, http.MethodGet, "/api/v0/nodes?limit=10000", "", nil, &answer); err != nil {
		return Resources{}, err
	}
	var sum Resources
	for _, n := range answer.Data.Result.Result {
		if n.State == "ALIVE" {
			sum.CPUs += n.Total["CPU"]
			sum.GPUs += n.Total["GPU"]
		}
	}
	return sum, nil
}

// Require says what a job would wait for in vain: Ray keeps such a job PENDING or its actors unplaced, and does not
// stop it when asked.
func (c Cluster) Require(ctx context.Context, need Resources, why string) error {
	have, err := c.Resources(ctx)
	if err != nil {
		return err
	}
	if need.CPUs > have.CPUs || need.GPUs > have.GPUs {
		return fmt.Errorf("ray: %w: %s needs %g CPUs and %g GPUs, %s has %g and %g in all; ask for fewer replicas, or add nodes",
			ErrResources, why, need.CPUs, need.GPUs, c.Dashboard, have.CPUs, have.GPUs)
	}
	return nil
}

// upload puts a package into the cluster's store, where Ray itself forgets it 10 minutes after its last use.
func (c Cluster) upload(ctx context.Context, b bundle) error {
	path := "/api/packages/gcs/" + b.name
	if err := c.call(ctx, http.MethodGet, path, "", nil, nil); !errors.Is(err, ErrNoJob) {
		return err // nil: it is there already
	}
	return c.call(ctx, http.MethodPut, path, "application/zip", b.zip, nil)
}

// status is Ray's account of a job.
type status struct {
	Status    string `json:"status"`
	Message   string `json:"message"`
	ErrorType string `json:"error_type"`
	ExitCode  *int   `json:"driver_exit_code"`
	Started   int64  `json:"start_time"`
	Ended     int64  `json:"end_time"`
}

func (s status) over() bool {
	return s.Status == "SUCCEEDED" || s.Status == "FAILED" || s.Status == "STOPPED"
}

func jobPath(id string) string { return "/api/jobs/" + url.PathEscape(id) }

func (c Cluster) submit(ctx context.Context, j Job, uri string) error {
	body, err := json.Marshal(map[string]any{
		"entrypoint":    j.Entrypoint,
		"submission_id": j.ID,
		"runtime_env":   map[string]any{"working_dir": uri, "env_vars": j.Env},
		"metadata":      map[string]string{"by": "symbiote"},
	})
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, "/api/jobs/", "application/json", body, nil)
}

func (c Cluster) status(ctx context.Context, id string) (status, error) {
	var s status
	err := c.call(ctx, http.MethodGet, jobPath(id), "", nil, &s)
	return s, err
}

func (c Cluster) logs(ctx context.Context, id string) (string, error) {
	var l struct {
		Logs string `json:"logs"`
	}
	err := c.call(ctx, http.MethodGet, jobPath(id)+"/logs", "", nil, &l)
	return l.Logs, err
}

// Stop ends a job and waits until it has ended; one that had ended already is no error. A job that is still PENDING
// does not obey.
func (c Cluster) Stop(ctx context.Context, id string) error {
	limits := c.Limits.filled()
	ctx, cancel := context.WithTimeout(ctx, limits.Stop)
	defer cancel()
	if err := c.call(ctx, http.MethodPost, jobPath(id)+"/stop", "", nil, nil); err != nil {
		return err
	}
	last := "not known"
	for {
		s, err := c.status(ctx, id)
		switch {
		case err == nil && s.over():
			return nil
		case err == nil:
			last = s.Status
		case errors.Is(err, ErrNoJob):
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("ray: job %s is still %s %v after it was asked to stop: end it with `ray job stop %s`, or the cluster with it", id, last, limits.Stop, id)
		case <-time.After(limits.Poll):
		}
	}
}
