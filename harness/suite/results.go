package suite

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/testing-symbiote/symbiote/golden"
	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/slo"
)

var resultsDir = flag.String("results", "", "write what each test found below this `folder`: a table for people, a JSON document for programs")

// Document is what a test leaves in the results folder, as <suite>/<Test>.json. Figures that do not apply are absent.
type Document struct {
	Schema   int        `json:"schema"` // of this document; a reader refuses one that is newer than it
	Suite    string     `json:"suite"`  // the folder of the test
	Test     string     `json:"test"`
	Asks     string     `json:"asks"`
	Backend  string     `json:"backend"`
	SLO      slo.Target `json:"slo"`
	Sources  []string   `json:"sources"` // where the numbers come from
	Columns  []string   `json:"columns"` // of cells, in order
	Rows     []RowDoc   `json:"rows"`
	Promises []Kept     `json:"promises"` // of the cases together
}

// schema changes when a reader of the older one would misread a Document.
const schema = 1

// RowDoc is one case of a Document.
type RowDoc struct {
	Case        string             `json:"case"`
	Model       string             `json:"model"`
	GPU         string             `json:"gpu"`
	VLLMVersion string             `json:"vllm_version"`
	Deployment  string             `json:"deployment"` // resolved, in one line
	Workload    string             `json:"workload,omitempty"`
	Want        Kept               `json:"want"`
	Failure     string             `json:"failure,omitempty"` // class of the failure to start
	Reason      string             `json:"reason,omitempty"`  // and what vLLM says
	Cells       map[string]string  `json:"cells"`             // as the table shows them
	Metrics     map[string]float64 `json:"metrics"`           // by unit, as the benchmark reports them
	Summary     json.RawMessage    `json:"summary,omitempty"` // a stats.Document
	Plan        *PlanDoc           `json:"plan,omitempty"`
	Picture     *PictureDoc        `json:"picture,omitempty"`
	Warnings    []string           `json:"warnings,omitempty"`
	Provenance  *record.Provenance `json:"provenance,omitempty"`
}

// PlanDoc is how the memory of each GPU divides.
type PlanDoc struct {
	TotalGiB       float64 `json:"gpu_total_gib"`
	BudgetGiB      float64 `json:"budget_gib"`
	WeightsGiB     float64 `json:"weights_gib"`
	ActivationGiB  float64 `json:"activation_gib"`
	NonTorchGiB    float64 `json:"non_torch_gib"`
	CUDAGraphGiB   float64 `json:"cuda_graph_gib"`
	KVCacheGiB     float64 `json:"kv_cache_gib"`
	KVCacheTokens  int     `json:"kv_cache_tokens"`
	NumGPUBlocks   int     `json:"num_gpu_blocks"`
	MaxConcurrency float64 `json:"max_concurrency"`
}

func planDoc(p memory.Plan) *PlanDoc {
	return &PlanDoc{p.Total.GiB(), p.Budget.GiB(), p.Weights.GiB(), p.Activation.GiB(), p.NonTorch.GiB(), p.CUDAGraphs.GiB(),
		p.KVCache.GiB(), int(p.KVTokens), int(p.NumBlocks), p.MaxConcurrency}
}

// Kept is a promise and whether it was kept.
type Kept struct {
	Says string `json:"says"`
	Kept bool   `json:"kept"`
	But  string `json:"but,omitempty"` // what is so instead
}

// leave writes the table and the document of a test under -results.
func (s Spec) leave(test string, table golden.Table, rs Results, kept []error, broken []string) error {
	if *resultsDir == "" {
		return nil
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	doc, err := s.document(filepath.Base(here), test, table, rs, kept, broken)
	if err != nil {
		return err
	}
	return doc.write(table)
}

// write puts the document and the table where a reader of the results folder looks for them.
func (d Document) write(table golden.Table) error {
	dir := filepath.Join(*resultsDir, d.Suite)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	content, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("suite: %s: %w", d.Test, err)
	}
	if err := os.WriteFile(filepath.Join(dir, d.Test+".json"), append(content, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, d.Test+".txt"), []byte(table.String()), 0o644)
}

func (s Spec) document(suite, test string, table golden.Table, rs Results, kept []error, broken []string) (Document, error) {
	d := Document{Schema: schema, Suite: suite, Test: test, Asks: s.Asks, Backend: backendName, SLO: s.SLO, Sources: sources(rs), Columns: table.Columns[1:]}
	for _, p := range s.Promises {
		k := Kept{Says: p.Says, Kept: true}
		for _, b := range broken {
			k.Kept = k.Kept && b != p.Says
		}
		d.Promises = append(d.Promises, k)
	}
	for i, r := range rs {
		row := RowDoc{Case: r.Case.Name, Model: r.Case.On.Model.ID, GPU: r.Case.On.GPU.ID, Deployment: r.Case.describe(), Want: Kept{Says: r.Case.Want.Says, Kept: kept[i] == nil},
			Cells: map[string]string{}, Metrics: map[string]float64{}}
		if kept[i] != nil {
			row.Want.But = kept[i].Error()
		}
		if resolved, _, err := r.Case.On.Resolve(); err == nil {
			row.VLLMVersion = resolved.VLLMVersion
		}
		if r.Case.Play != nil {
			row.Workload = r.Case.Play.String()
		}
		if r.Failure != nil {
			row.Failure, row.Reason = string(r.Failure.Class), r.Failure.Message
		} else {
			row.Plan = planDoc(r.Plan)
		}
		for j, c := range s.columns() {
			row.Cells[c.Name] = table.Rows[i][j+1]
			if x := c.value(r); c.Unit != "" && !math.IsNaN(x) && !math.IsInf(x, 0) {
				row.Metrics[c.Unit] = x
			}
		}
		if r.Run != nil {
			row.Warnings, row.Provenance = r.Run.Warnings, &r.Run.Provenance
			if r.Failure == nil {
				summary, err := json.Marshal(r.Summary.Document())
				if err != nil {
					return Document{}, fmt.Errorf("suite: %s: %s: %w", test, row.Case, err)
				}
				row.Summary, row.Picture = summary, picture(r.Run)
			}
		}
		d.Rows = append(d.Rows, row)
	}
	return d, nil
}
