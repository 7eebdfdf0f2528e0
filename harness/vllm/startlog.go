package vllm

import (
	"bufio"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// StartLog holds what a start-up printed. A Printed with Known false was not in the log.
type StartLog struct {
	Version     string // 0.32.0
	Model       string
	Device      string // GPU or CPU, as the capacity line calls it
	MaxModelLen Printed

	FreeGiB      Printed // on the device before anything was loaded
	TotalGiB     Printed
	Utilization  Printed
	RequestedGiB Printed

	WeightsGiB       Printed
	ConsumedGiB      Printed // weights and non-torch memory, which vLLM from 0.27 on prints as one
	ActivationGiB    Printed
	NonTorchGiB      Printed
	NonKVGiB         Printed // total, printed at debug level
	GraphGiB         Printed // captured
	GraphEstimateGiB Printed
	AvailableKVGiB   Printed // what profiling left
	KVGiB            Printed // in use: differs where an override replaced the profiled figure

	KVTokens       Printed
	MaxConcurrency Printed // of requests of MaxModelLen tokens
	NumBlocks      Printed // where the log prints it

	LoadSeconds, CompileSeconds, InitSeconds Printed
	Ready                                    bool // the HTTP server came up
}

// Printed is one figure of a log, as it was rounded there.
type Printed struct {
	Value float64
	Known bool
}

// A term is a line to recognise and where its numbers belong.
type term struct {
	pattern *regexp.Regexp
	into    func(*StartLog) []*Printed
}

func one(f func(*StartLog) *Printed) func(*StartLog) []*Printed {
	return func(l *StartLog) []*Printed { return []*Printed{f(l)} }
}

// terms are the lines of vLLM 0.8 to 0.33. A line may match several of them.
func terms() []term {
	re := regexp.MustCompile
	const gib = `(-?[\d.]+) ?GiB`
	return []term{
		{re(`max_seq_len=(\d+)`), one(func(l *StartLog) *Printed { return &l.MaxModelLen })},
		{re(`Using max model len (\d+)`), one(func(l *StartLog) *Printed { return &l.MaxModelLen })},
		{re(`Free memory on device (?:\S+ )?\(([\d.]+)/([\d.]+) GiB\) on startup`),
			func(l *StartLog) []*Printed { return []*Printed{&l.FreeGiB, &l.TotalGiB} }},
		{re(`free_memory=` + gib + `, total_memory=` + gib),
			func(l *StartLog) []*Printed { return []*Printed{&l.FreeGiB, &l.TotalGiB} }},
		{re(`esired GPU memory utilization (?:is )?\(([\d.]+), ([\d.]+) GiB\)`),
			func(l *StartLog) []*Printed { return []*Printed{&l.Utilization, &l.RequestedGiB} }},
		{re(`worker requested memory: ` + gib), one(func(l *StartLog) *Printed { return &l.RequestedGiB })},
		{re(`Model loading took ` + gib + `(?: memory)? and ([\d.]+) seconds`),
			func(l *StartLog) []*Printed { return []*Printed{&l.WeightsGiB, &l.LoadSeconds} }},
		{re(`[Mm]odel weights take ` + gib), one(func(l *StartLog) *Printed { return &l.WeightsGiB })},
		{re(`weights memory: ` + gib), one(func(l *StartLog) *Printed { return &l.WeightsGiB })},
		{re(gib + ` for weight,`), one(func(l *StartLog) *Printed { return &l.WeightsGiB })},
		{re(gib + ` for consumed memory`), one(func(l *StartLog) *Printed { return &l.ConsumedGiB })},
		{re(gib + ` for peak activation`), one(func(l *StartLog) *Printed { return &l.ActivationGiB })},
		{re(`torch peak memory increase: ` + gib), one(func(l *StartLog) *Printed { return &l.ActivationGiB })},
		{re(`PyTorch activation peak memory takes ` + gib), one(func(l *StartLog) *Printed { return &l.ActivationGiB })},
		{re(gib + ` for non-torch memory`), one(func(l *StartLog) *Printed { return &l.NonTorchGiB })},
		{re(`non-torch forward increase memory: ` + gib), one(func(l *StartLog) *Printed { return &l.NonTorchGiB })},
		{re(`non_torch_memory takes ` + gib), one(func(l *StartLog) *Printed { return &l.NonTorchGiB })},
		{re(`Total non KV cache memory: ` + gib), one(func(l *StartLog) *Printed { return &l.NonKVGiB })},
		{re(gib + ` for CUDAGraph memory`), one(func(l *StartLog) *Printed { return &l.GraphGiB })},
		{re(`Graph capturing finished in [\d.]+ secs, took ` + gib), one(func(l *StartLog) *Printed { return &l.GraphGiB })},
		{re(`CUDA graph pool memory: ` + gib + ` \(actual\), ` + gib + ` \(estimated\)`),
			func(l *StartLog) []*Printed { return []*Printed{&l.GraphGiB, &l.GraphEstimateGiB} }},
		{re(`Estimated CUDA graph memory: ` + gib), one(func(l *StartLog) *Printed { return &l.GraphEstimateGiB })},
		{re(`Available KV cache memory: ` + gib), one(func(l *StartLog) *Printed { return &l.AvailableKVGiB })},
		{re(`memory reserved for KV Cache is ` + gib), one(func(l *StartLog) *Printed { return &l.AvailableKVGiB })},
		{re(`Current kv cache memory in use is ` + gib), one(func(l *StartLog) *Printed { return &l.KVGiB })},
		{re(`reserved ` + gib + ` memory for KV Cache`), one(func(l *StartLog) *Printed { return &l.KVGiB })},
		{re(`Explicitly set \(([\d.]+)/([\d.]+)\) GiB for KV cache`),
			func(l *StartLog) []*Printed { return []*Printed{&l.KVGiB, &l.TotalGiB} }},
		{re(`KV cache size: ([\d,]+) tokens`), one(func(l *StartLog) *Printed { return &l.KVTokens })},
		{re(`Maximum concurrency for ([\d,]+) tokens per request: ([\d.]+)x`),
			func(l *StartLog) []*Printed { return []*Printed{&l.MaxModelLen, &l.MaxConcurrency} }},
		{re(`# (?:GPU|CUDA|cuda|CPU) blocks: (\d+)`), one(func(l *StartLog) *Printed { return &l.NumBlocks })},
		{re(`num_gpu_blocks is: (\d+)`), one(func(l *StartLog) *Printed { return &l.NumBlocks })},
		{re(`num_gpu_blocks_override=(\d+)`), one(func(l *StartLog) *Printed { return &l.NumBlocks })},
		{re(`init engine \(.*\) took ([\d.]+) s(?:econds)?`), one(func(l *StartLog) *Printed { return &l.InitSeconds })},
		{re(`\(compilation: ([\d.]+) s`), one(func(l *StartLog) *Printed { return &l.CompileSeconds })},
	}
}

// ParseStartLog collects the figures of a start-up log. The later of two prints of one term counts, except for the
// graph estimate's own capture, which comes before the real one anyway.
func ParseStartLog(r io.Reader) (StartLog, error) {
	var l StartLog
	all := terms()
	version := regexp.MustCompile(`(?:\(v|vLLM API server version |  version )(\d+\.\d+\.\d+\S*?)\)?(?:\s|$)`)
	model := regexp.MustCompile(`with config: model='([^']*)'`)
	device := regexp.MustCompile(`(\S+) KV cache size:`)
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), 4<<20)
	for lines.Scan() {
		line := lines.Text()
		for _, t := range all {
			m := t.pattern.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			for i, p := range t.into(&l) {
				if v, err := strconv.ParseFloat(strings.ReplaceAll(m[i+1], ",", ""), 64); err == nil {
					*p = Printed{v, true}
				}
			}
		}
		if m := version.FindStringSubmatch(line); m != nil {
			l.Version = m[1]
		}
		if m := model.FindStringSubmatch(line); m != nil {
			l.Model = m[1]
		}
		if m := device.FindStringSubmatch(line); m != nil {
			l.Device = m[1]
		}
		l.Ready = l.Ready || strings.Contains(line, "Application startup complete")
	}
	return l, lines.Err()
}
