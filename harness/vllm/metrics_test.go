package vllm

import (
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScrapeARealPage(t *testing.T) {
	page := readGz(t, "testdata/metrics-0.32.txt.gz")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "/metrics", r.URL.Path)
		w.Write([]byte(page))
	}))
	defer server.Close()
	m, err := Scrape(t.Context(), server.Client(), server.URL+"/")
	require.NoError(t, err)
	require.Empty(t, m.Missing)
	require.Equal(t, 6880.0, m.PrefixQueries)
	require.Equal(t, 6880.0, m.PromptTokens)
	require.Equal(t, 18584.0, m.GenerationTokens)
	require.Equal(t, 614.0, m.Finished["length"])
	require.Equal(t, 45.0, m.Finished["stop"])
	require.Equal(t, 659.0, m.TTFT.Count)
	require.Greater(t, m.TTFT.Mean(), 0.0)
	require.Equal(t, 1, m.Engines)
	require.Equal(t, 128, m.BlockSize)
	require.Positive(t, m.NumBlocks)
}

func TestBothGenerationsOfMetricNames(t *testing.T) {
	read := func(page string) Metrics {
		all, err := ParseMetrics(page)
		require.NoError(t, err)
		return Read(all)
	}
	old := read(`# TYPE vllm:gpu_cache_usage_perc gauge
vllm:gpu_cache_usage_perc{model_name="m"} 0.25
vllm:gpu_prefix_cache_queries{model_name="m"} 100
vllm:gpu_prefix_cache_hits{model_name="m"} 40
vllm:time_per_output_token_seconds_sum{model_name="m"} 3
vllm:time_per_output_token_seconds_count{model_name="m"} 60
`)
	require.Equal(t, 0.25, old.Usage)
	require.Equal(t, 100.0, old.PrefixQueries)
	require.Equal(t, 40.0, old.PrefixHits)
	require.Equal(t, 0.05, old.ITL.Mean())
	require.Contains(t, old.Missing, "vllm:num_requests_running")

	// A version in between prints both; two engines are summed, their cache usage averaged.
	both := read(`vllm:prefix_cache_queries_total{engine="0"} 7
vllm:prefix_cache_queries_total{engine="1"} 5
vllm:gpu_prefix_cache_queries_total{engine="0"} 7
vllm:kv_cache_usage_perc{engine="0"} 0.5
vllm:kv_cache_usage_perc{engine="1"} 1
vllm:gpu_cache_usage_perc{engine="0"} 0.5
`)
	require.Equal(t, 12.0, both.PrefixQueries)
	require.Equal(t, 0.75, both.Usage)
	require.Equal(t, 2, both.Engines)
}

func TestParseMetricsSyntax(t *testing.T) {
	all, err := ParseMetrics("a 1\nb{x=\"1\\\"2\\\\\\n\", y = \"}\"} +Inf 1700000000\nc{} NaN # {trace=\"1\"} 2\n\n#x\n")
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Equal(t, "1\"2\\\n", all[1].Label("x"))
	require.Equal(t, "}", all[1].Label("y"))
	require.True(t, math.IsInf(all[1].Value, 1))
	require.True(t, math.IsNaN(all[2].Value))
	for _, bad := range []string{"a", "a{", `a{x="1} 2`, `a{x=1} 2`, "a{} x", "a ", `{x="1"} 2`} {
		_, err := ParseMetrics("ok 1\n" + bad + "\n")
		require.ErrorContains(t, err, "line 2", bad)
	}
}

func FuzzParseMetrics(f *testing.F) {
	f.Add("vllm:num_requests_running{engine=\"0\",model_name=\"a\\\\b\"} 1.5e3 12\n")
	f.Add("a{b=\"c\"} NaN\n# HELP a b\n")
	f.Fuzz(func(t *testing.T, page string) {
		all, err := ParseMetrics(page)
		if err != nil {
			return
		}
		_ = Read(all)
		// What was read can be written and read again.
		var again strings.Builder
		for _, s := range all {
			again.WriteString(s.Name + "{")
			for _, l := range s.Labels {
				again.WriteString(l.Name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(l.Value) + `",`)
			}
			again.WriteString("} 1\n")
		}
		second, err := ParseMetrics(again.String())
		require.NoError(t, err, again.String())
		require.Len(t, second, len(all))
		for i := range all {
			require.Equal(t, all[i].Labels, second[i].Labels)
		}
	})
}
