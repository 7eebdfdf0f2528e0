package workload

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Pipeline sends rows the way Ray Data LLM 2.60 does: blocks are merged into tasks, tasks are dealt to actors, an actor
// cuts its tasks into batches and sends a batch's rows to its engine. What decides how many rows are in flight is the
// layout of the blocks as much as the configuration. A Request's Replica is the actor that sends it.
type Pipeline struct {
	Rows Source
	Seed uint64

	Kind                 PipelineKind
	BatchSize            int
	MaxConcurrentBatches int // tasks that run together on an actor; 0 = 8, HTTP 1
	MaxTasksInFlight     int // tasks dealt to an actor; 0 = twice MaxConcurrentBatches
	Blocks               int // of the data set; 0 = rows ÷ BatchSize
	MaxNumSeqs           int // of the engine: ⌈1.1 × it⌉ rows of one actor are at its engine at most; 0 = no limit
	MaxPending           int // replaces that limit; 0 = not given
	MinActors, MaxActors int // 0 = 1
	Budget               int // actors that CPUs or GPUs allow; 0 = MaxActors
	CPUs                 int // logical ones of the cluster: the tasks before the engine share them with the actors; 0 = 8

	// QPS delays the first row of each batch by rows ÷ QPS seconds; it does not space the others. 0 = off.
	QPS float64

	OnError OnError
	Costs   Costs
}

// PipelineKind is who sends a row.
type PipelineKind string

const (
	VLLM PipelineKind = ""     // the vLLM engine processor: all rows of a batch at once
	HTTP PipelineKind = "http" // the HTTP request processor: a batch's rows one after the other
)

// Costs are the times that Ray itself takes. A zero field is the constant for it, measured on two cores.
type Costs struct {
	First        time.Duration // until the first actor is ready: 1.5 s
	Stagger      time.Duration // from one actor of the initial pool to the next: 0.35 s
	Added        time.Duration // until an actor that was added is ready: 1.8 s, the median of 15
	AddedStagger time.Duration // from one of several that were added together to the next: 0.8 s, they start on the same cores; alone on them 0.3 to 0.6 s, beside other work up to 3 s
	Load         time.Duration // the engine's own start, on top of these: 0
	Overhead     time.Duration // from a row's turn until the server has it: 10 ms, HTTP 6 ms
	Task         time.Duration // from a task's end until the driver has noticed: 20 ms
	Refill       time.Duration // until a freed slot has its next task if none queues at the actor: 0.2 s
	Restart      time.Duration // until an actor that died is ready again: 1.3 s
	Abort        time.Duration // from a task's failure until no actor sends any more: 0.4 s, 0.38 to 0.41 in five runs

	// The stages before the engine, which HTTP has fused into the actor, work on as many blocks at once as Ray gives them
	// CPUs. They deliver them every Seen (80 ms: the driver waits 0.1 s for all that runs before it looks) and Block
	// (70 ms) and Row (3 ms) for each row, on Cores (2) of a machine; the second time Cold (0.2 s) later. Calibrated on
	// ten runs of Ray 2.60 on two cores that nobody else used, with prompts of 60 to 200 tokens to make.
	Seen, Block, Row, Cold time.Duration
	Cores                  int
	Supply                 float64 // blocks a second, where it is known, instead of these
}

func (c Costs) or(kind PipelineKind) Costs {
	def := func(d *time.Duration, constant time.Duration) {
		if *d == 0 {
			*d = constant
		}
	}
	def(&c.First, 1500*time.Millisecond)
	def(&c.Stagger, 350*time.Millisecond)
	def(&c.Added, 1800*time.Millisecond)
	def(&c.AddedStagger, 800*time.Millisecond)
	def(&c.Task, 20*time.Millisecond)
	def(&c.Refill, 200*time.Millisecond)
	def(&c.Restart, 1300*time.Millisecond)
	def(&c.Abort, 400*time.Millisecond)
	def(&c.Seen, 80*time.Millisecond)
	def(&c.Block, 70*time.Millisecond)
	def(&c.Row, 3*time.Millisecond)
	def(&c.Cold, 200*time.Millisecond)
	if c.Cores == 0 {
		c.Cores = 2
	}
	if kind == HTTP {
		def(&c.Overhead, 6*time.Millisecond)
		c.Supply = math.Inf(1)
	}
	def(&c.Overhead, 10*time.Millisecond)
	return c
}

// filled returns p with every default written out.
func (p Pipeline) filled() Pipeline {
	def := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	if p.Kind == HTTP {
		def(&p.MaxConcurrentBatches, 1)
	}
	def(&p.MaxConcurrentBatches, 8)
	def(&p.MaxTasksInFlight, 2*p.MaxConcurrentBatches)
	def(&p.Blocks, units.CeilDiv(p.Rows.Len(), p.BatchSize))
	def(&p.MinActors, 1)
	def(&p.MaxActors, p.MinActors)
	def(&p.Budget, p.MaxActors)
	def(&p.CPUs, 8)
	p.Budget = max(p.Budget, p.MinActors)
	if p.Kind == VLLM && p.MaxPending == 0 && p.MaxNumSeqs > 0 {
		p.MaxPending = int(math.Ceil(float64(p.MaxNumSeqs) * 1.1))
	}
	p.Costs = p.Costs.or(p.Kind)
	return p
}

func (p Pipeline) String() string {
	kind := "ray"
	if p.Kind == HTTP {
		kind = "ray http"
	}
	p = p.filled()
	actors := fmt.Sprint(p.MinActors)
	if p.MaxActors != p.MinActors {
		actors = fmt.Sprintf("%d..%d", p.MinActors, p.MaxActors)
	}
	return fmt.Sprintf("%v · %s batches of %d, %d together, %d blocks, %s actors · seed %d",
		p.Rows, kind, p.BatchSize, p.MaxConcurrentBatches, p.Blocks, actors, p.Seed)
}

// Validate says what is wrong with the description. Play panics on a pipeline that is not valid.
func (p Pipeline) Validate() error {
	if p.Rows == nil {
		return errors.New("pipeline: nothing is asked")
	}
	if err := p.Rows.validate(); err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	if p.Rows.Len() == 0 {
		return errors.New("pipeline: rows = 0, want > 0")
	}
	if p.BatchSize < 1 {
		return fmt.Errorf("pipeline: batch_size = %d, want > 0", p.BatchSize)
	}
	for _, f := range []struct {
		name string
		n    int
	}{
		{"CPUs", p.CPUs}, {"concurrency", p.MaxConcurrentBatches}, {"max_tasks_in_flight", p.MaxTasksInFlight}, {"blocks", p.Blocks},
		{"max_num_seqs", p.MaxNumSeqs}, {"max_pending_requests", p.MaxPending}, {"replicas", p.MaxActors}, {"replicas", p.MinActors},
	} {
		if f.n < 0 {
			return fmt.Errorf("pipeline: %s = %d, want ≥ 0", f.name, f.n)
		}
	}
	if p.OnError.MaxRetries < 0 || p.OnError.BaseRetryWait < 0 || p.OnError.MaxErroredBlocks < -1 {
		return fmt.Errorf("pipeline: max_retries = %d, base_retry_wait_time_in_s = %g, max_errored_blocks = %d, want ≥ 0, ≥ 0, ≥ -1",
			p.OnError.MaxRetries, p.OnError.BaseRetryWait.Seconds(), p.OnError.MaxErroredBlocks)
	}
	if p.OnError.Continue && p.Kind == HTTP {
		return errors.New("pipeline: should_continue_on_error is a switch of the vLLM processor; the HTTP processor passes an error's JSON on as a result, and max_errored_blocks bounds the rest")
	}
	if p.MaxActors > 0 && p.MaxActors < p.MinActors {
		return fmt.Errorf("pipeline: replicas = %d..%d, want them ascending", p.MinActors, p.MaxActors)
	}
	if p.Blocks > p.Rows.Len() {
		return fmt.Errorf("pipeline: blocks = %d, want at most the %d rows", p.Blocks, p.Rows.Len())
	}
	return nil
}

// Warnings say what the layout does that its author may not expect.
func (p Pipeline) Warnings() []string {
	p = p.filled()
	var out []string
	together := min(p.MaxConcurrentBatches, p.MaxTasksInFlight) * p.batchesTogether()
	switch {
	case p.Kind == VLLM && p.MaxNumSeqs > 0 && p.BatchSize*p.MaxConcurrentBatches < p.MaxNumSeqs:
		out = append(out, fmt.Sprintf("batch_size × concurrency = %d rows is below --max-num-seqs %d: the engine cannot fill its seats",
			p.BatchSize*p.MaxConcurrentBatches, p.MaxNumSeqs))
	case p.Kind == HTTP && together == 1 && p.MaxActors == 1:
		out = append(out, "one row is in flight at a time: the block layout gives one batch per task and there is one actor")
	}
	if tasks := len(p.tasks()); p.MaxActors > p.MinActors && float64(tasks) < 1.75*float64(p.MaxConcurrentBatches) {
		out = append(out, fmt.Sprintf("%d tasks never start a second actor: one must hold %d first", tasks,
			int(math.Ceil(1.75*float64(p.MaxConcurrentBatches)))))
	}
	return out
}

// MostRows is how many rows can be in flight at once: what the slots of all actors hold and their semaphores let through.
func (p Pipeline) MostRows() int {
	p = p.filled()
	rows := p.MaxConcurrentBatches * p.batchesTogether()
	if p.Kind == VLLM {
		rows *= p.BatchSize
		if p.MaxPending > 0 {
			rows = min(rows, p.MaxPending)
		}
	}
	return rows * min(p.MaxActors, p.Budget)
}

// batchesTogether is how many batches of one task can run at once.
func (p Pipeline) batchesTogether() int {
	most := 0
	for _, t := range p.tasks() {
		most = max(most, units.CeilDiv(t.to-t.from, p.BatchSize))
	}
	return min(most, batchesOfATask)
}

// batchesOfATask run together at most: a default of Ray Data's asynchronous stages.
const batchesOfATask = 4

// task is a run of whole blocks: rows from..to, complete when the last of them has arrived.
type task struct {
	from, to int
	ready    units.Time
}

// supplied is when the stages before the engine have delivered block b; their workers start beside the first actor.
func (p Pipeline) supplied(b int) units.Time {
	first := units.Time(units.FromDuration(p.Costs.First))
	if p.Costs.Supply > 0 {
		return first.Add(units.Seconds(float64(b) / p.Costs.Supply))
	}
	together := p.preprocessing()
	rows := units.CeilDiv(p.Rows.Len(), p.Blocks)
	work := units.FromDuration(p.Costs.Block) + units.Span(rows)*units.FromDuration(p.Costs.Row)
	if together > p.Costs.Cores {
		work = work * units.Span(together) / units.Span(p.Costs.Cores)
	}
	turn := units.Span(b / together)
	if turn > 0 {
		first = first.Add(units.FromDuration(p.Costs.Cold))
	}
	return first.Add(turn * (units.FromDuration(p.Costs.Seen) + work))
}

// preprocessing is how many tasks of the stage before the engine run together, one a CPU: of the three stages each is
// given a sixth of the CPUs, at least what it needs to run at all, and the rest is shared from the last stage on.
func (p Pipeline) preprocessing() int {
	cpus := float64(p.CPUs)
	own := max(1, cpus/6)
	engines := min(max(cpus/6, float64(p.MinActors)), float64(p.MaxActors))
	shared := cpus - 2*own - engines
	for n := 1; ; n++ {
		left := shared - max(0, float64(n)-own)
		after := left / 3
		rest := left - after
		rest -= min(rest/2, float64(p.MaxActors)-engines)
		if max(0, own-float64(n))+rest < 1 {
			return n
		}
	}
}

// tasks merges blocks in their order until there is a batch; blocks are never split.
func (p Pipeline) tasks() []task {
	var out []task
	n, size, extra := p.Rows.Len(), p.Rows.Len()/p.Blocks, p.Rows.Len()%p.Blocks
	from, to := 0, 0
	for b := range p.Blocks {
		to += size
		if b < extra {
			to++
		}
		if to-from >= p.BatchSize || b == p.Blocks-1 && to > from {
			out = append(out, task{from, to, p.supplied(b)})
			from = to
		}
	}
	if to != n {
		panic("workload: blocks do not add up to the rows")
	}
	return out
}

// Play returns a fresh client.
func (p Pipeline) Play() Player {
	if err := p.Validate(); err != nil {
		panic(err)
	}
	return newPipelinePlayer(p.filled())
}
