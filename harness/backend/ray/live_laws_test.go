//go:build ray

package ray

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/backend/backendtest"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// TestLiveLaws holds the cluster to what any backend must do.
func TestLiveLaws(t *testing.T) {
	b, d := live(t), small(t)
	d.Server.EnablePerRequestMetrics = true // they tell when the first token was there
	for _, l := range append(backendtest.Small(), backendtest.Pipelines()...) {
		t.Run(l.Name, func(t *testing.T) {
			url := serving(t, d, nil)
			b.Endpoint, b.StandIns = url, []string{url}
			run, err := b.Run(t.Context(), d, l.Play)
			require.NoError(t, err)
			require.Nil(t, run.Failure)
			if l.InFlight == 0 && workload.Requests(l.Play)[len(run.Requests)-1].At == 0 {
				l.InFlight = len(run.Requests) // sent at once, but when Ray comes to them
			}
			backendtest.Check(t, run, l)
		})
	}
	_, err := b.Run(t.Context(), d, workload.Sessions{})
	require.ErrorIs(t, err, errors.ErrUnsupported, "what answers release, and nothing else, Ray Data does not know")
}

// TestLiveLoadOverWorkers: what two workers sent is what the server answered, and what is reported of it is of all
// requests.
func TestLiveLoadOverWorkers(t *testing.T) {
	b, d := live(t), small(t)
	url := serving(t, d, nil)
	program := os.Getenv("SYMBIOTE_BIN")
	if program == "" {
		t.Skip("SYMBIOTE_BIN does not name the program; parts.sh builds it")
	}
	each := filepath.Join(t.TempDir(), "requests.jsonl")
	cmd := exec.Command(program, "load", "-ray", b.Dashboard, "-ray-workers", "2", "-endpoint", url, "-model", d.Model.ID,
		"-rate", "20", "-requests", "81", "-prompt-tokens", "64", "-output-tokens", "16", "-json", "-per-request", each)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	require.NoError(t, err, "%s%s", stderr.String(), text)
	t.Logf("%s", text)
	var told struct {
		Completed int                `json:"completed"`
		TTFT      map[string]float64 `json:"ttft_ms"`
	}
	require.NoError(t, json.Unmarshal(text, &told))
	require.Equal(t, 81, told.Completed)
	file, err := os.Open(each)
	require.NoError(t, err)
	defer file.Close()
	lines, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	var ttft []float64
	for _, l := range lines[1:] {
		ms, err := strconv.ParseFloat(l[slices.Index(lines[0], "ttft_ms")], 64)
		require.NoError(t, err)
		ttft = append(ttft, ms)
	}
	slices.Sort(ttft)
	require.Len(t, ttft, 81)
	require.InDelta(t, ttft[int(math.Ceil(0.9*81))-1], told.TTFT["p90"], 1e-3, "the nearest rank of all requests, not one worker's")
	resp, err := http.Get(strings.TrimSuffix(url, "/v1") + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	metrics, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "81.0", string(served.FindSubmatch(metrics)[1]), "the server's own count")
	requireNothingRuns(t, b)
}
