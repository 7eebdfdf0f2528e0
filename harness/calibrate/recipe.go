package calibrate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/steptime"
)

// A Recipe is a list of fits, each starting from what the ones before left.
type Recipe []Fit

// Fit says what one fit starts from, what it may change, and what it is held against: kernel tables, the engine steps
// of runs, or whole runs.
type Fit struct {
	GPU  string `json:"gpu"`
	Host string `json:"host"`
	Like struct {
		GPU  string `json:"gpu"`
		Host string `json:"host"`
	} `json:"like"` // profiles whose figures a new one begins with
	Start  json.RawMessage `json:"start,omitempty"` // figures of the profiles to begin with: {"gpu": {…}, "host": {…}}
	Tables string          `json:"tables"`          // folder and prefix of kernel tables
	Model  string          `json:"model"`           // whose layers the tables time; empty = kernels by shape
	Steps  []string        `json:"steps"`           // folders of runs with their engine steps
	Logs   []Log           `json:"logs"`            // servers' logs of their engine steps
	Runs   []string        `json:"runs"`            // files of runs to replay
	Filter string          `json:"filter"`          // only runs whose id matches
	Free   []string        `json:"free"`
	Derive bool            `json:"derive"` // nothing is fitted: all GPUs that no fit before named get their sibling's figures
}

// Log is a server's log and what the server ran.
type Log struct {
	File       string          `json:"file"`
	Deployment json.RawMessage `json:"deployment"`
}

// Replay runs the calibration cases of files under p and returns for each the relative errors, as ratios predicted ÷
// measured with a weight. It is how whole runs are judged; the caller brings the simulator.
type Replay func(p Profiles, f Fit) ([]Ratio, error)

// Ratio is one metric of one run: predicted ÷ measured.
type Ratio struct{ Value, Weight float64 }

// Outcome is a fitted pair of profiles and what the fit says of itself.
type Outcome struct {
	GPU     string         `json:"gpu,omitempty"`
	Host    string         `json:"host,omitempty"`
	Before  float64        `json:"mean_abs_log_before,omitempty"`
	After   float64        `json:"mean_abs_log_after,omitempty"`
	Kernels []KernelReport `json:"kernels,omitempty"`
}

// DecodeRecipe reads a recipe, strictly.
func DecodeRecipe(name string, data []byte) (Recipe, error) {
	var r Recipe
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// Book holds the profiles under work, by id.
type Book struct {
	GPUs  map[string]steptime.GPU
	Hosts map[string]steptime.Host

	fitted []string // GPUs
}

// Run does one fit and writes what it found into the book. data is the folder that the fit's names are relative to.
func (b *Book) Run(f Fit, data string, replay Replay) (Outcome, error) {
	if f.Derive {
		b.derive()
		return Outcome{}, nil
	}
	p, err := b.open(f)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{GPU: f.GPU, Host: f.Host}
	if f.Tables != "" {
		g, err := fixtures.GPU(f.GPU)
		if err != nil {
			return out, err
		}
		fitTables := Kernels
		if f.Model != "" {
			fitTables = func(g catalog.GPU, base steptime.GPU, dir, prefix string) (steptime.GPU, []KernelReport, error) {
				return Layers(g, base, filepath.Join(dir, prefix), f.Model)
			}
		}
		p.GPU, out.Kernels, err = fitTables(g, p.GPU, filepath.Join(data, filepath.Dir(f.Tables)), filepath.Base(f.Tables))
		if err != nil {
			return out, err
		}
	}
	var loss func() float64
	var failed error
	switch {
	case len(f.Runs) > 0:
		f.Runs = slices.Clone(f.Runs)
		for i, name := range f.Runs {
			f.Runs[i] = located(data, name)
		}
		loss = func() float64 {
			ratios, err := replay(p, f)
			failed = errors.Join(failed, err)
			return meanAbs(ratios)
		}
	case len(f.Steps) > 0:
		runs, err := f.measured(data)
		if err != nil {
			return out, err
		}
		if loss = stepLoss(&p, runs, f); f.GPU == "" {
			loss = hostLoss(&p, runs, f)
		}
	}
	if loss != nil {
		if out.Before, out.After, err = fit(&p, f.Free, loss); err != nil {
			return out, err
		}
	}
	if failed != nil {
		return out, failed
	}
	if err := b.close(f, p); err != nil {
		return out, err
	}
	return out, nil
}

// derive gives every GPU that no fit named the figures of its sibling.
func (b *Book) derive() {
	for _, g := range fixtures.Library().GPUs {
		if !slices.Contains(b.fitted, g.ID) {
			b.GPUs[g.ID] = b.GPUs[steptime.Sibling(g)].Derive(g)
		}
	}
}

// measured reads the runs whose engine steps a fit is held against.
func (f Fit) measured(data string) ([]Run, error) {
	var runs []Run
	for _, folder := range f.Steps {
		read, err := ReadRuns(located(data, folder))
		if err != nil {
			return nil, err
		}
		runs = append(runs, read...)
	}
	for _, l := range f.Logs {
		d, err := deploy.DecodeJSON(l.File, l.Deployment)
		if err != nil {
			return nil, err
		}
		if d, _, err = d.Resolve(); err != nil {
			return nil, fmt.Errorf("%s: %w", l.File, err)
		}
		read, err := ReadLog(l.File, d)
		if err != nil {
			return nil, err
		}
		runs = append(runs, read...)
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("calibrate: %v: no run with engine steps", f.Steps)
	}
	return runs, nil
}

// located finds what a recipe names: ours lies in the repository, others' in the folder data.
func located(data, name string) string {
	if _, err := os.Stat(name); err == nil {
		return name
	}
	return filepath.Join(data, name)
}

// fit searches the free figures.
func fit(p *Profiles, names []string, loss func() float64) (before, after float64, err error) {
	figures, err := freeFigures(p, names)
	if err != nil {
		return 0, 0, err
	}
	x := make([]float64, len(figures))
	for i, f := range figures {
		x[i] = f.start()
	}
	try := func(x []float64) float64 {
		for i, f := range figures {
			f.set(x[i])
		}
		if p.GPU.ID != "" && p.GPU.Validate() != nil || p.Host.ID != "" && p.Host.Validate() != nil {
			return math.Inf(1)
		}
		return loss()
	}
	before = try(x)
	x, _ = search(x, try)
	try(x)
	for _, f := range figures {
		f.rounded()
	}
	return round(before, 4), round(loss(), 4), nil
}

// leaves says which of the runs the filter leaves out.
func (f Fit) leaves(runs []Run) func(run int) bool {
	filter := regexp.MustCompile(f.Filter)
	return func(run int) bool { return !filter.MatchString(runs[run].Tag + "/" + runs[run].Name) }
}

// stepLoss is the mean absolute log error of the GPU's time over the steps that it bounded.
func stepLoss(p *Profiles, runs []Run, f Fit) func() float64 {
	leaves := f.leaves(runs)
	obs := slices.DeleteFunc(gpuBound(runs, "calibration"), func(b bound) bool { return leaves(b.run) })
	return func() float64 {
		sum, weight := 0.0, 0.0
		for i := range obs {
			b := &obs[i]
			got := steptime.GPUTime(runs[b.run].Deployment, p.GPU, &b.work).Milliseconds()
			sum += b.weight * math.Abs(math.Log(got/b.ms))
			weight += b.weight
		}
		return sum / max(weight, 1e-9)
	}
}

// meanAbs is the weighted mean of the ratios' absolute logarithms, each at most that of a factor of 1.6: a run that
// went astray, such as one that compiled a kernel, must not steer the others.
func meanAbs(ratios []Ratio) float64 {
	sum, weight := 0.0, 0.0
	for _, r := range ratios {
		sum += r.Weight * min(math.Abs(math.Log(max(r.Value, 1e-3))), math.Log(1.6))
		weight += r.Weight
	}
	return sum / max(weight, 1e-9)
}

// open takes the profiles of a fit out of the book: as they are, or as another's with the given start.
func (b *Book) open(f Fit) (Profiles, error) {
	var p Profiles
	p.GPU, p.Host = b.GPUs[f.GPU], b.Hosts[f.Host]
	if f.Like.GPU != "" {
		p.GPU = b.GPUs[f.Like.GPU]
	}
	if f.Like.Host != "" {
		p.Host = b.Hosts[f.Like.Host]
	}
	p, err := p.clone()
	if err != nil {
		return p, err
	}
	if len(f.Start) > 0 {
		into := struct {
			GPU  *steptime.GPU  `json:"gpu"`
			Host *steptime.Host `json:"host"`
		}{&p.GPU, &p.Host}
		d := json.NewDecoder(bytes.NewReader(f.Start))
		d.DisallowUnknownFields()
		if err := d.Decode(&into); err != nil {
			return p, fmt.Errorf("calibrate: start of %s%s: %w", f.GPU, f.Host, err)
		}
	}
	if f.GPU != "" {
		p.GPU.ID = f.GPU
	}
	if f.Host != "" {
		p.Host.ID = f.Host
	}
	return p, nil
}

// clone shares no slice with p, so that a fit cannot reach into the profile it began with.
func (p Profiles) clone() (Profiles, error) {
	var c Profiles
	data, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	return c, err
}

// close puts the fitted profiles back, if they are physical.
func (b *Book) close(f Fit, p Profiles) error {
	if f.GPU != "" {
		if err := p.GPU.Validate(); err != nil {
			return err
		}
		b.GPUs[f.GPU] = p.GPU
		b.fitted = append(b.fitted, f.GPU)
	}
	if f.Host != "" {
		if err := p.Host.Validate(); err != nil {
			return err
		}
		b.Hosts[f.Host] = p.Host
	}
	return nil
}
