package suite

import (
	"errors"
	"fmt"

	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/steptime"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// physical says whether a simulated run is possible at all, whatever any profile says: the datasheet bounds what the
// GPUs did while they computed, and clients cannot wait longer in all than they were away. Every case of every suite is
// held to it.
func (r Result) physical() error {
	if !exact || r.Run == nil || r.Failure != nil {
		return nil
	}
	d, _, err := r.Case.On.Resolve()
	if err != nil {
		return err
	}
	timer, err := steptime.For(d)
	if err != nil {
		return err
	}
	peak := d.GPU.PeakBF16
	if d.Engine.Quantization != "" || d.Model.Quantization != nil {
		peak = max(peak, d.GPU.PeakFP8, d.GPU.PeakINT8)
	}
	var errs []error
	for _, run := range append([]*record.Run{r.Run}, r.Also...) {
		b := bounds{timer: timer, run: run, peak: peak, bandwidth: d.GPU.Bandwidth,
			seqs: d.Engine.MaxNumSeqs, engines: max(1, d.Pipeline.Replicas), stages: max(1, d.Engine.PipelineParallelSize)}
		errs = append(errs, b.work(), b.latency(), b.little())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("beyond the datasheet: %w", err)
	}
	return nil
}

// bounds are what the datasheet allows a run.
type bounds struct {
	timer           steptime.Timer
	run             *record.Run
	peak, bandwidth float64 // of one GPU
	seqs            int
	engines, stages int
}

// work holds the run to the roofline: its arithmetic, its reads and its tokens in the time that the GPUs were busy,
// and that time to the clock.
func (b bounds) work() error {
	var errs []error
	busy, steps := b.run.Engine.BusyTime.Seconds(), b.run.Engine.Steps
	flops, context, outputs := 0.0, units.Tokens(0), 0
	for i := range b.run.Requests {
		q := &b.run.Requests[i]
		if q.Output == 0 {
			continue
		}
		flops += b.timer.Figures(prompt(q)).FLOPs
		later := int(q.Output) - 1 // the first token comes with the prompt
		seen := units.Tokens(later)*q.Prompt + units.Tokens(later*(later+1)/2)
		flops += b.timer.Figures(&engine.Work{Decodes: later, DecodeContext: seen, Tokens: units.Tokens(later), Sampled: later}).FLOPs
		context += seen
		outputs += int(q.Output)
	}
	// A step reads the weights at least; whatever a decode attends to, it reads.
	weights := b.timer.Figures(&engine.Work{Tokens: 1}).Bytes
	cache := b.timer.Figures(&engine.Work{DecodeContext: context}).Bytes - b.timer.Figures(&engine.Work{}).Bytes
	if least := flops / b.peak; least > busy {
		errs = append(errs, fmt.Errorf("MFU above 1: %.4gs of arithmetic at the peak in %.4gs of a busy GPU", least, busy))
	}
	if least := (float64(weights*float64(steps)) + cache) / b.bandwidth; least > busy {
		errs = append(errs, fmt.Errorf("bandwidth above the peak: %.4gs of reads in %.4gs of a busy GPU", least, busy))
	}
	if most := float64(steps) * float64(b.seqs); float64(outputs) > most {
		errs = append(errs, fmt.Errorf("%d output tokens in %d steps of at most %d requests", outputs, steps, b.seqs))
	}
	if span := b.run.End.Sub(b.run.Start).Seconds() * float64(b.engines*b.stages); busy > float64(1.001*span)+1 { // a step may outlive the last answer
		errs = append(errs, fmt.Errorf("%.4gs of a busy GPU in %.4gs", busy, span))
	}
	return errors.Join(errs...)
}

// prompt is the least work before a request's first token.
func prompt(q *record.Record) *engine.Work {
	n := max(1, q.Prompt-q.Cached)
	return &engine.Work{Chunks: []engine.Chunk{{Tokens: n, Context: q.Prompt - n}}, Tokens: n, Sampled: 1}
}

// latency holds every first token to the time that the prompt needs on a GPU that reaches its datasheet.
func (b bounds) latency() error {
	for i := range b.run.Requests {
		q := &b.run.Requests[i]
		if q.First == units.Never || q.Output == 0 {
			continue
		}
		f := b.timer.Figures(prompt(q))
		if least, ttft := max(f.FLOPs/b.peak, f.Bytes/b.bandwidth), q.First.Sub(q.Sent).Seconds(); ttft < least {
			return fmt.Errorf("request %d: TTFT %.4gs, but %d tokens of prompt need %.4gs", q.ID, ttft, q.Prompt-q.Cached, least)
		}
		if q.Last < q.First {
			return fmt.Errorf("request %d: its last token comes before its first", q.ID)
		}
	}
	return nil
}

// little holds the mean number of requests in the engines to the time that requests were away: nobody is inside who is
// not away from the client.
func (b bounds) little() error {
	span := b.run.End.Sub(b.run.Start).Seconds()
	if span <= 0 {
		return nil
	}
	away := 0.0
	for i := range b.run.Requests {
		q := &b.run.Requests[i]
		if q.Sent == units.Never {
			continue
		}
		end := b.run.End
		if q.Outcome == failure.None && q.Last != units.Never {
			end = q.Last
		}
		away += max(0, end.Sub(q.Sent).Seconds())
	}
	inside := (b.run.Engine.RunningMean + b.run.Engine.WaitingMean) * span
	if inside > float64(1.001*away)+1e-3 {
		return fmt.Errorf("against Little's law: %.4g request-seconds in the engines, %.4g away", inside, away)
	}
	return nil
}
