package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/serve"
)

// served is a stand-in on loopback whose steps take no time, with one key.
func served(t *testing.T, key string) string {
	t.Helper()
	d, err := (&simulateFlags{model: "Qwen/Qwen2.5-0.5B-Instruct", gpu: "l4"}).deployed()
	require.NoError(t, err)
	var timer engine.StepTimer = serve.Fixed(0)
	s, err := serve.New(serve.Config{Deployments: []deploy.Deployment{d}, Timer: timer, APIKeys: []string{key}})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go s.Serve(l)
	t.Cleanup(func() { l.Close(); s.Close() })
	return "http://" + l.Addr().String()
}

func loaded(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = loadCommand(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestLoad(t *testing.T) {
	const key = "marker-key-77"
	url := served(t, key)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	common := []string{"-endpoint", url + "/v1", "-api-key", key, "-closed-loop", "4", "-requests", "12", "-prompt-tokens", "20", "-output-tokens", "5"}

	code, out, errs := loaded(append(common, "-json", "-per-request", file("r.csv"), "-vllm-bench-json", file("b.json"), "-journal", file("j.jsonl"))...)
	require.Zero(t, code, errs)
	var doc map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &doc))
	require.EqualValues(t, 12, doc["requests"])
	require.EqualValues(t, 12, doc["completed"])
	for _, k := range []string{"duration_s", "request_throughput_rps", "output_throughput_tok_s", "total_throughput_tok_s", "ttft_ms", "tpot_ms",
		"itl_ms", "e2el_ms", "queue_ms", "preemptions", "prefix_hit_rate", "kv_usage_peak", "running_mean", "running_peak", "waiting_peak",
		"steps", "num_gpu_blocks", "goodput_rps", "wall_s", "seed", "warnings", "definitions", "client", "cache"} {
		require.Contains(t, doc, k)
	}
	rows, err := csv.NewReader(bytes.NewReader(read(t, file("r.csv")))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 13)
	require.Equal(t, "completed", rows[1][9])
	var bench map[string]any
	require.NoError(t, json.Unmarshal(read(t, file("b.json")), &bench))
	require.EqualValues(t, 60, bench["total_output_tokens"])
	require.Contains(t, bench, "p99_itl_ms")

	code, again, errs := loaded("-journal", file("j.jsonl"), "-report", "-json")
	require.Zero(t, code, errs)
	require.NoError(t, json.Unmarshal([]byte(again), &doc))
	require.EqualValues(t, 12, doc["completed"])

	code, people, warned := loaded(common...)
	require.Zero(t, code, warned)
	require.Contains(t, people, "3 repeats, 95%")
	require.Contains(t, people, "definitions")
	for _, text := range []string{out, errs, people, warned, string(read(t, file("j.jsonl"))), string(read(t, file("b.json")))} {
		require.NotContains(t, text, key)
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	url := served(t, "marker-key-77")
	w := []string{"-closed-loop", "1", "-requests", "1"}
	for _, c := range []struct {
		args []string
		want string
	}{
		{w, "give either -endpoint URL or -launch COMMAND"},
		{append([]string{"-endpoint", url}, w...), "answers 401: the endpoint wants another API key"},
		{append([]string{"-endpoint", url, "-api-key", "marker-key-77", "-model", "other"}, w...), "not other"},
		{append([]string{"-endpoint", "http://127.0.0.1:1"}, w...), "does not answer"},
		{append([]string{"-endpoint", "127.0.0.1:1"}, w...), "want an address such as"},
		{[]string{"-endpoint", url}, "no workload"},
		{append([]string{"-endpoint", url, "-cache", "tepid"}, w...), `-cache "tepid", want cold, warm or hit=50%`},
		{append([]string{"-endpoint", url, "-prompts", "smoke"}, w...), `-prompts "smoke"`},
		{append([]string{"-endpoint", url, "-max-in-flight", "0"}, w...), "-max-in-flight = 0"},
		{append([]string{"-endpoint", url, "-resume"}, w...), "-resume needs -journal"},
		{append([]string{"-launch", "vllm"}, w...), "-launch needs -deployment"},
	} {
		code, _, errs := loaded(c.args...)
		require.Equal(t, 2, code, c.args)
		require.Contains(t, errs, "symbiote load: ")
		require.Contains(t, errs, c.want)
		require.NotContains(t, errs, "marker-key-77")
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}
