package engine

import (
	"iter"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// RequestID names a request; the caller chooses it, and no two requests of an Engine may share one: the reference looks.
type RequestID int

// Request is what the engine must know of one generation request.
type Request struct {
	ID        RequestID
	Prompt    units.Tokens
	MaxTokens units.Tokens // finishes with this many output tokens (length) …
	StopAt    units.Tokens // … or with this one (stop token), which the scheduler cannot foresee; 0 = never

	// Shared is the leading part of the prompt that other requests may have too; what is beyond it is the
	// request's own. Prefix-cache hits come from here and nowhere else.
	Shared []units.Segment
	// Open says that requests sent after this one's end may name its own text in their Shared (through OwnText).
	Open bool
	// Cached forces this many prefix-cache hits (rounded down to blocks) at the first admission.
	Cached units.Tokens

	Priority int        // lower is more important; used by the priority policy alone
	Arrival  units.Time // orders equal priorities; ties go by ID
}

// Chunk is a part of a prompt that one step computes: Tokens of them, after Context that are computed already.
type Chunk struct {
	Tokens  units.Tokens
	Context units.Tokens
}

// Work is what one step does, in the aggregates that its time depends on.
type Work struct {
	Decodes       int          // rows of one token: decodes, and the rare one-token end of a prompt
	DecodeContext units.Tokens // sum over them of the tokens attended to, the new one included
	Chunks        []Chunk      // all other rows, in schedule order; valid until the next step
	Tokens        units.Tokens // computed in all
	Sampled       int          // rows that end in a sampled token
	Finishing     int          // requests whose last token (by length) this step computes
	Admitted      int          // requests that entered running in this step, resumed ones included
	Running       int          // requests in running when the step was scheduled
}

// Cost is how long the parts of one step take. The host prepares (Schedule) and starts the kernels one by one (Launch)
// while the GPU already computes the first of them (GPU); it takes the result (Update), and the front end takes the
// tokens (Deliver) and writes them to the clients (Write; for steps that it is behind with, once). With async scheduling
// host and GPU overlap over two steps, without it they take turns.
type Cost struct {
	Schedule, Launch, GPU, Update, Deliver, Write units.Span

	// Of the same work with more DecodeContext, up to UpTo, each token more costs PerContext ≥ 0 of GPU time and nothing
	// else; with more Finishing, each takes the latter two longer and nothing else. A timer that does not say leaves UpTo 0:
	// then each step is asked for.
	PerContext                      units.Span
	UpTo                            units.Tokens
	UpdateFinished, DeliverFinished units.Span
}

// launch is what becomes of a step that the host begins at t, on a GPU that is busy until gpu: when the host has done,
// and when the GPU will have. The last kernel cannot end before it was started.
func (c *Cost) launch(t, gpu units.Time) (done, end units.Time) {
	prepared := t.Add(c.Schedule)
	done = prepared.Add(c.Launch)
	return done, max(max(prepared, gpu).Add(c.GPU), done)
}

// StepTimer says how long a step takes, how long the front end is busy with a request before it reaches the scheduler,
// and how often that request waits meanwhile for a pass over the streams, if the front end is behind with them.
// It must be a pure function of its arguments. Step fills a Cost that it is handed, because eight words that are returned
// are copied twice.
type StepTimer interface {
	Step(w *Work, into *Cost)
	Intake(prompt units.Tokens) (busy units.Span, awaits int)
}

// Kind says what an Event tells.
type Kind uint8

const (
	Queued    Kind = iota // the request reached the scheduler; Tokens = prompt
	Admitted              // it entered running for the first time; Tokens = prefix hits
	Resumed               // it entered running again after a preemption; Tokens = prefix hits
	Preempted             // its blocks were taken; Tokens = computed tokens thrown away
	First                 // its first output token
	Late                  // an output token whose predecessor did not come with the step before; Gap = since then
	Token                 // any other output token; told only with Config.EveryToken, else counted in Step
	Finished              // it is complete, with the token just told or counted; Tokens = output tokens in all
	Cancelled             // it was removed by Cancel
	Step                  // a step's output was processed: Tokens computed, Count regular tokens, each Gap after its predecessor …
)

func (k Kind) String() string {
	return [...]string{"queued", "admitted", "resumed", "preempted", "first", "late", "token", "finished", "cancelled", "step"}[k]
}

// Reason says why a request finished, in vLLM's words.
type Reason uint8

const (
	NotFinished Reason = iota
	Length
	Stop
	Abort
)

// Event is one thing that happened. At is the engine's clock; Seen is when the front end has it out, which is what
// a client measures (0 for events that no client sees).
//
// One Step event may tell of many Steps that were alike. It is the last of them; the one before was Gap earlier, and its
// own Gap was shorter by Rise. OneByOne takes them apart.
type Event struct {
	At, Seen  units.Time
	Gap, Rise units.Span
	Request   RequestID
	Tokens    units.Tokens
	Count     int
	Steps     int32 // of a Step event; else 0
	Kind      Kind
	Reason    Reason
}

// OneByOne goes through events, each step by itself.
func OneByOne(events []Event) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for _, e := range events {
			n, rise := max(0, units.Span(e.Steps)-1), e.Rise
			back := n*e.Gap - rise*(n*(n-1)/2)
			e.At, e.Seen, e.Gap = e.At.Add(-back), e.Seen.Add(-back), e.Gap-n*rise
			for e.Steps, e.Rise = min(e.Steps, 1), 0; n >= 0; n-- {
				if !yield(e) {
					return
				}
				e.Gap += rise
				e.At, e.Seen = e.At.Add(e.Gap), e.Seen.Add(e.Gap)
			}
		}
	}
}

// Gauge is the engine's state as vLLM's metrics report it, and what became of it over time.
type Gauge struct {
	Running, Waiting Meter
	Used             Meter        // KV blocks
	Total            units.Blocks // excludes the null block
	Arriving         int          // requests taken in by the front end, not yet seen by the scheduler
	Steps            int          // with tokens
	Busy             units.Span   // of the GPU
	Preemptions      int
	Evictions        int          // prefix cache: blocks that were handed out while they were cached
	Queries, Hits    units.Tokens // prefix cache, first admissions
}
