package engine

import "github.com/testing-symbiote/symbiote/harness/units"

// wholePass is how many outputs vLLM's output handler takes from the core without giving way to the clients' streams
// (VLLM_V1_OUTPUT_PROC_CHUNK_SIZE).
const wholePass = 128

// A frontEnd is the API process: one event loop in which requests come in and tokens go out, one thing at a time. While
// it writes to the streams of one step the core may finish several: their tokens then share one chunk each, and the loop
// writes it once. Outputs of more than wholePass requests are written before the next step's are looked at.
type frontEnd struct {
	free  units.Time // when all that it was given is done
	pass  units.Time // when the last pass over the streams begins; a step that is there by then is part of it
	lap   units.Span // what that pass takes
	write units.Span // the part of it that goes into chunks
	ready units.Time // when the last request came through
}

// hand gives the clients a step's n tokens and returns when they have them.
func (f *frontEnd) hand(at units.Time, c *Cost, n int) units.Time {
	if at > f.pass || n > wholePass || f.write == 0 {
		f.pass, f.lap, f.write = max(f.free, at), 0, 0
	}
	more := c.Deliver + max(0, c.Write-f.write)
	f.write = max(f.write, c.Write)
	f.lap += more
	f.free = max(f.free, f.pass).Add(more)
	if n > wholePass {
		f.pass = -1
	}
	return f.free
}

// keepsUp says whether the clients have each of the steps that come from then on, gap apart or more, before the next one is
// there: then each has a pass of its own, and all take the same.
func (f *frontEnd) keepsUp(from units.Time, gap units.Span, c *Cost) bool {
	return from > f.pass && from >= f.free && gap >= c.Deliver+c.Write
}

// take returns when a request that came at this instant reaches the core. Its way in has several awaits; while the loop
// is behind, each lasts as long as a pass over the streams.
func (f *frontEnd) take(at units.Time, busy units.Span, awaits int) units.Time {
	waits := units.Span(0)
	if f.free > at {
		waits = f.lap * units.Span(awaits)
	}
	f.free = max(f.free, at).Add(busy)
	f.ready = max(f.ready, f.free.Add(waits))
	return f.ready
}
