package deploy

import "fmt"

// validate refuses what vLLM refuses before it touches the GPU, in its words.
func (d Deployment) validate() error {
	e, m := d.Engine, d.Model
	tp := e.TensorParallelSize
	switch {
	case e.MaxNumSeqs < 1 || e.MaxNumBatchedTokens < 1:
		return refuse("max_num_seqs = %d and max_num_batched_tokens = %d, want ≥ 1", e.MaxNumSeqs, e.MaxNumBatchedTokens)
	case e.MaxNumBatchedTokens < e.MaxModelLen && !*e.EnableChunkedPrefill:
		return refuse("max_num_batched_tokens (%d) is smaller than max_model_len (%d). This effectively limits the maximum sequence length to max_num_batched_tokens "+
			"and makes vLLM reject longer sequences. Please increase max_num_batched_tokens or decrease max_model_len.", e.MaxNumBatchedTokens, e.MaxModelLen)
	case e.MaxNumBatchedTokens < e.MaxNumSeqs:
		return refuse("max_num_batched_tokens (%d) must be greater than or equal to max_num_seqs (%d).", e.MaxNumBatchedTokens, e.MaxNumSeqs)
	case e.MaxNumActiveSeqs > e.MaxNumSeqs:
		return refuse("max_num_active_seqs (%d) cannot be greater than max_num_seqs (%d).", e.MaxNumActiveSeqs, e.MaxNumSeqs)
	case e.LongPrefillTokenThreshold > e.MaxModelLen:
		return refuse("long_prefill_token_threshold (%d) cannot be greater than the max_model_len (%d).", e.LongPrefillTokenThreshold, e.MaxModelLen)
	case m.Heads%tp != 0:
		return refuse("Total number of attention heads (%d) must be divisible by tensor parallel size (%d).", m.Heads, tp)
	case e.PipelineParallelSize > m.Layers:
		return refuse("pipeline_parallel_size (%d) is larger than the model's %d layers", e.PipelineParallelSize, m.Layers)
	case m.MLA == nil && m.KVHeads%tp != 0 && tp%m.KVHeads != 0:
		return refuse("%d key and value heads cannot be spread over --tensor-parallel-size %d", m.KVHeads, tp)
	case m.IntermediateSize%tp != 0:
		return refuse("%d is not divisible by %d", m.IntermediateSize, tp)
	}
	if err := d.groups(); err != nil {
		return err
	}
	if e.KVCacheDType != "auto" && d.Runner == "V0" && e.BlockSize > 32 {
		return refuse("block_size = %d, want at most 32", e.BlockSize)
	}
	return nil
}

// groups refuses a tensor parallel size that would cut through a group of quantized weights.
func (d Deployment) groups() error {
	group := 128
	if q := d.Model.Quantization; q != nil {
		group = q.GroupSize
	}
	switch d.Engine.Quantization {
	case "awq", "gptq-int4", "gptq-int8":
	default:
		return nil
	}
	tp := d.Engine.TensorParallelSize
	inner := d.Model.IntermediateSize
	if d.Model.MoE != nil {
		inner = d.Model.MoE.IntermediateSize
	}
	if group > 0 && tp > 1 && (inner/tp%group != 0 || d.Model.Heads*d.Model.HeadDim/tp%group != 0) {
		return refuse("The input size is not aligned with the quantized weight shape. This can be caused by too large tensor parallel size. (%s)",
			fmt.Sprintf("%d and %d over --tensor-parallel-size %d, groups of %d", inner, d.Model.Heads*d.Model.HeadDim, tp, group))
	}
	return nil
}
