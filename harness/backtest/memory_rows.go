package backtest

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// A start is one real start-up of vLLM as its log printed it: a row of either CSV form.
type start struct {
	line   int
	column map[string]int
	cells  []string
}

// The columns that each form must have; further ones are read where they exist.
var (
	caseColumns  = []string{"case_id", "model", "model_key", "gpu", "gpu_total_gib", "tensor_parallel_size", "vllm_version", "engine", "kv_cache_available_gib", "verdict"}
	startColumns = []string{"tag", "model", "quant", "gpu", "vllm", "runner", "tp", "kv_gib", "kv_tokens"}
)

// readStarts reads a CSV file of either form, gzip by name.
func readStarts(name string) ([]start, error) {
	r, err := open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	in := csv.NewReader(r)
	header, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("%s:1: no header: %w", name, err)
	}
	column := map[string]int{}
	for i, h := range header {
		column[strings.TrimSpace(strings.TrimPrefix(h, "\ufeff"))] = i // as spreadsheets write it
	}
	want := caseColumns
	if _, ok := column["tag"]; ok {
		want = startColumns
	}
	for _, c := range want {
		if _, ok := column[c]; !ok {
			return nil, fmt.Errorf("%s:1: column %q is missing, want those of memory/cases.csv or of h100/starts.csv", name, c)
		}
	}
	var out []start
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		line, _ := in.FieldPos(0)
		out = append(out, start{line: line, column: column, cells: cells})
	}
}

// cell is the first of the named columns that is there and not empty.
func (s start) cell(names ...string) string {
	for _, n := range names {
		if i, ok := s.column[n]; ok && strings.TrimSpace(s.cells[i]) != "" {
			return strings.TrimSpace(s.cells[i])
		}
	}
	return ""
}

func (s start) id() string { return s.cell("case_id", "tag") }

// number reads a figure; 0, false where the row has none.
func (s start) number(names ...string) (float64, bool, error) {
	text := s.cell(names...)
	if text == "" {
		return 0, false, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > 1e12 {
		return 0, false, fmt.Errorf("%s = %q, want a number", s.name(names), text)
	}
	return f, true, nil
}

func (s start) whole(names ...string) (int, error) {
	f, _, err := s.number(names...)
	if err == nil && (f != float64(int(f)) || f < 0) {
		err = fmt.Errorf("%s = %g, want a whole number ≥ 0", s.name(names), f)
	}
	return int(f), err
}

// name is what this file calls the first of the columns that it has.
func (s start) name(columns []string) string {
	for _, n := range columns {
		if _, ok := s.column[n]; ok {
			return n
		}
	}
	return columns[0]
}

// A notPlanned start has too little in its row to plan it; it says what is missing.
type notPlanned string

func (n notPlanned) Error() string { return string(n) }

// deployment is what the row says was started. Nothing of what the log printed about memory is used.
func (s start) deployment() (deploy.Deployment, error) {
	var d deploy.Deployment
	var err error
	if d.Model, err = s.model(); err != nil {
		return d, err
	}
	if d.GPU, err = s.gpu(); err != nil {
		return d, err
	}
	e := &d.Engine
	for _, f := range []struct {
		into  *int
		names []string
	}{
		{&e.TensorParallelSize, []string{"tensor_parallel_size", "tp"}},
		{&e.PipelineParallelSize, []string{"pipeline_parallel_size"}},
		{&e.MaxModelLen, []string{"max_model_len_tokens", "max_model_len"}},
		{&e.MaxNumSeqs, []string{"max_num_seqs"}},
		{&e.MaxNumBatchedTokens, []string{"max_num_batched_tokens"}},
		{&e.BlockSize, []string{"block_size_tokens"}},
	} {
		if *f.into, err = s.whole(f.names...); err != nil {
			return d, err
		}
	}
	if e.GPUMemoryUtilization, _, err = s.number("gpu_memory_utilization"); err != nil {
		return d, err
	}
	e.DType = dtype(s.cell("dtype"))
	e.KVCacheDType = s.cell("kv_cache_dtype")
	eager := strings.ToLower(s.cell("enforce_eager"))
	e.EnforceEager = eager == "true" || eager == "1"
	if e.Quantization, err = s.quantization(d.Model); err != nil {
		return d, err
	}
	if e.MaxModelLen > d.Model.MaxModelLen { // a fine-tune of the shape with a longer context
		d.Model.MaxModelLen = e.MaxModelLen
		d.Model.RotaryPositions = max(d.Model.RotaryPositions, e.MaxModelLen)
	}
	d.VLLMVersion, d.Runner = s.version()
	if why := s.unknowable(d); why != "" {
		return d, notPlanned(why)
	}
	if why, err := s.contradiction(d); err != nil || why != "" {
		return d, cmp.Or[error](err, notPlanned(why))
	}
	d.MemoryHeld = s.held()
	d.WarmCompile = strings.Contains(strings.ToLower(s.cell("notes")), "warm torch.compile cache")
	if on := true; e.MaxNumBatchedTokens > 0 && e.MaxNumBatchedTokens < e.MaxModelLen {
		e.EnableChunkedPrefill = &on // it started, so prompts are cut
	}
	if pythonArguments.MatchString(s.cell("quote")) {
		e.UsageContext = "llm"
	}
	if e.MaxNumSeqs == 128 && e.MaxNumBatchedTokens == 0 && d.Runner == "" {
		e.UsageContext = "engine" // 128 is what vLLM resolves outside of its server and of LLM()
	}
	return d, nil
}

// dtype is the name that vLLM has for the type.
func dtype(name string) string {
	switch name = strings.ToLower(name); name {
	case "auto":
		return ""
	case "bf16":
		return "bfloat16"
	case "fp16":
		return "float16"
	case "fp32":
		return "float32"
	}
	return name
}

// pythonArguments are those of LLM(), whose defaults are not the server's.
var pythonArguments = regexp.MustCompile(`\((?:LLM\()?[a-z_]+=[^()]*\benforce_eager=(?:True|False)\b|\(enforce_eager=(?:True|False), `)

// unknowable says what keeps a row from being planned at all.
func (s start) unknowable(d deploy.Deployment) string {
	v := d.Version()
	switch name := strings.ToLower(s.cell("model")); {
	case d.VLLMVersion == "":
		return "the row names no version of vLLM, which decides defaults and accounting"
	case strings.Contains(s.cell("notes"), "version doubtful"):
		return "the row doubts its own version of vLLM, which decides the accounting"
	case strings.Contains(s.cell("notes"), "values not printed"):
		return "an argument was changed and its value is not in the row"
	case strings.Contains(name, "unsloth-bnb"):
		return "unsloth's dynamic quantization leaves some layers in 16 bits, the row does not say which"
	case strings.Contains(d.GPU.Name, "AMD") || strings.Contains(s.cell("gpu"), "AMD"):
		return "the overheads of AMD cards are not fitted: too few start-ups"
	case d.GPU.Capability == "12.1":
		return "unified memory: how much is free depends on what else the host runs"
	case v.AtLeast(2, 5) && !v.AtLeast(4, 0):
		return "0.2.5 to 0.3 counted whatever else was on the device"
	}
	return ""
}

// contradiction compares the printed terms with the utilization that the row states: they sum to the budget.
func (s start) contradiction(d deploy.Deployment) (string, error) {
	sum := 0.0
	for _, term := range []string{"weights_gib", "activation_peak_gib", "non_torch_gib", "kv_cache_available_gib"} {
		f, ok, err := s.number(term)
		if err != nil || !ok {
			return "", err
		}
		if term == "non_torch_gib" && f < -0.1 {
			return fmt.Sprintf("others gave back memory while vLLM profiled: non-torch memory is %.2f GiB", f), nil
		}
		sum += f
	}
	budget := d.GPU.Memory.GiB() * d.Engine.GPUMemoryUtilization
	if budget == 0 || math.Abs(sum-budget) < 0.5 {
		return "", nil
	}
	return fmt.Sprintf("the row contradicts itself: its terms sum to %.2f GiB, its utilization gives %.2f", sum, budget), nil
}

// model looks the name up, then the key of the architecture.
func (s start) model() (catalog.Model, error) {
	name := s.cell("model")
	for _, name := range []string{name, s.cell("model_key")} {
		if m, err := fixtures.Model(name); err == nil {
			return m, nil
		}
	}
	return catalog.Model{}, notPlanned(fmt.Sprintf("the architecture of %q is not known", name))
}

var (
	className   = regexp.MustCompile(`^([0-9]+) ?GB`)
	classTotal  = regexp.MustCompile(`\(([0-9.]+) GiB\)$`)
	classBudget = regexp.MustCompile(`\(([0-9.]+) GiB budget at ([0-9.]+)\)`)
)

// gpu looks the name up and takes the printed total, which differs a little between drivers. A card that is named
// only by its class takes what else there is to know from the most common card of that class.
func (s start) gpu() (catalog.GPU, error) {
	name := s.cell("gpu")
	total, printed, err := s.number("gpu_total_gib", "total_gib")
	if err == nil && printed && total <= 0 {
		err = fmt.Errorf("%s = %g, want more than 0", s.name([]string{"gpu_total_gib", "total_gib"}), total)
	}
	if err != nil {
		return catalog.GPU{}, err
	}
	if m := classBudget.FindStringSubmatch(name); m != nil && !printed {
		budget, _ := strconv.ParseFloat(m[1], 64)
		share, _ := strconv.ParseFloat(m[2], 64)
		if share > 0 {
			total, printed = budget/share, true
		}
	}
	if m := classTotal.FindStringSubmatch(name); m != nil && !printed {
		total, _ = strconv.ParseFloat(m[1], 64)
		printed = total > 0
	}
	g, err := fixtures.GPU(name)
	if err != nil {
		if g, err = classOf(name, total); err != nil || !printed {
			return g, notPlanned(fmt.Sprintf("the GPU %q is not known and its memory was not printed", name))
		}
	}
	switch {
	case printed:
		g.Memory = units.Gibibytes(total)
	case strings.Contains(s.cell("notes"), "WSL") && g.Board > 0:
		g.Memory = g.Board
	}
	return g, nil
}

// classOf is the most common card of a memory class.
func classOf(name string, total float64) (catalog.GPU, error) {
	m := className.FindStringSubmatch(name)
	size := total
	if m != nil {
		size, _ = strconv.ParseFloat(m[1], 64)
	}
	switch {
	case size > 90:
		return fixtures.GPU("rtx-pro-6000")
	case size > 70:
		return fixtures.GPU("a100-80gb-sxm")
	case size > 42:
		return fixtures.GPU("l40s")
	case size > 36:
		return fixtures.GPU("a100-40gb-sxm")
	case size > 20:
		return fixtures.GPU("rtx-3090")
	case size > 0:
		return fixtures.GPU("rtx-4060")
	}
	return catalog.GPU{}, fmt.Errorf("no class in %q", name)
}

// quantization says how the checkpoint is stored: by its column, and where that names a container or nothing, by the
// checkpoint's name.
func (s start) quantization(m catalog.Model) (string, error) {
	name := strings.ToLower(s.cell("model"))
	byName := ""
	for _, q := range []struct{ in, method string }{
		{"awq", "awq"}, {"gptq-int8", "gptq-int8"}, {"gptq", "gptq-int4"}, {"nvfp4", "nvfp4"}, {"w4a16", "gptq-int4"},
		{"w8a16", "gptq-int8"}, {"w8a8", "w8a8"}, {"fp8", "fp8"}, {"bnb", "bitsandbytes"}, {"mxfp4", "mxfp4"},
	} {
		if byName == "" && strings.Contains(name, q.in) {
			byName = q.method
		}
	}
	switch q := strings.ToLower(s.cell("quantization", "quant")); q {
	case "", "bf16", "fp16", "none":
		if byName == "" && m.Quantization == nil && strings.Contains(name, "quantis") {
			return "", notPlanned("it is quantized in a way that the row does not name")
		}
		return byName, nil
	case "gptq", "gptq_marlin":
		if byName == "gptq-int8" {
			return byName, nil
		}
		return "gptq-int4", nil
	case "awq_marlin", "4-bit", "int4":
		return "awq", nil
	case "compressed-tensors":
		if byName == "" {
			return "", notPlanned("compressed-tensors, and the name does not say which scheme")
		}
		return byName, nil
	case "awq", "fp8", "bitsandbytes", "mxfp4", "nvfp4", "w8a8", "gptq-int4", "gptq-int8":
		return q, nil
	case "gptq_int4", "gptq_int8":
		return strings.ReplaceAll(q, "_", "-"), nil
	case "fp8_dynamic", "fp8-dynamic", "fbgemm_fp8", "modelopt":
		if byName == "nvfp4" {
			return byName, nil
		}
		return "fp8", nil
	case "modelopt_fp4", "fp4":
		return "nvfp4", nil
	case "bnb":
		return "bitsandbytes", nil
	case "auto-round":
		return "gptq-int4", nil
	default:
		return "", notPlanned(fmt.Sprintf("the quantization %q is not known", q))
	}
}

var release = regexp.MustCompile(`[0-9]+\.[0-9]+(?:\.[0-9]+)?`)

// version is the first release that the row names, and the engine or runner that it says was used. Where the row
// gives only a lower bound, the line of source that its log names decides, else the newest release stands for it.
func (s start) version() (version, runner string) {
	text := s.cell("vllm_version", "vllm")
	version = release.FindString(text)
	if strings.HasPrefix(text, ">=") {
		version = cmp.Or(printedBy(s.cell("vllm_version_source")), deploy.Newest)
	}
	if r := s.cell("engine", "runner"); r == "V0" || s.cell("runner") != "" {
		runner = r
	}
	return version, runner
}

var workerLine = regexp.MustCompile(`gpu_worker\.py:([0-9]+)`)

// printedBy is the release whose worker says how much memory is left for the cache in the line that the text names,
// read from the wheels of the releases; "" where it names none of them.
func printedBy(text string) string {
	m := workerLine.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	for _, r := range []struct{ line, version string }{
		{"440", "0.20.0"}, {"466", "0.22.0"}, {"480", "0.23.0"}, {"508", "0.24.0"}, {"538", "0.25.0"}, {"560", "0.26.0"}, {"563", "0.27.0"},
		{"578", "0.28.0"}, {"625", "0.29.0"}, {"640", "0.30.0"}, {"692", "0.31.0"}, {"759", "0.32.0"}, {"772", "0.33.0"},
	} {
		if m[1] == r.line {
			return r.version
		}
	}
	return ""
}

var outOfMemory = regexp.MustCompile(`total capacity of ([0-9.]+) (GiB|MiB) of which ([0-9.]+) (GiB|MiB) is free; this process has ([0-9.]+) (GiB|MiB)`)

// held is what others held on the card, where an out-of-memory message lets it be counted.
func (s start) held() units.Bytes {
	m := outOfMemory.FindStringSubmatch(s.cell("oom_detail"))
	if m == nil {
		return 0
	}
	size := func(number, unit string) units.Bytes {
		f, _ := strconv.ParseFloat(number, 64)
		if unit == "MiB" {
			f /= 1024
		}
		return units.Gibibytes(f)
	}
	return max(0, size(m[1], m[2])-size(m[3], m[4])-size(m[5], m[6]))
}

// dense says whether the row counts among those whose error is the headline: a plain model on one or two ranks.
func (s start) dense(d deploy.Deployment) bool { return s.plain(d) && d.Engine.TensorParallelSize <= 2 }

// plain is a model without experts, latents and images.
func (s start) plain(d deploy.Deployment) bool {
	return d.Model.MoE == nil && d.Model.MLA == nil && !d.Model.Multimodal && !slices.Contains([]string{"moe", "moe-mla", "multimodal"}, s.cell("kind"))
}
