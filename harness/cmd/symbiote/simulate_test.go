package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/stats"
)

// written puts texts into files of a folder of their own and returns its path.
func written(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return dir
}

const sevenB = "model: Qwen/Qwen2.5-7B-Instruct\ngpu: a100-80gb-sxm\n"

// What cannot be simulated says where and what, exits with 2, and prints no figure.
func TestSimulateRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		args  string
		says  string
	}{
		"no deployment":   {nil, "-rate 3", "no deployment: give -deployment FILE, or -model and -gpu"},
		"no workload":     {map[string]string{"d.yaml": sevenB}, "-deployment d.yaml", "no workload: give -trace FILE"},
		"two workloads":   {map[string]string{"d.yaml": sevenB}, "-deployment d.yaml -rate 3 -closed-loop 4", "-closed-loop and -rate are given together"},
		"unknown model":   {map[string]string{"d.yaml": "model: Qwen/Qwen9\ngpu: h100-sxm\n"}, "-deployment d.yaml -rate 3", "d.yaml:1:8: model = \"Qwen/Qwen9\" is not known, want"},
		"unknown GPU":     {nil, "-model Qwen/Qwen2.5-7B-Instruct -gpu tpu -rate 3", "a100-40gb-sxm"},
		"unknown field":   {map[string]string{"d.yaml": sevenB + "engine: {max_seqs: 3}\n"}, "-deployment d.yaml -rate 3", "d.yaml:3:"},
		"wrong type":      {map[string]string{"d.yaml": sevenB + "engine: {max_num_seqs: many}\n"}, "-deployment d.yaml -rate 3", "d.yaml:3:"},
		"1.5 of a whole":  {map[string]string{"d.yaml": sevenB + "engine: {max_num_seqs: 1.5}\n"}, "-deployment d.yaml -rate 3", "d.yaml:3:"},
		"second document": {map[string]string{"d.yaml": sevenB + "---\n" + sevenB}, "-deployment d.yaml -rate 3", "d.yaml:3:"},
		"negative rate":   {map[string]string{"d.yaml": sevenB}, "-deployment d.yaml -rate -3", "rate = -3, want > 0"},
		"empty trace":     {map[string]string{"d.yaml": sevenB, "t.csv": "arrival_s,prompt_tokens,output_tokens\n"}, "-deployment d.yaml -trace t.csv", "t.csv"},
		"unsorted trace":  {map[string]string{"d.yaml": sevenB, "t.csv": "arrival_s,prompt_tokens,output_tokens\n2,5,5\n1,5,5\n"}, "-deployment d.yaml -trace t.csv", "t.csv:3"},
		"all prompts too long": {map[string]string{"d.yaml": sevenB}, "-deployment d.yaml -rate 5 -requests 3 -prompt-tokens 50000",
			"none of 3 requests completed: request 0: prompt = 50000 tokens, max-model-len 32768"},
		"pipeline without": {map[string]string{"d.yaml": sevenB}, "-deployment d.yaml -pipeline -requests 5", "the deployment has no pipeline"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(written(t, c.files))
			var out, err bytes.Buffer
			code := run(append([]string{"simulate"}, strings.Fields(c.args)...), &out, &err)
			require.Equal(t, 2, code, err.String())
			require.True(t, strings.HasPrefix(err.String(), "symbiote simulate: "), err.String())
			require.Contains(t, err.String(), c.says)
			require.Empty(t, out.String())
		})
	}
}

// A deployment that does not start, and an SLO that is missed, are answers: 1.
func TestSimulateSaysNo(t *testing.T) {
	var out, err bytes.Buffer
	require.Equal(t, 1, run(strings.Fields("simulate -model Qwen/Qwen2.5-72B-Instruct -gpu rtx-3090 -rate 3 -json"), &out, &err), err.String())
	require.Contains(t, out.String(), `"failure": "weights_do_not_fit"`)
	out.Reset()
	require.Equal(t, 1, run(strings.Fields("simulate -model Qwen/Qwen2.5-7B-Instruct -gpu h100-sxm -closed-loop 64 -requests 200 -slo-ttft-ms 1"), &out, &err), err.String())
	require.Contains(t, out.String(), "met TTFT ≤ 1ms")

	t.Chdir(written(t, map[string]string{"d.yaml": sevenB + "engine: {max_num_seqs: 300, max_num_batched_tokens: 256}\n"}))
	out.Reset()
	require.Equal(t, 1, run(strings.Fields("simulate -deployment d.yaml -rate 3 -json"), &out, &err), err.String())
	require.Contains(t, out.String(), "max_num_batched_tokens (256) must be greater than or equal to max_num_seqs (300).")
}

// One too long prompt among others is a rejected request, counted; the file of requests has a line for each.
func TestSimulateCountsWhatIsRejected(t *testing.T) {
	t.Chdir(written(t, map[string]string{"d.yaml": sevenB, "t.csv": "arrival_s,prompt_tokens,output_tokens\n0,100,5\n0.1,40000,5\n0.2,100,1\n"}))
	var out, err bytes.Buffer
	require.Equal(t, 0, run(strings.Fields("simulate -deployment d.yaml -trace t.csv -json -per-request r.csv -record r.jsonl"), &out, &err), err.String())
	var doc struct {
		Requests, Completed, Failed int
		Warnings                    []string
		TTFT                        map[string]float64 `json:"ttft_ms"`
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &doc))
	require.Equal(t, []int{3, 2, 1}, []int{doc.Requests, doc.Completed, doc.Failed})
	require.Contains(t, strings.Join(doc.Warnings, "; "), "1 request was rejected")
	require.Positive(t, doc.TTFT["p99"])
	f, e := os.Open("r.csv")
	require.NoError(t, e)
	defer f.Close()
	rows, e := csv.NewReader(f).ReadAll()
	require.NoError(t, e)
	require.Len(t, rows, 4)
	require.Equal(t, "id,arrival_s,ttft_ms,tpot_ms,e2el_ms,prompt_tokens,output_tokens,cached_tokens,preemptions,outcome", strings.Join(rows[0], ","))
	outcomes := []string{rows[1][9], rows[2][9], rows[3][9]}
	require.ElementsMatch(t, []string{"completed", "completed", "rejected"}, outcomes)
	j, e := os.Open("r.jsonl")
	require.NoError(t, e)
	defer j.Close()
	back, e := record.Read(j)
	require.NoError(t, e)
	require.Len(t, back.Requests, 3)
	require.InDelta(t, doc.TTFT["p99"], stats.Summarize(back).TTFT.Milliseconds("p99"), 1e-9, "what is read back says the same")
}

// The same input gives the same bytes, with decodes in aggregate and one by one.
func TestSimulateIsTheSameEveryTime(t *testing.T) {
	t.Chdir(written(t, map[string]string{"d.yaml": sevenB + "engine: {num_gpu_blocks_override: 2100}\n"}))
	var files [3]string
	for i, more := range []string{"", "", " -reference"} {
		var out, err bytes.Buffer
		args := "simulate -deployment d.yaml -rate 40 -requests 3000 -prompt-tokens lognormal:170,80,16,1024 -output-tokens lognormal:100,60,1,512" +
			" -shared-prefix-tokens 64 -prefix-groups 5 -seed 7 -per-request r.csv" + more
		require.Equal(t, 0, run(strings.Fields(args), &out, &err), err.String())
		b, e := os.ReadFile("r.csv")
		require.NoError(t, e)
		files[i] = string(b) + out.String()
	}
	require.Equal(t, files[0], files[1])
	require.Equal(t, files[0], files[2])
}
