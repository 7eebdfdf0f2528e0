package calibrate

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// A Run is one measured run with all of its engine steps.
type Run struct {
	Tag, Name, Role string
	Deployment      deploy.Deployment // resolved
	Blocks          int
	Steps           []Step
}

// A Step is one engine step as the front end saw it.
type Step struct {
	At             float64 // seconds: its output reached the front end
	Prefills       int     // requests that computed prompt tokens, and how many
	PrefillTokens  int
	Decodes        int
	Wait           float64 // ms that the core waited for the GPU
	Usage          float64 // of the KV cache
	Running, Queue int
	Context        int // of the decodes, where it is known better than from the cache's usage

	// Second is set where At is a guess and only the sum over the steps of the same Second was measured.
	Second int
	Alike  bool // all steps of the Second are decodes, so that the guess is their mean
}

// ReadRuns reads a folder in the form of runs.csv and steps/TAG.csv.gz. Where a run was made on a warm cache, its
// steps say what was really computed.
func ReadRuns(dir string) ([]Run, error) {
	t, err := readTable(filepath.Join(dir, "runs.csv"), "tag", "run", "role", "model", "quant", "gpu", "vllm", "engine", "num_gpu_blocks")
	if err != nil {
		return nil, err
	}
	var runs []Run
	for i := range t.rows {
		d, err := runDeployment(t, i)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", t.name, i+2, err)
		}
		blocks, err := t.number(i, "num_gpu_blocks")
		if err != nil {
			return nil, err
		}
		runs = append(runs, Run{Tag: t.text(i, "tag"), Name: t.text(i, "run"), Role: t.text(i, "role"), Deployment: d, Blocks: int(blocks)})
	}
	for tag := range tagsOf(runs) {
		if err := readSteps(filepath.Join(dir, "steps", tag+".csv.gz"), tag, runs); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(runs, func(r Run) bool { return len(r.Steps) == 0 }), nil
}

func tagsOf(runs []Run) map[string]bool {
	tags := map[string]bool{}
	for _, r := range runs {
		tags[r.Tag] = true
	}
	return tags
}

func runDeployment(t *table, i int) (deploy.Deployment, error) {
	args := map[string]any{}
	if s := t.text(i, "engine"); s != "" {
		if err := json.Unmarshal([]byte(s), &args); err != nil {
			return deploy.Deployment{}, fmt.Errorf("engine %s: %w", s, err)
		}
	}
	if q := t.text(i, "quant"); q != "" && q != "bf16" {
		args["quantization"] = q
	}
	doc, err := json.Marshal(map[string]any{"model": t.text(i, "model"), "gpu": t.text(i, "gpu"), "vllm_version": t.text(i, "vllm"), "engine": args})
	if err != nil {
		return deploy.Deployment{}, err
	}
	d, err := deploy.DecodeJSON(t.name, doc)
	if err != nil {
		return d, err
	}
	d, _, err = d.Resolve()
	return d, err
}

func readSteps(path, tag string, runs []Run) error {
	t, err := readTable(path, "run", "t_s", "ctx_requests", "ctx_tokens", "gen_requests", "core_wait_ms", "kv_usage", "running", "waiting")
	if err != nil {
		return err
	}
	at := map[string]int{}
	for i, r := range runs {
		if r.Tag == tag {
			at[r.Name] = i
		}
	}
	for i := range t.rows {
		k, ok := at[t.text(i, "run")]
		if !ok {
			continue
		}
		v, err := t.numbers(i, "t_s", "ctx_requests", "ctx_tokens", "gen_requests", "core_wait_ms", "kv_usage", "running", "waiting")
		if err != nil {
			return err
		}
		runs[k].Steps = append(runs[k].Steps, Step{v[0], int(v[1]), int(v[2]), int(v[3]), v[4], v[5], int(v[6]), int(v[7]), 0, 0, false})
	}
	return nil
}

// work is what a step computed, as far as its log line says: prompts in equal parts, and the decodes' context from
// what the cache holds, less the half block that a request wastes on average.
func (s Step) work(r *Run) engine.Work {
	w := engine.Work{Decodes: s.Decodes, Tokens: units.Tokens(s.Decodes + s.PrefillTokens), Sampled: s.Decodes + s.Prefills, Running: s.Decodes + s.Prefills}
	size := r.Deployment.Engine.BlockSize
	held := int(s.Usage*float64(r.Blocks)+0.5) * size
	w.DecodeContext = units.Tokens(max(held-w.Running*size/2, w.Running) * s.Decodes / max(1, w.Running))
	if s.Context > 0 {
		w.DecodeContext = units.Tokens(s.Context)
	}
	for i := range s.Prefills {
		n := (s.PrefillTokens + i) / s.Prefills
		if n > 0 {
			w.Chunks = append(w.Chunks, engine.Chunk{Tokens: units.Tokens(n)})
		}
	}
	return w
}

// bound is a group of like steps of one run that the GPU bounded, and how long each took.
type bound struct {
	run    int
	work   engine.Work
	ms     float64
	weight float64 // all groups of one run weigh as one
}

// gpuBound finds the steps whose time is the GPU's: the core waited for them and for the ones before, so they followed
// each other on the GPU without a gap. The decode steps of one run and batch size are one observation, and so is each
// step of many new prompt tokens.
func gpuBound(runs []Run, role string) []bound {
	var out []bound
	for k := range runs {
		if role == "" || runs[k].Role == role {
			found := append(boundDecodes(&runs[k], k), boundPrefills(&runs[k], k)...)
			for i := range found {
				found[i].weight = 1 / float64(len(found))
			}
			out = append(out, found...)
		}
	}
	return out
}

func boundDecodes(r *Run, k int) []bound {
	const least = 8 // steps of a group
	groups := map[int][]int{}
	for i := 2; i < len(r.Steps); i++ {
		a, b, c := r.Steps[i-2], r.Steps[i-1], r.Steps[i]
		wait := max(0.3, 50*(c.At-b.At)) // ms: 5 % of the step
		if c.Prefills+b.Prefills+a.Prefills == 0 && c.Wait > wait && b.Wait > wait && c.Decodes == b.Decodes &&
			(c.Second == 0 || c.Alike) {
			groups[c.Decodes] = append(groups[c.Decodes], i)
		}
	}
	sizes := slices.Sorted(maps.Keys(groups))
	var out []bound
	for _, n := range sizes {
		if len(groups[n]) < least {
			continue
		}
		var times []float64
		context := units.Tokens(0)
		for _, i := range groups[n] {
			times = append(times, (r.Steps[i].At-r.Steps[i-1].At)*1e3)
			context += r.Steps[i].work(r).DecodeContext
		}
		w := r.Steps[groups[n][0]].work(r)
		w.DecodeContext = context / units.Tokens(len(groups[n]))
		out = append(out, bound{run: k, work: w, ms: median(times)})
	}
	return out
}

func boundPrefills(r *Run, k int) []bound {
	const tokens, wait = 4000, 20 // so many that the launches are long done before the GPU is
	var out []bound
	for i := 1; i < len(r.Steps); i++ {
		b, c := r.Steps[i-1], r.Steps[i]
		if c.PrefillTokens > tokens && c.Prefills > 1 && c.Second == 0 && c.Wait > wait && b.Wait > wait {
			out = append(out, bound{run: k, work: c.work(r), ms: (c.At - b.At) * 1e3})
		}
	}
	return out
}
