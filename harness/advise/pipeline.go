package advise

import (
	"fmt"

	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// Dispatch is what a pipeline came to: how long its rows took from the first that left to the last answer, and why not
// more of them were in flight.
type Dispatch struct {
	Makespan units.Span
	Idle     workload.Idle
}

// PipelineAdvice is a change to a pipeline that was tried and shortens the job.
type PipelineAdvice struct {
	Rule          string
	Cause         workload.Why // of idleness, that the change is meant to remove
	What          string       // the change, by Ray's names
	Why           string
	Changed       workload.Pipeline
	Before, After Dispatch
}

func (a PipelineAdvice) String() string {
	return fmt.Sprintf("%s: %s. Before: %.3gs, %v. After: %.3gs, %v", a.What, a.Why,
		a.Before.Makespan.Seconds(), a.Before.Idle, a.After.Makespan.Seconds(), a.After.Idle)
}

// pipelineRule proposes the changes that it knows of, the smallest first; the first that helps is given.
type pipelineRule struct {
	name    string
	cause   workload.Why
	why     string
	changes func(workload.Pipeline) []pipelineChange
}

type pipelineChange struct {
	what string
	to   workload.Pipeline
}

// OnPipeline tries what is known to hold rows back from engines that could take them, in how Ray Data is configured,
// and gives each smallest change that shortens the job by a fiftieth or more. Changes are tried one at a time.
//
//	advice, err := advise.OnPipeline(p, try) // try plays a changed pipeline against the same engines
func OnPipeline(p workload.Pipeline, try func(workload.Pipeline) (Dispatch, error)) ([]PipelineAdvice, error) {
	before, err := try(p)
	if err != nil {
		return nil, fmt.Errorf("advise: the pipeline as it is: %w", err)
	}
	var given []PipelineAdvice
	for _, r := range pipelineRules() {
		for _, c := range r.changes(p) {
			if c.to.Validate() != nil {
				continue
			}
			after, err := try(c.to)
			if err != nil {
				return nil, fmt.Errorf("advise: %s: %w", c.what, err)
			}
			if after.Makespan <= before.Makespan-before.Makespan/50 {
				given = append(given, PipelineAdvice{r.name, r.cause, c.what, r.why, c.to, before, after})
				break
			}
		}
	}
	return given, nil
}

// Ray's defaults and constants, as far as a pipeline leaves them open.
func concurrentBatches(p workload.Pipeline) int {
	switch {
	case p.MaxConcurrentBatches > 0:
		return p.MaxConcurrentBatches
	case p.Kind == workload.HTTP:
		return 1
	}
	return 8
}

func blocksOf(p workload.Pipeline) int {
	if p.Blocks > 0 {
		return p.Blocks
	}
	return units.CeilDiv(p.Rows.Len(), p.BatchSize)
}

func actorsOf(p workload.Pipeline) int { return max(1, p.MinActors, p.MaxActors) }

func pipelineRules() []pipelineRule {
	return append(layoutRules(), poolRules()...)
}

// layoutRules change how rows are cut.
func layoutRules() []pipelineRule {
	return []pipelineRule{
		{"block layout", workload.IdleLayout, "a task is whole blocks and runs up to four of its batches together: small blocks leave it one", func(p workload.Pipeline) (out []pipelineChange) {
			for batches := 2; batches <= 4; batches++ {
				if n := p.Rows.Len() / (batches * p.BatchSize); n >= 1 && n < blocksOf(p) {
					out = append(out, with(p, fmt.Sprintf("set override_num_blocks to %d (was %d): %d batches a task", n, blocksOf(p), batches), func(p *workload.Pipeline) { p.Blocks = n }))
				}
			}
			return out
		}},
		{"row after row", workload.IdleLayout, "the HTTP processor sends the rows of a batch one after the other: a smaller batch_size has more of them together", func(p workload.Pipeline) (out []pipelineChange) {
			if p.Kind != workload.HTTP {
				return nil
			}
			for n := p.BatchSize / 2; n >= 1; n /= 2 {
				out = append(out, with(p, fmt.Sprintf("lower batch_size from %d to %d", p.BatchSize, n), func(p *workload.Pipeline) { p.Blocks, p.BatchSize = blocksOf(*p), n }))
			}
			return out
		}},
		{"tiny blocks", workload.IdleSupply, "every block is a task of the stages before the engine, and those set the pace", func(p workload.Pipeline) (out []pipelineChange) {
			if n := units.CeilDiv(p.Rows.Len(), p.BatchSize); p.Kind == workload.VLLM && n < blocksOf(p) {
				out = append(out, with(p, fmt.Sprintf("set override_num_blocks to %d (was %d): one batch a block", n, blocksOf(p)), func(p *workload.Pipeline) { p.Blocks = n }))
			}
			return out
		}},
		{"batch tails", workload.IdleTail, "a batch returns when its last row does, and its slot is taken until then", func(p workload.Pipeline) (out []pipelineChange) {
			m := concurrentBatches(p)
			if p.Kind == workload.VLLM {
				for _, n := range []int{m + m/2, 2 * m, 4 * m} {
					out = append(out, with(p, fmt.Sprintf("raise max_concurrent_batches from %d to %d", m, n), func(p *workload.Pipeline) {
						p.MaxConcurrentBatches, p.MaxTasksInFlight = n, max(p.MaxTasksInFlight, 2*n)
					}))
				}
			}
			return out
		}},
		{"batch size", workload.IdleBatch, "batch_size × max_concurrent_batches rows are fewer than the engine has seats", func(p workload.Pipeline) (out []pipelineChange) {
			m := concurrentBatches(p)
			if n := units.CeilDiv(p.MaxNumSeqs, p.BatchSize); p.Kind == workload.VLLM && n > m {
				out = append(out, with(p, fmt.Sprintf("raise max_concurrent_batches from %d to %d: batch_size × it fills --max-num-seqs %d", m, n, p.MaxNumSeqs), func(p *workload.Pipeline) {
					p.MaxConcurrentBatches, p.MaxTasksInFlight = n, max(p.MaxTasksInFlight, 2*n)
				}))
			}
			return out
		}},
		{"semaphore", workload.IdlePermit, "rows wait in the replica's semaphore while the engine has seats", func(p workload.Pipeline) (out []pipelineChange) {
			if p.Kind == workload.VLLM && p.MaxPending > 0 {
				for _, n := range []int{2 * p.MaxPending, 4 * p.MaxPending} {
					out = append(out, with(p, fmt.Sprintf("raise max_pending_requests from %d to %d", p.MaxPending, n), func(p *workload.Pipeline) { p.MaxPending = n }))
				}
			}
			return out
		}},
		{"rate limit", workload.IdleRate, "qps delays the first row of each batch and spaces nothing after it", func(p workload.Pipeline) (out []pipelineChange) {
			if p.QPS > 0 {
				out = append(out, with(p, "drop qps and bound what is in flight by blocks and actors instead", func(p *workload.Pipeline) { p.QPS = 0 }))
			}
			return out
		}},
	}
}

// poolRules change who sends.
func poolRules() []pipelineRule {
	return []pipelineRule{
		{"actors that never start", workload.IdleUnasked, "concurrency n is a maximum: a second actor is asked for when the first holds 1.75 × max_concurrent_batches tasks", func(p workload.Pipeline) (out []pipelineChange) {
			if most := actorsOf(p); most > max(1, p.MinActors) {
				out = append(out, with(p, fmt.Sprintf("set concurrency to (%d, %d): all actors from the start", most, most), func(p *workload.Pipeline) { p.MinActors, p.MaxActors = most, most }))
				m := concurrentBatches(p) // or else the first one, ready before the others, is dealt all there is
				out = append(out, with(p, fmt.Sprintf("set concurrency to (%d, %d) and max_tasks_in_flight_per_actor to %d", most, most, m), func(p *workload.Pipeline) {
					p.MinActors, p.MaxActors, p.MaxTasksInFlight = most, most, m
				}))
			}
			return out
		}},
		{"greedy first actor", workload.IdleGreed, "the first actor that is ready is dealt max_tasks_in_flight tasks, and a task never moves to another", func(p workload.Pipeline) (out []pipelineChange) {
			m := concurrentBatches(p)
			for _, n := range []int{m + 1, m} {
				if actorsOf(p) > 1 && (p.MaxTasksInFlight == 0 || n < p.MaxTasksInFlight) {
					out = append(out, with(p, fmt.Sprintf("set max_tasks_in_flight_per_actor to %d", n), func(p *workload.Pipeline) { p.MaxTasksInFlight = n }))
				}
			}
			return out
		}},
		{"nothing queues at the actor", workload.IdleDealing, "with max_tasks_in_flight_per_actor at max_concurrent_batches or below, a freed slot waits 0.2 s for the driver", func(p workload.Pipeline) (out []pipelineChange) {
			if m := concurrentBatches(p); p.MaxTasksInFlight > 0 && p.MaxTasksInFlight <= m {
				for _, n := range []int{m + 1, 2 * m} {
					out = append(out, with(p, fmt.Sprintf("raise max_tasks_in_flight_per_actor from %d to %d", p.MaxTasksInFlight, n), func(p *workload.Pipeline) { p.MaxTasksInFlight = n }))
				}
			}
			return out
		}},
		{"too few tasks", workload.IdleDrain, "actors idle when there are fewer tasks than they have slots", func(p workload.Pipeline) (out []pipelineChange) {
			slots := actorsOf(p) * concurrentBatches(p)
			for _, n := range []int{slots, 2 * slots} {
				if n > blocksOf(p) && n <= p.Rows.Len() {
					batch := max(1, p.Rows.Len()/n)
					out = append(out, with(p, fmt.Sprintf("set override_num_blocks to %d (was %d) and batch_size to %d", n, blocksOf(p), batch), func(p *workload.Pipeline) { p.Blocks, p.BatchSize = n, min(p.BatchSize, batch) }))
				}
			}
			return out
		}},
	}
}

func with(p workload.Pipeline, what string, change func(*workload.Pipeline)) pipelineChange {
	change(&p)
	return pipelineChange{what, p}
}
