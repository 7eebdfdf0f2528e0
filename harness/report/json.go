package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/claims"
)

// object is a JSON document; its keys are written in alphabetical order.
type object = map[string]any

type jsonFile struct {
	name, holds string
	of          func(*Facts) object
}

// jsonFiles are the six documents for programs, with the keys of the reports that this project grew from.
func jsonFiles() []jsonFile {
	return []jsonFile{
		{"symbiote_test_report.json", "phase 1, SLA, chosen configurations, claims", (*Facts).testReport},
		{"symbiote_advanced_test_report.json", "phases 2 and 3", (*Facts).advancedReport},
		{"symbiote_kv_cache_stress_report.json", "phase 4", func(f *Facts) object { return f.phaseReport("kvcache") }},
		{"symbiote_model_storage_report.json", "phase 5", func(f *Facts) object { return f.phaseReport("storage") }},
		{"symbiote_chunked_prefill_report.json", "phase 6", func(f *Facts) object { return f.phaseReport("chunkedprefill") }},
		{"FINAL_TEST_REPORT.json", "the outcome of all phases, readiness, the model's error", (*Facts).finalReport},
	}
}

// reportSchema is the form of the JSON documents; a reader of an older one must not misread a newer.
const reportSchema = 1

// document starts every JSON document: its form, when, from what.
func (f *Facts) document() object {
	return object{"schema_version": reportSchema, "timestamp": f.Stamp, "provenance": f.provenance(), "claims": f.claimRows()}
}

// seedOf is how a workload prints its seed.
var seedOf = regexp.MustCompile(`\bseed (\d+)`)

// origins is the provenance of a whole report.
type origins struct {
	Backend      string   `json:"backend"`
	Origin       string   `json:"origin"` // simulated or measured
	VLLMVersions []string `json:"vllm_versions"`
	Hosts        []string `json:"hosts"`
	Seeds        []string `json:"seeds"`
	Deployments  string   `json:"deployments_hash"` // over all of them: equal settings, equal hash
	ModelError   string   `json:"model_error"`
}

func (f *Facts) provenance() origins {
	versions, hosts, seeds := map[string]bool{}, map[string]bool{}, map[string]bool{}
	var deployments strings.Builder
	for _, t := range f.Tests {
		for _, r := range t.Rows {
			if r.VLLMVersion != "" {
				versions[r.VLLMVersion] = true
			}
			if r.Provenance != nil {
				hosts[r.Provenance.Host] = true
			}
			if m := seedOf.FindStringSubmatch(r.Workload); m != nil {
				seeds[m[1]] = true
			}
			deployments.WriteString(r.Deployment + "\n")
		}
	}
	model := "none: measured"
	if f.Backend() == "sim" {
		model = "each result states its own; no backtest stands in these results"
		if f.Serving != nil {
			model = f.Serving.words(mainMetrics()...)
		}
	}
	return origins{f.Backend(), f.origin(), sortedKeys(versions), sortedKeys(hosts), sortedKeys(seeds), hash(deployments.String()), model}
}

func (o origins) String() string {
	return fmt.Sprintf("Figures are %s: vLLM %s, host profiles %s, seeds %s, deployments %s. Model error: %s.",
		o.Origin, strings.Join(o.VLLMVersions, " and "), strings.Join(o.Hosts, ", "), strings.Join(o.Seeds, ", "), o.Deployments, o.ModelError)
}

// results are a suite's cases with all that is known of them.
func (f *Facts) results(suite string) []object {
	out := []object{}
	for _, t := range f.tests(suite) {
		for i := range t.Rows {
			out = append(out, t.Rows[i].result(t))
		}
	}
	return out
}

func (r *Row) result(t Test) object {
	status := "passed"
	if !r.Want.Kept {
		status = "failed"
	}
	o := object{"test_id": r.Case, "table": t.Test, "backend": t.Backend, "status": status, "want": r.Want, "model": r.Model, "gpu": r.GPU,
		"vllm_version": r.VLLMVersion, "deployment": r.Deployment, "deployment_hash": hash(r.Deployment), "shown": r.Cells, "metrics": r.Metrics}
	if r.Metrics == nil {
		o["metrics"] = map[string]float64{}
	}
	for key, part := range map[string]any{"workload": r.Workload, "failure": r.Failure, "reason": r.Reason} {
		if part != "" {
			o[key] = part
		}
	}
	if r.Summary != nil {
		o["summary"] = r.Summary
	}
	if r.Plan != nil {
		o["memory"] = r.Plan
	}
	if r.Provenance != nil {
		o["provenance"] = object{"backend": r.Provenance.Backend, "host": r.Provenance.Host, "model_error": r.Provenance.ModelError}
	}
	return o
}

// hash names a deployment: equal settings, equal hash.
func hash(deployment string) string {
	sum := sha256.Sum256([]byte(deployment))
	return hex.EncodeToString(sum[:6])
}

// counts are how many of these suites' cases keep what they promise. Their further tables are counted beside.
func (f *Facts) counts(suites ...string) object {
	total, passed, beyond, missing, broken := 0, 0, 0, []string{}, []string{}
	for _, suite := range suites {
		broken = append(broken, f.broken(suite)...)
		known := map[string]bool{}
		for _, id := range f.phase(suite).ids {
			if r := f.row(suite, id); r != nil {
				known[r.Case] = true
			}
			if f.row(suite, id) == nil {
				missing = append(missing, id)
				continue
			}
			total++
			if f.kept(suite, id) {
				passed++
			}
		}
		for _, t := range f.tests(suite) {
			for _, r := range t.Rows {
				if !known[r.Case] {
					beyond++
				}
			}
		}
	}
	rate := 0.0
	if total > 0 {
		rate = 100 * float64(passed) / float64(total)
	}
	return object{"total_tests": total, "passed": passed, "failed": total - passed, "success_rate_pct": rate, "missing": missing, "broken_promises": broken, "further_rows": beyond}
}

// tablesOf are the tables of pages' sections, as Markdown and HTML draw them.
func tablesOf(sections []section) []*table {
	out := []*table{}
	for _, s := range sections {
		if s.Table != nil {
			out = append(out, s.Table)
		}
	}
	return out
}

func (f *Facts) testReport() object {
	o := f.document()
	summary := f.counts("configmatrix")
	summary["categories"] = f.categories()
	o["test_matrix_summary"] = summary
	o["test_results"] = f.results("configmatrix")
	o["failure_diagnosis"] = f.diagnosed("configmatrix")
	o["recommendations"] = append(recommended(f.configurations()), f.helped("configmatrix")...)
	o["performance_metrics"] = object{"throughput_by_category": f.categories(), "sla": f.slaRows()}
	o["tables"] = append(tablesOf(f.matrixSections(nil)), tablesOf([]section{f.claimsOf("the configuration matrix", "configmatrix"), f.claimsSection()})...)
	return o
}

func recommended(rs []recommendation) []recommendation {
	if rs == nil {
		return []recommendation{}
	}
	return rs
}

func (f *Facts) slaRows() []volume {
	if v := f.sla(); v != nil {
		return v
	}
	return []volume{}
}

// categories are the matrix's cases by the first word of their names.
func (f *Facts) categories() []object {
	out := []object{}
	for _, c := range []string{"baseline", "concurrency", "large", "stress", "sla"} {
		n, sum, least, most := 0, 0.0, 0.0, 0.0
		for _, r := range f.present("configmatrix") {
			rate, ok := r.number("request_throughput_rps")
			if !ok || !strings.HasPrefix(r.Case, c+"_") {
				continue
			}
			if n == 0 {
				least = rate
			}
			n, sum, least, most = n+1, sum+rate, min(least, rate), max(most, rate)
		}
		if n > 0 {
			out = append(out, object{"category": c, "count": n, "mean_rps": sum / float64(n), "min_rps": least, "max_rps": most})
		}
	}
	return out
}

func (f *Facts) diagnosed(suites ...string) object {
	total, meant := 0, 0
	modes := f.diagnosis(suites...)
	for _, m := range modes {
		total += m.Count
		meant += m.Meant
	}
	return object{"total_failures": total, "expected": meant, "modes": modes}
}

func (f *Facts) advancedReport() object {
	o := f.document()
	for key, suite := range map[string]string{"burstiness_testing": "burstiness", "oom_testing": "oom"} {
		o[key] = object{"summary": f.counts(suite), "results": f.results(suite)}
	}
	o["failure_diagnosis"] = f.diagnosed("burstiness", "oom", "kvcache", "storage", "chunkedprefill")
	o["recommendations"] = f.findings("burstiness", "oom")
	o["tables"] = tablesOf(append(f.advancedSections(nil), f.claimsOf("bursts and memory limits", "burstiness", "oom")))
	return o
}

func (f *Facts) phaseReport(suite string) object {
	o := f.document()
	o["summary"] = f.counts(suite)
	o["results"] = f.results(suite)
	o["failure_diagnosis"] = f.diagnosed(suite)
	o["recommendations"] = f.findings(suite)
	o["tables"] = tablesOf(f.phasePage(suite, "this phase", nil))
	return o
}

func (f *Facts) claimRows() object {
	rows := []object{}
	for _, r := range f.Rulings {
		row := object{"id": r.ID, "where": r.Where, "quote": r.Plain(), "claimed": r.Claimed, "relation": string(r.Rel), "unit": r.Unit,
			"checked_by": r.Checked, "verdict": string(r.Verdict), "reason": r.Reason}
		if r.Found != nil {
			row["found"] = *r.Found
		}
		rows = append(rows, row)
	}
	tally := object{}
	for _, c := range claims.Tally(f.Rulings) {
		tally[strings.ReplaceAll(string(c.Verdict), " ", "_")] = c.N
	}
	return object{"tally": tally, "rulings": rows}
}

func (f *Facts) finalReport() object {
	o := f.document()
	var suites []string
	for _, p := range f.phases {
		suites = append(suites, p.suite)
	}
	all := f.counts(suites...)
	status := "complete: every case keeps its promise"
	if all["failed"].(int) > 0 || len(all["broken_promises"].([]string)) > 0 {
		status = "complete: promises are broken"
	}
	if len(all["missing"].([]string)) > 0 {
		status = "incomplete: cases are missing"
	}
	phases := []object{}
	for i, p := range f.phases {
		c := f.counts(p.suite)
		c["phase"], c["suite"], c["title"] = i+1, p.suite, p.title
		phases = append(phases, c)
	}
	o["overall_status"] = status
	o["key_metrics"] = object{"tests": all, "phases": phases, "claims": f.claimRows()["tally"]}
	o["performance_highlights"] = object{"configurations": recommended(f.configurations()), "sla": f.slaRows()}
	o["production_readiness"] = f.readiness()
	o["tables"] = tablesOf(f.summarySections(nil))
	if f.Serving != nil {
		o["model_error"] = f.Serving.Metrics
	}
	return o
}
