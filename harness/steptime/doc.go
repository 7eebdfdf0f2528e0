// Package steptime says how long one step of a vLLM engine takes: what the GPU needs, operator by operator from the
// model's shapes, and what the host needs, each calibrated apart on measured runs.
//
//	timer, err := steptime.For(d)          // the profiles of d.GPU and d.Host, applied to d.Model
//	var cost engine.Cost
//	timer.Step(&engine.Work{Decodes: 64, DecodeContext: 12800, Tokens: 64, Sampled: 64, Running: 64}, &cost)
//
// An operator takes a fixed time plus its roofline (bytes ÷ bandwidth or FLOPs ÷ peak of the datasheet, whichever is
// more) divided by the share of it that kernels were measured to reach. A profile states its source and its error.
// Start at For, then Step.
//
// # Decisions
//
// Kernels are launched one after another while the GPU already runs the first: a step that the GPU bounds hides its
// launches, and one that the host bounds hides the GPU's work in them. A step with prompts is launched layer by layer,
// which takes the host longer than its kernels take the GPU; the step before it is then looked at late, and all who are
// decoding wait.
//
// Decode attention is the largest of a few straight lines in the context, not a curve: times stay sums of integers.
package steptime
