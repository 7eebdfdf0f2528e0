package suite

import (
	"math"

	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/memory"
)

// MFU is the share of the GPUs' peak arithmetic that a run's useful work came to: the products of the weights and of
// attention for every token computed, divided by what the GPUs could have done from the first send to the last
// token. It applies to dense models, whose arithmetic their shape gives.
func MFU() Column {
	return Share("MFU", "mfu-%", Higher, func(r Result) float64 {
		g := r.Case.On.GPU
		return flops(r) / (g.PeakBF16 * seconds(r) * float64(gpus(r)))
	})
}

// HBM is the share of the GPUs' memory bandwidth that the same work needs at least: the weights once a step, and
// the keys and values that each new token attends to. It does not apply where nobody counted the steps.
func HBM() Column {
	return Share("HBM", "", Higher, func(r Result) float64 {
		if r.Run.Engine.Steps == 0 {
			return math.NaN()
		}
		weights := float64(int64(r.Plan.Weights) * int64(r.Run.Engine.Steps))
		_, pairs := computed(r)
		read := weights + float64(pairs*float64(r.Plan.KVBytesPerToken))
		return read / (r.Case.On.GPU.Bandwidth * seconds(r))
	})
}

// GPUSeconds is what a million output tokens cost in seconds of a GPU.
func GPUSeconds() Column {
	c := Rate("GPU-s/Mtok", "gpu-s/Mtok", func(r Result) float64 {
		return 1e6 * float64(gpus(r)) / r.Summary.OutputThroughput
	})
	c.Show, c.Good = nil, Lower
	return c
}

// Ceiling is a rate of requests that no server with this plan exceeds, whatever its software: every token costs the
// products with the weights at the datasheet's peak, and a step, which reads all weights, gives each of max_num_seqs
// sequences one token. It applies to dense models; of others it is infinite.
func Ceiling(p memory.Plan, prompt, output float64) float64 {
	d := p.Deployment
	if d.Model.MoE != nil || d.Model.MLA != nil {
		return math.Inf(1)
	}
	peak := d.GPU.PeakBF16
	if d.Engine.Quantization != "" {
		peak = max(peak, d.GPU.PeakFP8, d.GPU.PeakINT8)
	}
	servers := max(1, d.Pipeline.Replicas)
	cards := float64(max(1, d.Engine.TensorParallelSize) * max(1, d.Engine.PipelineParallelSize) * servers)
	flops := 2 * (float64(linear(d.Model)*(prompt+output)) + float64(float64(d.Model.VocabSize*d.Model.HiddenSize)*output))
	steps := d.GPU.Bandwidth / float64(p.Weights) // a second
	return min(peak*cards/flops, steps*float64(d.Engine.MaxNumSeqs*servers)/output)
}

func seconds(r Result) float64 { return r.Summary.Duration.Seconds() }

// gpus is how many GPUs the deployment occupies.
func gpus(r Result) int {
	e, p := r.Case.On.Engine, r.Case.On.Pipeline
	return max(1, e.TensorParallelSize) * max(1, e.PipelineParallelSize) * max(1, p.Replicas)
}

// flops is the arithmetic of a run: two for each weight and token, four for each pair of tokens that attend.
func flops(r Result) float64 {
	m := r.Case.On.Model
	if m.MoE != nil || m.MLA != nil {
		return math.NaN()
	}
	tokens, _ := computed(r)
	var outputs, pairs float64
	for i := range r.Run.Requests {
		q := &r.Run.Requests[i]
		outputs += float64(q.Output)
		n := float64(q.Prompt + q.Output)
		pairs += float64(n * n / 2)
	}
	attention := 4 * float64(m.Layers*m.Heads*m.HeadDim)
	return 2*(float64(linear(m)*tokens)+float64(float64(m.VocabSize*m.HiddenSize)*outputs)) + float64(attention*pairs)
}

// linear counts the weights of a dense model's layers, embeddings and lm_head aside.
func linear(m catalog.Model) float64 {
	attention := m.HiddenSize * m.HeadDim * (2*m.Heads + 2*m.KVHeads)
	mlp := 3
	if m.PlainMLP {
		mlp = 2
	}
	return float64(m.Layers) * float64(attention+mlp*m.HiddenSize*m.IntermediateSize)
}

// computed counts the tokens that a run computed, and the tokens that its decodes attended to. What a preemption
// threw away is no useful work and is not counted.
func computed(r Result) (tokens, attended float64) {
	for i := range r.Run.Requests {
		q := &r.Run.Requests[i]
		out, prompt := float64(q.Output), float64(q.Prompt-q.Cached)
		tokens += prompt + max(0, out-1)
		attended += float64(out*float64(q.Prompt)) + float64(out*out/2)
	}
	return tokens, attended
}
