// Package memory decides whether a deployment fits and how many KV blocks remain.
//
//	plan, err := memory.For(d) // err is a *failure.Error in vLLM's words where vLLM would refuse to start
//	fmt.Println(plan)          // weights 14.25GiB · activation 2.21GiB · … · KV 58.53GiB = 68500 blocks
//
// Start at For. Weights are laid out tensor by tensor as PyTorch's allocator counts them; the KV cache is divided
// as vLLM divides it; what no formula gives is fitted to real start-up logs and listed by Figures.
package memory

import (
	"fmt"
	"math"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Plan is how the memory of each GPU divides, by vLLM's own terms. With pipeline parallelism the terms are those of
// the first stage, which is the one that vLLM's log shows; the blocks are those of the stage that has fewest.
type Plan struct {
	Deployment deploy.Deployment // resolved; max_model_len as it was finally set

	Total      units.Bytes // of one GPU
	Budget     units.Bytes // requested: total × gpu_memory_utilization, rounded up
	Weights    units.Bytes
	Activation units.Bytes
	NonTorch   units.Bytes
	CUDAGraphs units.Bytes // subtracted before the KV cache; 0 where this version does not
	KVCache    units.Bytes // Budget − all of the above; negative where nothing is left

	GraphMemory units.Bytes // what the captured graphs are expected to take, wherever it comes from
	Outside     units.Bytes // CUDA context and memory of others, outside the budget
	Error       units.Bytes // how far KVCache may be off: 90 of 100 start-ups are nearer
	Margin      units.Bytes // KVCache beyond one request of max_model_len; negative = missing

	BlockBytes      units.Bytes  // one block on one GPU, all layers
	KVBytesPerToken units.Bytes  // on one GPU
	NumBlocks       units.Blocks // the null block included, as vLLM prints it
	KVTokens        units.Tokens // of the engine
	MaxModelLen     int
	LongestFitting  int // vLLM's estimated maximum model length, at most the model's
	MaxConcurrency  float64

	Stages   []Stage
	Terms    []Term
	Warnings []string

	fit   Fit
	sized bool // Margin is known
}

// Stage is one pipeline rank's share.
type Stage struct {
	Layers                                             int
	Weights, Activation, NonTorch, CUDAGraphs, KVCache units.Bytes
	Blocks                                             int
}

// For plans d. The error is a *failure.Error where vLLM would refuse; the Plan beside it is filled as far as it is
// known.
func For(d deploy.Deployment) (Plan, error) { return ForFit(d, Fitted()) }

// ForFit plans with other figures than the fitted ones.
func ForFit(d deploy.Deployment, fit Fit) (Plan, error) {
	r, warnings, err := d.Resolve()
	p := Plan{Deployment: r, Warnings: warnings}
	if err != nil {
		return p, err
	}
	e := r.Engine
	switch {
	case strings.HasPrefix(r.GPU.Name, "AMD"):
		p.Warnings = append(p.Warnings, "the overheads were fitted to NVIDIA cards: on "+r.GPU.Name+" they may be several GiB off")
	case r.GPU.Capability == "12.1":
		p.Warnings = append(p.Warnings, "unified memory: what the host uses is missing on the GPU; give it as gpu_memory_used_gib")
	}
	p.Total = r.GPU.Memory
	p.Budget = units.Bytes(math.Ceil(float64(p.Total) * e.GPUMemoryUtilization))
	p.fit = fit
	p.Outside = gib(fit[contextOutside]) + r.MemoryHeld
	p.MaxModelLen = e.MaxModelLen
	p.Error = certainty(r)
	p.divide()
	p.blocks(layoutOf(r, stages(r)[0]))
	p.Terms = p.terms()
	if err := p.load(); err != nil {
		return p, err
	}
	if err := p.size(); err != nil {
		return p, err
	}
	return p, p.afterwards()
}

// certainty is what 90 of 100 start-ups of the kind are nearer than, as the backtest over 116 real ones measured it
// on the rows that the figures were fitted to; versions later than any of those logs count double.
func certainty(d deploy.Deployment) units.Bytes {
	far := 0.14
	if m := d.Model; m.MoE != nil || m.MLA != nil || m.Multimodal || d.Engine.TensorParallelSize > 2 {
		far = 0.3
	}
	if d.Version().AtLeast(30, 0) {
		far *= 2
	}
	return gib(far)
}

// divide works out the terms of every stage.
func (p *Plan) divide() {
	d := p.Deployment
	overhead := planner{d, p.fit}
	for i, s := range stages(d) {
		st := Stage{Layers: s.layers, Weights: weightsOf(d, s), Activation: overhead.activation(s), NonTorch: overhead.nonTorch(s)}
		if counted(d) {
			st.NonTorch += overhead.penalties(s)
		}
		g := overhead.graphs(s)
		if subtracted(d) {
			st.CUDAGraphs = g
		}
		st.KVCache = p.Budget - st.Weights - st.Activation - st.NonTorch - st.CUDAGraphs
		if d.Engine.KVCacheMemoryBytes > 0 {
			st.KVCache, st.CUDAGraphs = d.Engine.KVCacheMemoryBytes, 0
		}
		p.Stages = append(p.Stages, st)
		if i == 0 {
			p.Weights, p.Activation, p.NonTorch, p.CUDAGraphs, p.KVCache = st.Weights, st.Activation, st.NonTorch, st.CUDAGraphs, st.KVCache
			p.GraphMemory = g
		}
	}
}

// load refuses what fails before the KV cache is sized.
func (p *Plan) load() error {
	d := p.Deployment
	free := p.Total - p.Outside
	if free < p.Budget && d.Runner != "V0" && d.Version().AtLeast(9, 1) {
		p.sized, p.Margin = true, free-p.Budget
		return &failure.Error{Class: failure.MemoryHeld, Message: fmt.Sprintf("Free memory on device cuda:0 (%s/%s GiB) on startup is less than desired GPU memory utilization "+
			"(%s, %s GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes.", short(free), short(p.Total), number(d.Engine.GPUMemoryUtilization), short(p.Budget))}
	}
	for _, s := range stages(d) {
		a := load(d, s, free)
		if a.failed == 0 {
			continue
		}
		p.sized, p.Margin = true, free-a.used
		return &failure.Error{Class: failure.WeightsDoNotFit, Message: noLoad(d, a, p.Total)}
	}
	return nil
}

// size divides what is left into blocks, or refuses as vLLM does.
func (p *Plan) size() error {
	d := p.Deployment
	override := d.Engine.NumGPUBlocksOverride
	var tightest layout
	for i, s := range stages(d) {
		st := &p.Stages[i]
		l := layoutOf(d, s)
		st.Blocks = max(0, int(st.KVCache/l.block)/l.groups())
		if override > 0 {
			st.Blocks = override
		}
		if i == 0 || st.Blocks < int(p.NumBlocks) {
			tightest, p.NumBlocks = l, units.Blocks(st.Blocks)
			p.blocks(l)
		}
	}
	p.KVTokens = units.Tokens(int(p.NumBlocks) * tightest.size)
	var refused error // of the first stage that refuses; the others still say what they would hold
	for i, s := range stages(d) {
		l := layoutOf(d, s)
		room := p.Stages[i].KVCache
		if override > 0 {
			room = units.Bytes(override*l.groups()) * l.block
		}
		if err := p.check(l, room, p.Stages[i]); err != nil && refused == nil {
			refused = err
		}
	}
	if refused != nil {
		return refused
	}
	p.capacity(tightest)
	return nil
}

func (p *Plan) blocks(l layout) {
	p.BlockBytes = l.block * units.Bytes(l.groups())
	p.KVBytesPerToken = p.BlockBytes / units.Bytes(l.size)
}

// check is vLLM's: something must be left, and one request of max_model_len must fit.
func (p *Plan) check(l layout, room units.Bytes, s Stage) error {
	d := p.Deployment
	if d.Version().AtLeast(30, 0) {
		room -= l.block
	}
	need := units.Bytes(l.blocksFor(p.MaxModelLen, d.Engine.MaxNumBatchedTokens)) * l.block
	if margin := room - need; !p.sized || margin < p.Margin {
		p.sized, p.Margin = true, margin
	}
	if room <= 0 {
		class := failure.NoRoomForKV
		if s.Weights >= p.Budget {
			class = failure.WeightsDoNotFit
		}
		return &failure.Error{Class: class, Message: noMemory(d.Version())}
	}
	longest := l.longest(room, d.Engine.MaxNumBatchedTokens, max(p.MaxModelLen, d.Model.MaxModelLen))
	if p.LongestFitting == 0 || longest < p.LongestFitting {
		p.LongestFitting = longest
	}
	longest = min(longest, p.MaxModelLen)
	if longest >= p.MaxModelLen {
		return nil
	}
	if d.Engine.FitMaxModelLen {
		if longest == 0 {
			return &failure.Error{Class: failure.NoRoomForKV, Message: "Cannot auto-fit max_model_len: not enough GPU memory available to serve even a single token. Try increasing `gpu_memory_utilization`."}
		}
		p.Warnings = append(p.Warnings, fmt.Sprintf("Auto-fit max_model_len: reduced from %d to %d to fit in available KV cache memory (%s GiB GPU)", p.MaxModelLen, longest, short(room)))
		p.MaxModelLen = longest
		p.Deployment.Engine.MaxModelLen = longest
		p.Margin = room - units.Bytes(l.blocksFor(longest, d.Engine.MaxNumBatchedTokens))*l.block
		return nil
	}
	return &failure.Error{Class: failure.ContextTooLong, Message: tooLong(d, p.MaxModelLen, need, room, longest, l)}
}

// capacity is what vLLM prints of the cache.
func (p *Plan) capacity(l layout) {
	per := l.blocksFor(p.MaxModelLen, p.Deployment.Engine.MaxNumBatchedTokens)
	p.MaxConcurrency = float64(int(p.NumBlocks)*l.groups()) / float64(per)
	if p.Deployment.Version().AtLeast(30, 0) && l.windowGroups == 0 {
		p.KVTokens = units.Tokens(p.MaxConcurrency * float64(p.MaxModelLen))
	}
}

// afterwards refuses what fails after the check: sampler and graphs come out of what is outside the budget.
func (p *Plan) afterwards() error {
	d := p.Deployment
	in := p.Weights + p.Activation + p.NonTorch + max(p.KVCache, 0) + p.GraphMemory + p.Outside
	if !counted(d) {
		in += planner{d, p.fit}.penalties(stages(d)[0])
	}
	if d.Engine.NumGPUBlocksOverride > 0 {
		in += units.Bytes(int64(p.NumBlocks))*p.BlockBytes - p.KVCache
	}
	if late := !d.Version().AtLeast(8, 2) && d.Runner == "V1"; late {
		in += planner{d, p.fit}.topKTopP()
	}
	if in <= p.Total {
		return nil
	}
	p.Margin = p.Total - in
	message := fmt.Sprintf("CUDA out of memory. %s GiB are needed after the KV cache was sized, GPU 0 has a total capacity of %s GiB", short(in), short(p.Total))
	if d.Runner != "V2" {
		message = fmt.Sprintf("CUDA out of memory occurred when warming up sampler with %d dummy requests. Please try lowering `max_num_seqs` or `gpu_memory_utilization` when initializing the engine.",
			min(d.Engine.MaxNumSeqs, d.Engine.MaxNumBatchedTokens))
	}
	return &failure.Error{Class: failure.OutOfMemory, Message: message}
}

func (p Plan) String() string {
	return fmt.Sprintf("weights %v · activation %v · non-torch %v · CUDA graphs %v · KV %v = %d blocks", p.Weights, p.Activation, p.NonTorch, p.CUDAGraphs, p.KVCache, p.NumBlocks)
}

// Close says that the verdict hangs on less memory than the plan may be wrong by.
func (p Plan) Close() bool { return p.sized && max(p.Margin, -p.Margin) < p.Error }
