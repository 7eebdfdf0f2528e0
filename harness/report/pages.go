package report

import (
	"fmt"
	"slices"
	"strings"
)

// The Markdown files, by the names of the reports that this project grew from.
const (
	summaryFile  = "TESTING_COMPLETE_SUMMARY.md"
	fixesFile    = "SYMBIOTE_FIXES_REPORT.md"
	advancedFile = "SYMBIOTE_ADVANCED_TEST_REPORT.md"
	kvFile       = "SYMBIOTE_KV_CACHE_ANALYSIS.md"
	storageFile  = "SYMBIOTE_MODEL_STORAGE_ANALYSIS.md"
	prefillFile  = "SYMBIOTE_CHUNKED_PREFILL_ANALYSIS.md"
	indexFile    = "TESTING_ARTIFACTS_INDEX.md"
	claimsFile   = "CLAIMS_LEDGER.md"
)

// pages are the documents for people. Each section stands in one of them only, so index.html can hold all.
func (f *Facts) pages() []page {
	pics := f.pictures()
	return []page{
		{summaryFile, "Testing Symbiote: summary", "decision makers", "Nothing here is approved. For each promise there is a verdict, what it rests on, and how wrong the model may be.",
			append(f.summarySections(pics), f.claimsOf("all phases", ""))},
		{fixesFile, "Configuration matrix and configurations", "engineers", "Phase 1: which batch size and concurrency a batch job on Ray Data and vLLM wants.", append(f.matrixSections(pics), f.claimsOf("the configuration matrix", "configmatrix"))},
		{advancedFile, "Bursts and memory limits", "engineers", "Phases 2 and 3: what happens in a burst, and what starts at all.", append(f.advancedSections(pics), f.claimsOf("bursts and memory limits", "burstiness", "oom"))},
		{kvFile, "KV-cache stress", "engineers", "Phase 4: what breaks first when the KV cache is under stress.", f.phasePage("kvcache", "the KV cache", pics["usage"])},
		{storageFile, "Model weight storage", "architects", "Phase 5: which model fits which GPU in which quantization.", f.phasePage("storage", "weight storage", pics["storage"])},
		{prefillFile, "Chunked prefill", "platform engineers", "Phase 6: what a long prompt does to those who are decoding, and what chunking buys. Chunking cannot make a lone prompt faster; it spares the others.", f.phasePage("chunkedprefill", "chunked prefill", pics["stall"])},
		{claimsFile, "Claims ledger", "everybody", "What the two reports that this project grew from assert in numbers, and what became of each claim here.", []section{f.claimsSection()}},
		{indexFile, "What is in this folder", "everybody", "", f.indexSections()},
	}
}

func (f *Facts) summarySections(pics map[string]*plot) []section {
	ready := &table{Title: "Readiness", Columns: []string{"promise", "verdict", "rests on", "model's error"}}
	for _, r := range f.readiness() {
		ready.add(r.Promise, r.Verdict, r.RestsOn, r.Error)
	}
	out := []section{{Title: "Readiness, promise by promise", Table: ready}}
	out = append(out, section{Title: "A day's volume", Text: []string{"At the rate that 100,000 rows reach with batch_size 256 and concurrency 4. A verdict counts the model's error."}, Table: f.slaTable()})
	out = append(out, section{Title: "How wrong the model is", Text: f.errorWords(), Table: f.errorTable(), Picture: pics["error"]})
	if t := f.besideTable(); t != nil {
		out = append(out, section{Title: "Simulated and measured, side by side", Table: t})
	}
	out = append(out, section{Title: "Risks, by evidence", Table: f.riskTable()}, section{Title: "Deployment checklist", Table: f.checklist()},
		section{Title: "Where the figures come from", Table: f.provenanceTable()})
	return out
}

func (f *Facts) slaTable() *table {
	t := &table{Title: "SLA", Columns: []string{"volume", "requests", "time", "margin of 24 h", "verdict"}, Source: f.source("configmatrix")}
	for _, v := range f.sla() {
		t.add(v.Name, v.Shown[0], v.Shown[1], v.Shown[2], v.Verdict)
	}
	return t.orNil()
}

func (f *Facts) errorWords() []string {
	if f.Backend() != "sim" {
		return []string{"These figures were measured; no model stands between them and the server."}
	}
	if f.Serving == nil {
		return []string{"These results hold no backtest, so only what each row's profile states is known. `make run` writes one beside the suites' results."}
	}
	return []string{"The simulator was held against runs of a real vLLM, replayed. Figures are absolute errors in percent of the measured value."}
}

func (f *Facts) errorTable() *table {
	if f.Serving == nil {
		return nil
	}
	t := &table{Title: "Model error", Columns: []string{"metric", "over", "runs", "mean error", "median", "90th percentile"}, Source: "From `symbiote backtest serving` on measured runs; held out are those that nothing was fitted on."}
	for _, m := range sortedKeys(f.Serving.Metrics) {
		if e := f.Serving.over("validation", m); e.N > 0 {
			t.add(m, "held out", count(float64(e.N)), percent(e.Mean), percent(e.Median), percent(e.P90))
		}
		if e := f.Serving.Metrics[m]; e.N > 0 {
			t.add(m, "all", count(float64(e.N)), percent(e.Mean), percent(e.Median), percent(e.P90))
		}
	}
	return t.orNil()
}

// besideTable holds the cases that two backends ran.
func (f *Facts) besideTable() *table {
	t := &table{Title: "Side by side", Columns: []string{"case", "figure", "simulated", "measured", "error"}, Source: "The error is simulated ÷ measured − 1."}
	for _, other := range f.Others {
		for i := range other.Rows {
			o := &other.Rows[i]
			mine := f.row(other.Suite, o.Case)
			if mine == nil {
				continue
			}
			for _, key := range []string{"request_throughput_rps", "output_throughput_tok_s"} {
				a, ok1 := mine.number(key)
				b, ok2 := o.number(key)
				if ok1 && ok2 && b != 0 {
					t.add(o.Case, key, figure(a), figure(b), percent(100*(a/b-1)))
				}
			}
			for _, key := range []string{"ttft_ms", "tpot_ms", "e2el_ms"} {
				a, ok1 := mine.dist(key, "mean")
				b, ok2 := o.dist(key, "mean")
				if ok1 && ok2 && b != 0 {
					t.add(o.Case, key+" mean", figure(a), figure(b), percent(100*(a/b-1)))
				}
			}
		}
	}
	return t.orNil()
}

// riskTable ranks by what was seen, not by opinion.
func (f *Facts) riskTable() *table {
	t := &table{Title: "Risks", Columns: []string{"risk", "level", "evidence"}, Source: f.origin()}
	for _, v := range f.sla() {
		level := "low"
		if strings.HasPrefix(v.Verdict, "undecided") {
			level = "medium"
		} else if strings.HasPrefix(v.Verdict, "misses") {
			level = "high"
		}
		if v.Name != "largest in 24 h" {
			t.add(v.Name+" requests take longer than a day", level, v.Shown[1]+", margin "+v.Shown[2]+"; model off by up to "+percent(v.Error))
		}
	}
	for _, p := range f.phases {
		for _, id := range p.ids {
			r := f.row(p.suite, id)
			if r == nil {
				continue
			}
			preempted, _ := r.number("preemptions")
			usage, _ := r.number("kv_usage_peak")
			switch {
			case !f.kept(p.suite, id):
				t.add(id+" breaks its promise", "high", r.Want.But)
			case preempted > 0:
				t.add(id+" preempts", "medium", fmt.Sprintf("%s preemptions, KV usage up to %s", count(preempted), percent(100*usage)))
			}
		}
	}
	return t.orNil()
}

// checklist says for each point of a deployment whether it can be checked here, and what came of it.
func (f *Facts) checklist() *table {
	t := &table{Title: "Checklist", Columns: []string{"point", "checked here", "result"}}
	var memory, sla, burst string
	if r := f.row("configmatrix", slaCase); r != nil {
		if share, ok := r.ofBudget(); ok {
			memory = fmt.Sprintf("%s of the budget in use at the peak of %s", percent(100*share), slaCase)
		}
		if s := f.sla(); len(s) > 0 {
			sla = s[0].Verdict
		}
	}
	if rows := f.present("burstiness"); len(rows) > 0 {
		kept := 0
		for _, r := range rows {
			if f.kept("burstiness", r.Case) {
				kept++
			}
		}
		burst = fmt.Sprintf("%d of %d bursts as promised", kept, len(rows))
	}
	yes := func(result string) string {
		if result == "" {
			return "not in these results"
		}
		return "yes"
	}
	t.add("GPU memory holds the chosen configuration", yes(memory), memory)
	t.add("The day is long enough for 100,000 rows", yes(sla), sla)
	t.add("Bursts lose no request", yes(burst), burst)
	for _, point := range []string{"The GPUs of the fleet are of the kind and driver that was assumed", "Metrics are scraped and kept", "Alerts fire when the ETA passes the deadline", "Clients back off when the server refuses", "Requests are logged for audit"} {
		t.add(point, "not checkable here", "")
	}
	return t
}

func (f *Facts) provenanceTable() *table {
	t := &table{Title: "Provenance", Columns: []string{"suite", "table", "backend", "vLLM", "host", "stated error"}}
	for _, test := range append(slices.Clone(f.Tests), f.Others...) {
		seen := map[string]bool{}
		for _, r := range test.Rows {
			host, says := "–", "planned, not run"
			if r.Plan == nil {
				says = "as the table's note says"
			}
			if r.Provenance != nil {
				host, says = r.Provenance.Host, r.Provenance.ModelError
			}
			if key := r.VLLMVersion + host + says; !seen[key] {
				seen[key] = true
				t.add(test.Suite, test.Test, test.Backend, r.VLLMVersion, host, says)
			}
		}
	}
	return t.orNil()
}

func (f *Facts) matrixSections(pics map[string]*plot) []section {
	out := f.phaseSections("configmatrix", pics["cdf"])
	out = append(out, section{Title: "Throughput against latency", Picture: pics["pareto"]}, section{Title: "Memory by deployment", Picture: pics["memory"]})
	t := &table{Title: "Configurations", Columns: []string{"configuration", "setting", "evidence"}, Source: f.source("configmatrix")}
	for _, c := range append(f.configurations(), f.helped("configmatrix")...) {
		t.add(c.Title, c.Setting, c.Evidence)
	}
	out = append(out, section{Title: "Configurations that the search chose", Text: []string{"Chosen among the cases that were run on one A100-40GB, and found by the sweep under its SLO; not by rule of thumb. 13B stands for Qwen2.5-14B, as there is no Qwen2.5 of 13B."}, Table: t.orNil()})
	return slices.DeleteFunc(append(out, f.failureSection("Failure modes: configuration matrix", "configmatrix")), section.empty)
}

func (f *Facts) advancedSections(pics map[string]*plot) []section {
	out := f.phaseSections("burstiness", pics["burst"])
	out = append(out, section{Title: "Queues of all bursts", Picture: pics["queue"]})
	out = append(out, f.phaseSections("oom", nil)...)
	out = append(out, section{Title: "Recommendations: bursts and memory limits", Table: f.findingsTable("burstiness", "oom")})
	return slices.DeleteFunc(append(out, f.failureSection("Failure modes: bursts and memory", "burstiness", "oom", "kvcache", "storage", "chunkedprefill")), section.empty)
}

func (s section) empty() bool {
	return s.Text == nil && s.List == nil && s.Table == nil && s.Picture == nil
}

// failureSection counts failures by mode; classes stand beneath.
func (f *Facts) failureSection(title string, suites ...string) section {
	t := &table{Title: title, Columns: []string{"mode", "failures", "of them promised", "classes", "cases"}}
	for _, m := range f.diagnosis(suites...) {
		var classes []string
		for _, c := range sortedKeys(m.Classes) {
			classes = append(classes, fmt.Sprintf("%s %d", c, m.Classes[c]))
		}
		t.add(strings.ReplaceAll(m.Mode, "_", " "), count(float64(m.Count)), count(float64(m.Meant)), strings.Join(classes, ", "), strings.Join(m.Cases, ", "))
	}
	return section{Title: title, Text: []string{"A start that vLLM refuses is a result. Where a case promises it, it is counted as promised."}, Table: t}
}

// phaseSections are a suite's tables as its golden files show them, and what the cases promised.
func (f *Facts) phaseSections(suite string, pic *plot) []section {
	title := f.phase(suite).title
	var out []section
	for i, test := range f.tests(suite) {
		t := &table{Title: test.Suite + "/" + test.Test, Columns: append([]string{"case"}, test.Columns...), Source: strings.Join(test.Sources, " ")}
		for _, r := range test.Rows {
			cells := []string{r.Case}
			for _, c := range test.Columns {
				cells = append(cells, r.Cells[c])
			}
			t.add(cells...)
		}
		s := section{Title: title + ": " + test.Test, Text: []string{test.Asks}, Table: t}
		if i == 0 {
			s.Picture = pic
		}
		for _, r := range test.Rows {
			if !r.Want.Kept {
				s.List = append(s.List, fmt.Sprintf("Broken: %s, want that it %s: %s", r.Case, r.Want.Says, r.Want.But))
			}
		}
		for _, p := range test.Promises {
			word := "Kept"
			if !p.Kept {
				word = "Broken"
			}
			s.List = append(s.List, word+": "+p.Says)
		}
		out = append(out, s)
	}
	if out == nil {
		out = []section{{Title: title, Text: []string{"Not in these results."}}}
	}
	return out
}

// phasePage is a phase that has a file of its own.
func (f *Facts) phasePage(suite, about string, pic *plot) []section {
	out := f.phaseSections(suite, pic)
	out = append(out, section{Title: "Recommendations: " + f.phase(suite).title, Table: f.findingsTable(suite)})
	return slices.DeleteFunc(append(out, f.claimsOf(about, suite)), section.empty)
}

// source is where the figures of a suite come from, once.
func (f *Facts) source(suite string) string {
	for _, t := range f.tests(suite) {
		if len(t.Sources) > 0 {
			return t.Sources[0]
		}
	}
	return ""
}

func (f *Facts) indexSections() []section {
	link := func(name string) string { return "[" + name + "](" + name + ")" }
	people := &table{Title: "For people", Columns: []string{"file", "for", "holds"}}
	people.add(link("index.html"), "everybody", "all of the below with pictures")
	for _, p := range []struct{ file, who, holds string }{
		{summaryFile, "decision makers", "readiness, a day's volume, the model's error, risks, checklist"},
		{fixesFile, "engineers", "phase 1: configuration matrix, chosen configurations"},
		{advancedFile, "engineers", "phases 2 and 3: bursts, memory limits, failure modes"},
		{kvFile, "engineers", "phase 4: KV-cache stress"}, {storageFile, "architects", "phase 5: model weight storage"},
		{prefillFile, "platform engineers", "phase 6: chunked prefill"},
		{claimsFile, "everybody", "each numeric claim of the older reports, recomputed or held against these results"},
	} {
		people.add(link(p.file), p.who, p.holds)
	}
	programs := &table{Title: "For programs", Columns: []string{"file", "holds"}}
	for _, d := range jsonFiles() {
		programs.add(link(d.name), d.holds)
	}
	return []section{{Title: "For people", Table: people}, {Title: "For programs", Text: []string{"Each has a JSON Schema in `harness/report/schemas`."}, Table: programs}}
}
