//go:build ray

package ray

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/workload"
)

// cores notes the time of all cores; the function tells which share of it since then processes took that are not of this
// namespace. A process that ended is in the account of the one that waited for it, at last in that of the first.
func cores(t *testing.T) func() float64 {
	ticks := func(fields []string) (sum float64) {
		for _, f := range fields {
			n, err := strconv.ParseFloat(f, 64)
			require.NoError(t, err)
			sum += n
		}
		return sum
	}
	read := func() (all, busy, own float64) {
		text, err := os.ReadFile("/proc/stat")
		require.NoError(t, err)
		first, _, _ := strings.Cut(string(text), "\n")
		f := strings.Fields(first)[1:9] // user nice system idle iowait irq softirq steal
		all = ticks(f)
		files, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				continue // it ended meanwhile
			}
			own += ticks(strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))[11:15])
		}
		return all, all - ticks(f[3:5]), own
	}
	all, busy, own := read()
	return func() float64 {
		nowAll, nowBusy, nowOwn := read()
		return max(0, (nowBusy-busy)-(nowOwn-own)) / max(1, nowAll-all)
	}
}

var served = regexp.MustCompile(`(?m)^vllm:request_success_total\{[^}]*finished_reason="length"[^}]*\} ([0-9.e+]+)`)

// busy says whether a server has answered 20 requests: the pipeline is under way.
func busy(url string) bool {
	resp, err := http.Get(strings.TrimSuffix(url, "/v1") + "/metrics")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	m := served.FindSubmatch(text)
	if m == nil {
		return false
	}
	n, _ := strconv.ParseFloat(string(m[1]), 64)
	return n >= 20
}

// every calls f until it returns true or ctx ends.
func every(ctx context.Context, f func() bool) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// killOnce kills the processes of this namespace whose command line begins so, once ready says so.
func killOnce(ctx context.Context, victim string, ready func() bool) {
	every(ctx, ready)
	every(ctx, func() bool {
		pids := processes(victim)
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(pids) > 0
	})
}

func processes(begins string) (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err == nil && strings.HasPrefix(strings.ReplaceAll(string(text), "\x00", " "), begins) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// requireNothingRuns waits, not for long, until neither a job nor an actor of one is left.
func requireNothingRuns(t *testing.T, b Backend) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var left []string
	every(ctx, func() bool {
		left = nil
		var jobs []status
		require.NoError(t, b.call(t.Context(), http.MethodGet, "/api/jobs/", "", nil, &jobs))
		for _, j := range jobs {
			if !j.over() {
				left = append(left, "a job that is "+j.Status)
			}
		}
		for _, name := range []string{"ray::MapWorker", "ray::Ledger", "python pipe.py"} {
			if len(processes(name)) > 0 {
				left = append(left, name)
			}
		}
		return left == nil
	})
	require.Empty(t, left, "left running")
}

// TestLiveListensOnLoopbackAlone looks at all sockets of the namespace while a job runs.
func TestLiveListensOnLoopbackAlone(t *testing.T) {
	b, d := live(t), small(t)
	url := serving(t, d, nil)
	b.Endpoint = url
	found := make(chan []string, 1)
	go func() {
		every(t.Context(), func() bool { return busy(url) })
		found <- listeners(t)
	}()
	_, err := b.Report(t.Context(), d, workload.Pipeline{Kind: workload.HTTP, Rows: rows(64), BatchSize: 8, Blocks: 4})
	require.NoError(t, err)
	all := <-found
	t.Logf("%d listeners: %s", len(all), strings.Join(all, " "))
	require.NotEmpty(t, all)
	for _, l := range all {
		host, _, err := net.SplitHostPort(l)
		require.NoError(t, err)
		require.True(t, net.ParseIP(host).IsLoopback(), l)
	}
	requireNothingRuns(t, b)
}

func listeners(t *testing.T) []string {
	out, err := exec.Command("ss", "-Hltn").Output()
	if err != nil {
		t.Errorf("ss: %v", err)
	}
	var all []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 3 {
			all = append(all, f[3])
		}
	}
	return all
}

func TestLiveBadJobs(t *testing.T) {
	b, d := live(t), small(t)
	t.Run("wrong job id", func(t *testing.T) {
		require.ErrorIs(t, b.Stop(t.Context(), "nobody"), ErrNoJob)
	})
	t.Run("resources that do not exist", func(t *testing.T) {
		b.Endpoint = "http://127.0.0.1:1/v1"
		_, err := b.Report(t.Context(), d, workload.Pipeline{Kind: workload.HTTP, Rows: rows(64), BatchSize: 8, MinActors: 64})
		require.ErrorIs(t, err, ErrResources)
	})
	t.Run("never ends", func(t *testing.T) {
		c := b.Cluster
		c.Limits.Job = 8 * time.Second
		_, err := c.Run(t.Context(), Job{ID: "never-ends", Entrypoint: "sleep 1000"}, func(string) {})
		require.ErrorIs(t, err, ErrNeverEnds)
		requireNothingRuns(t, b)
	})
	t.Run("an endpoint that nobody serves", func(t *testing.T) {
		b.Endpoint = "http://127.0.0.1:1/v1"
		r, err := b.Report(t.Context(), d, workload.Pipeline{Kind: workload.HTTP, Rows: rows(64), BatchSize: 8})
		require.NoError(t, err)
		require.NotNil(t, r.Run.Failure)
		t.Logf("%v: %v", r.Run.Failure.Class, r.Tally)
		require.Equal(t, 64, r.Tally.Lost)
	})
	t.Run("cancelled", func(t *testing.T) {
		url := serving(t, d, nil)
		b.Endpoint = url
		ctx, cancel := context.WithCancel(t.Context())
		go func() { every(ctx, func() bool { return busy(url) }); cancel() }()
		r, err := b.Report(ctx, d, workload.Pipeline{Kind: workload.HTTP, Rows: rows(2000), BatchSize: 8})
		require.ErrorIs(t, err, context.Canceled)
		t.Logf("%v", r.Tally)
		require.Equal(t, "STOPPED", r.End.Status)
		requireNothingRuns(t, b)
	})
}

// TestLiveZClusterStopped is the last: nothing is left to run another test on.
func TestLiveZClusterStopped(t *testing.T) {
	b, d := live(t), small(t)
	url := serving(t, d, nil)
	b.Endpoint, b.Limits.Silence = url, 5*time.Second
	go func() {
		every(t.Context(), func() bool { return busy(url) })
		exec.Command("ray", "stop", "--force").Run()
	}()
	r, err := b.Report(t.Context(), d, workload.Pipeline{Kind: workload.HTTP, Rows: rows(2000), BatchSize: 8})
	require.Error(t, err)
	t.Logf("%v: %v", err, r.Tally)
	require.Equal(t, 2000, r.Tally.OK+r.Tally.Failed+r.Tally.Lost)
	require.Positive(t, r.Tally.Lost)
	require.Empty(t, processes("ray::"))
}
