package ray

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// fake is a Ray dashboard as far as the Jobs REST interface goes, in virtual time. Its answers are those of Ray 2.60.
type fake struct {
	version string
	cpus    float64
	gpus    float64

	pending  time.Duration // a job is PENDING so long
	runs     time.Duration // then RUNNING; < 0 = for ever
	log      func(since time.Duration, config map[string]any) string
	fails    int           // exit code, if not 0
	stubborn bool          // does not obey stop
	dies     time.Duration // after submission nobody answers any more; 0 = never

	metrics func(ran time.Duration) string // of the server that rows go to; nil = it has none

	mu        sync.Mutex
	packages  map[string][]byte
	job       *fakeJob
	stopped   int
	submitted int
}

type fakeJob struct {
	id     string
	config map[string]any
	begin  time.Time
	end    string
	ended  time.Time
}

// RoundTrip answers without a network, so that a test's clock may jump.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dies > 0 && f.job != nil && time.Since(f.job.begin) > f.dies {
		return nil, fmt.Errorf("dial tcp %s: connect: connection refused", r.URL.Host)
	}
	w := httptest.NewRecorder()
	f.serve(w, r)
	return w.Result(), nil
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	say := func(v any) { json.NewEncoder(w).Encode(v) }
	switch {
	case path == "/metrics" && f.metrics != nil:
		var ran time.Duration
		if f.job != nil {
			ran = max(0, f.running())
		}
		io.WriteString(w, f.metrics(ran))
	case path == "/api/version":
		say(map[string]string{"version": "4", "ray_version": f.version, "ray_commit": "b7f4259", "session_name": "s"})
	case path == "/api/v0/nodes":
		node := func(state string, cpus, gpus float64) map[string]any {
			return map[string]any{"state": state, "resources_total": map[string]float64{"CPU": cpus, "GPU": gpus, "memory": 1e9}}
		}
		nodes := []any{node("ALIVE", f.cpus, f.gpus), node("DEAD", 64, 8)}
		say(map[string]any{"result": true, "data": map[string]any{"result": map[string]any{"total": 2, "result": nodes}}})
	case strings.HasPrefix(path, "/api/packages/gcs/"):
		name := strings.TrimPrefix(path, "/api/packages/gcs/")
		if r.Method == http.MethodGet {
			if f.packages[name] == nil {
				http.Error(w, "Package "+name+" does not exist", http.StatusNotFound)
			}
			return
		}
		body, _ := io.ReadAll(r.Body)
		if f.packages == nil {
			f.packages = map[string][]byte{}
		}
		f.packages[name] = body
	case path == "/api/jobs/" && r.Method == http.MethodPost:
		f.submit(w, r)
	case f.job == nil || !strings.HasPrefix(path, "/api/jobs/"+f.job.id):
		http.Error(w, "Job "+strings.TrimPrefix(path, "/api/jobs/")+" does not exist", http.StatusNotFound)
	case strings.HasSuffix(path, "/logs"):
		text := ""
		if since := f.running(); since >= 0 && f.log != nil {
			text = f.log(since, f.job.config)
		}
		say(map[string]string{"logs": text})
	case strings.HasSuffix(path, "/stop"):
		f.stopped++
		if status := f.status(); f.stubborn || status == "PENDING" || status == "SUCCEEDED" {
			say(map[string]bool{"stopped": status == "PENDING"})
			return
		}
		f.job.end, f.job.ended = "STOPPED", time.Now().Add(3*time.Second)
		say(map[string]bool{"stopped": true})
	default:
		var code *int
		message := "Job is currently running."
		if f.status() == "FAILED" {
			code, message = &f.fails, "Job entrypoint command failed with exit code 3, last available logs: …"
		}
		say(map[string]any{"status": f.status(), "message": message, "submission_id": f.job.id, "driver_exit_code": code,
			"start_time": f.job.begin.UnixMilli()})
	}
}

func (f *fake) submit(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Entrypoint string `json:"entrypoint"`
		ID         string `json:"submission_id"`
		Env        struct {
			WorkingDir string            `json:"working_dir"`
			Vars       map[string]string `json:"env_vars"`
		} `json:"runtime_env"`
		Metadata map[string]string `json:"metadata"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(&body)
	if f.packages[strings.TrimPrefix(body.Env.WorkingDir, "gcs://")] == nil || body.Entrypoint == "" || err != nil {
		http.Error(w, fmt.Sprintf("Traceback: %v", err), http.StatusBadRequest)
		return
	}
	f.job = &fakeJob{id: body.ID, begin: time.Now()}
	json.Unmarshal([]byte(body.Env.Vars["TS_CONFIG"]), &f.job.config)
	f.submitted++
	json.NewEncoder(w).Encode(map[string]string{"job_id": body.ID, "submission_id": body.ID})
}

// running is how long the job has run; < 0 while it is PENDING.
func (f *fake) running() time.Duration { return time.Since(f.job.begin) - f.pending }

func (f *fake) status() string {
	switch since := f.running(); {
	case f.job.end != "" && !time.Now().Before(f.job.ended):
		return f.job.end
	case since < 0:
		return "PENDING"
	case f.runs < 0 || since < f.runs:
		return "RUNNING"
	case f.fails != 0:
		return "FAILED"
	}
	return "SUCCEEDED"
}
