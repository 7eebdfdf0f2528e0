package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

var moment = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// sample is a results folder with every case of every phase.
func sample(t *testing.T, backend string) Results {
	t.Helper()
	var r Results
	for _, p := range phases() {
		test := Test{Schema: 1, Suite: p.suite, Test: "Test", Asks: "Does it?", Backend: backend, Columns: []string{"req/s", "verdict"},
			Sources: []string{"Simulated: vLLM 0.33.0; 12 %."}, Promises: []Kept{{Says: "more is more", Kept: true}}}
		for i, id := range p.ids {
			test.Rows = append(test.Rows, sampleRow(id, i))
		}
		r.Tests = append(r.Tests, test)
	}
	r.Serving = &Serving{Cases: 3, Metrics: map[string]MetricErrors{"request_throughput": {3, 4, 3, 9}, "ttft_mean": {3, 20, 15, 40}}}
	r.Serving.PerCase = []Replay{{"a", "validation", map[string]float64{"ttft_mean": -12}, rates{100}, rates{90}}, {"b", "calibration", nil, rates{1000}, rates{1100}}}
	return r
}

func sampleRow(id string, i int) Row {
	x := float64(i + 1)
	row := Row{Case: id, Model: "m", GPU: "a100-40gb-sxm", VLLMVersion: "0.33.0", Deployment: "m on g | odd", Workload: "rows · seed 7", Want: Kept{Says: "completes", Kept: true},
		Cells: map[string]string{"req/s": fmt.Sprintf("%g/s", 100*x), "verdict": "production"}, Metrics: map[string]float64{"longest-stall-ns": 1e6 * x},
		Summary: map[string]any{"request_throughput_rps": 190 * x, "kv_usage_peak": 0.5, "preemptions": 0.0,
			"ttft_ms": map[string]any{"p99": 100 * x, "mean": 50.0}, "e2el_ms": map[string]any{"p99": 1000 * x}},
		Plan:       map[string]float64{"gpu_total_gib": 40, "budget_gib": 36, "weights_gib": 1, "activation_gib": x / 100, "kv_cache_gib": 30},
		Provenance: &Provenance{Backend: "sim", Host: "default", ModelError: "12 %"}}
	row.Picture = &Picture{TTFTms: []float64{1, 2, 3 + x}}
	for s := range 3 {
		row.Picture.Samples = append(row.Picture.Samples, struct {
			AtS     float64 `json:"at_s"`
			Running float64 `json:"running"`
			Waiting float64 `json:"waiting"`
			Usage   float64 `json:"kv_usage"`
		}{float64(s) * 20, x, x, 0.3})
	}
	return row
}

func gathered(t *testing.T, r Results) *Facts {
	t.Helper()
	f, err := Gather(r, moment)
	require.NoError(t, err)
	return f
}

func rendered(t *testing.T, f *Facts) map[string]string {
	t.Helper()
	files, err := f.Render()
	require.NoError(t, err)
	all := map[string]string{}
	for _, file := range files {
		all[file.Name] = string(file.Content)
	}
	return all
}

func TestEveryCaseIsKnown(t *testing.T) {
	n := 0
	for _, p := range phases() {
		n += len(p.ids)
	}
	require.Equal(t, 123, n)
}

func TestDocumentsObeyTheirSchemas(t *testing.T) {
	broken := sample(t, "sim")
	broken.Tests = broken.Tests[:3]
	broken.Serving = nil
	broken.Tests[2].Rows[3].Failure, broken.Tests[2].Rows[3].Want = "no_room_for_kv", Kept{Says: "starts", But: "it does not"}
	for name, r := range map[string]Results{"whole": sample(t, "sim"), "broken": broken, "live": sample(t, "live")} {
		files := rendered(t, gathered(t, r))
		for _, d := range jsonFiles() {
			require.NoError(t, validate(t, d.name, files[d.name]), "%s: %s", name, d.name)
		}
	}
	require.Error(t, validate(t, "FINAL_TEST_REPORT.json", `{"schema_version": 1}`), "a schema that refuses nothing proves nothing")
}

// validate holds a document against its schema. Schemas refer to each other by $id; nothing is fetched.
func validate(t *testing.T, name, content string) error {
	t.Helper()
	c := jsonschema.NewCompiler()
	id := ""
	for _, schema := range []string{"common", strings.TrimSuffix(name, ".json")} {
		raw, err := os.ReadFile(filepath.Join("schemas", schema+".schema.json"))
		require.NoError(t, err)
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
		require.NoError(t, err)
		id = doc.(map[string]any)["$id"].(string)
		require.NoError(t, c.AddResource(id, doc))
	}
	s, err := c.Compile(id)
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(content))
	require.NoError(t, err)
	return s.Validate(doc)
}

// TestKeysOfTheSeeds: programs that read the older reports find their keys.
func TestKeysOfTheSeeds(t *testing.T) {
	files := rendered(t, gathered(t, sample(t, "sim")))
	for name, keys := range map[string][]string{
		"symbiote_test_report.json":          {"timestamp", "test_matrix_summary", "test_results", "failure_diagnosis", "recommendations", "performance_metrics"},
		"symbiote_advanced_test_report.json": {"burstiness_testing.summary", "burstiness_testing.results", "oom_testing.summary", "oom_testing.results", "failure_diagnosis", "recommendations"},
		"FINAL_TEST_REPORT.json":             {"overall_status", "key_metrics", "performance_highlights", "production_readiness"},
	} {
		var doc map[string]any
		require.NoError(t, json.Unmarshal([]byte(files[name]), &doc))
		for _, key := range keys {
			at := any(doc)
			for part := range strings.SplitSeq(key, ".") {
				at = at.(map[string]any)[part]
			}
			require.NotNil(t, at, "%s: %s", name, key)
		}
	}
	for _, name := range []string{summaryFile, fixesFile, advancedFile, kvFile, storageFile, prefillFile, indexFile, claimsFile, "index.html"} {
		require.NotEmpty(t, files[name], name)
	}
}

var tableRow = regexp.MustCompile(`(?m)^\|.*\|$`)

// TestMarkdownSaysWhatJSONSays: tables are well formed, and each of their rows stands in a JSON document.
func TestMarkdownSaysWhatJSONSays(t *testing.T) {
	files := rendered(t, gathered(t, sample(t, "sim")))
	known := map[string]bool{}
	for _, d := range jsonFiles() {
		var doc struct{ Tables []table }
		require.NoError(t, json.Unmarshal([]byte(files[d.name]), &doc))
		require.NotEmpty(t, doc.Tables, d.name)
		for _, tab := range doc.Tables {
			for _, r := range append(tab.Rows, tab.Columns) {
				known[strings.Join(r, "\x00")] = true
			}
		}
	}
	for name, content := range files {
		if !strings.HasSuffix(name, ".md") || name == indexFile {
			continue
		}
		rows := tableRow.FindAllString(content, -1)
		require.Greater(t, len(rows), 3, name)
		for _, block := range regexp.MustCompile(`(?m)(^\|.*\|\n)+`).FindAllString(content, -1) {
			lines := strings.Split(strings.TrimSpace(block), "\n")
			width := len(cells(lines[0]))
			require.Regexp(t, `^\|(---\|)+$`, lines[1], name)
			for i, line := range lines {
				require.Len(t, cells(line), width, "%s: %s", name, line)
				if i != 1 {
					require.True(t, known[strings.Join(cells(line), "\x00")], "%s: %s is in no JSON document", name, line)
				}
			}
		}
	}
}

func cells(line string) []string {
	line = strings.ReplaceAll(strings.Trim(line, "|"), `\|`, "\x01")
	var out []string
	for c := range strings.SplitSeq(line, "|") {
		out = append(out, strings.ReplaceAll(strings.TrimSpace(c), "\x01", "|"))
	}
	return out
}

func TestThePageStandsAlone(t *testing.T) {
	files := rendered(t, gathered(t, sample(t, "sim")))
	page := files["index.html"]
	require.Less(t, len(page), 1<<20)
	require.NotRegexp(t, `<script|@import|url\(|<img|src=|href="https?:`, page, "nothing is fetched")
	ids := map[string]int{}
	for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		ids[m[1]]++
		require.Equal(t, 1, ids[m[1]], "id %s", m[1])
	}
	for _, m := range regexp.MustCompile(`href="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		switch {
		case m[1] == "data:,":
		case strings.HasPrefix(m[1], "#"):
			require.Contains(t, ids, m[1][1:], "the page links to %s", m[1])
		default:
			require.Contains(t, files, m[1], "the page links to %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(files[indexFile], -1) {
		require.Contains(t, files, m[1])
	}
	for _, id := range []string{"cdf", "queue", "usage", "burst", "memory", "storage", "pareto", "stall", "error"} {
		require.Contains(t, page, `id="`+id+`-t"`, "picture %s", id)
	}
	require.Equal(t, strings.Count(page, "<svg"), strings.Count(page, "<figcaption>"))
	require.NotContains(t, page, "NaN")
}

func TestProvenanceIsInEachFile(t *testing.T) {
	f := gathered(t, sample(t, "sim"))
	require.Equal(t, []string{"7"}, f.provenance().Seeds)
	for name, content := range rendered(t, f) {
		require.Contains(t, content, f.Stamp, name)
		require.Contains(t, content, f.provenance().Deployments, name)
		require.Contains(t, content, "mean absolute error", name)
	}
}

func TestRepetitionIsIdentical(t *testing.T) {
	a, b := rendered(t, gathered(t, sample(t, "sim"))), rendered(t, gathered(t, sample(t, "sim")))
	require.Equal(t, a, b)
}

func TestNothingIsApproved(t *testing.T) {
	for name, content := range rendered(t, gathered(t, sample(t, "sim"))) {
		require.NotRegexp(t, `(?i)approved for|production approved`, strings.ReplaceAll(content, "APPROVED FOR PRODUCTION", ""), name)
	}
}

func TestLiveStandsBesideSimulated(t *testing.T) {
	both := sample(t, "sim")
	live := sample(t, "live")
	live.Tests[0].Rows[0].Summary["request_throughput_rps"] = 200.0
	both.Tests = append(both.Tests, live.Tests[0])
	f := gathered(t, both)
	require.Equal(t, "sim", f.Backend())
	got := f.besideTable()
	require.Equal(t, []string{"baseline_0.5b_128_2", "request_throughput_rps", "190", "200", "-5.00 %"}, got.Rows[0])
}

// TestHeldOutRunsAreTheError: an error over runs that a profile was fitted on flatters the model.
func TestHeldOutRunsAreTheError(t *testing.T) {
	s := sample(t, "sim").Serving
	m, whose := s.of("ttft_mean")
	require.Equal(t, MetricErrors{1, 12, 12, 12}, m)
	require.Contains(t, whose, "nothing was fitted on")
	m, whose = s.of("request_throughput")
	require.Equal(t, 3, m.N)
	require.Equal(t, "measured runs", whose)
}

func TestABrokenPromiseShows(t *testing.T) {
	r := sample(t, "sim")
	r.Tests[0].Promises[0].Kept = false
	f := gathered(t, r)
	require.Contains(t, f.Outcome().String(), "123 of 123 cases keep their promise (sim); 1 promises of cases together are broken; ")
	require.Equal(t, "complete: promises are broken", f.finalReport()["overall_status"])
	require.Contains(t, rendered(t, f)[summaryFile], "11 of 11 kept; 1 promises of the cases together are broken")
}

func TestOnlyWhatHelpedIsRecommended(t *testing.T) {
	r := sample(t, "sim")
	advice := Test{Schema: 1, Suite: "kvcache", Test: "TestAdvice", Asks: "What helps?", Backend: "sim", Columns: []string{"change", "why", "seen", "before", "after", "helps"}}
	for rule, helps := range map[string]string{"fp8-KV-cache": "yes", "fewer-seats": "no"} {
		advice.Rows = append(advice.Rows, Row{Case: "of=kv_thrash/rule=" + rule, Want: Kept{Kept: true},
			Cells: map[string]string{"change": "by " + rule, "why": "so", "seen": "thus", "before": "4/s", "after": "5/s", "helps": helps}})
	}
	r.Tests = append(r.Tests, advice)
	f := gathered(t, r)
	require.Equal(t, []recommendation{{"kv_thrash: by fp8-KV-cache", "by fp8-KV-cache", "so (thus). Before: 4/s. After: 5/s. Tried by simulation, not on a server", "of=kv_thrash/rule=fp8-KV-cache"}}, f.helped("kvcache"))
	files := rendered(t, f)
	require.NoError(t, validate(t, "symbiote_kv_cache_stress_report.json", files["symbiote_kv_cache_stress_report.json"]))
	require.Contains(t, files[kvFile], "kv_thrash: by fp8-KV-cache")
	require.Equal(t, 123, f.Outcome().Passed, "advice is no case")
}
