// Package engine decides what a vLLM server does, step by step: which requests a step computes, where their KV blocks
// go, who is preempted, what a prefix hits. Scheduling and KV blocks change together, so they live together.
//
// It is a pure state machine: facts and instants go in, events come out. It reads no clock, starts no goroutine and
// draws no random number, so the same input gives the same bytes on any machine.
//
//	e, err := engine.New(cfg, timer) // timer says how long a step takes
//	err = e.Submit(0, engine.Request{ID: 1, Prompt: 812, MaxTokens: 64})
//	for now, ok := e.Next(); ok; now, ok = e.Next() {
//		for _, ev := range e.Advance(now) {
//			fmt.Println(ev)
//		}
//	}
//
// Read in this order: types.go (what goes in and comes out), schedule.go (running requests first, then waiting ones),
// allocate.go and blocks.go (blocks, all or nothing), prefix.go (who shares what), update.go (tokens, ends), engine.go
// (the clock around it). Then, for speed, the same decisions again: aggregate*.go holds all decodes as a few numbers and
// agenda.go their ends, freelist.go and runs.go hold blocks as stretches of text, so that a step costs what changes in it,
// and coast.go leaps over steps in which nothing does.
//
// # Decisions
//
// Scheduler is exported beside Engine because it is what recorded decisions of vLLM's own classes can be compared
// with; Engine adds time and changes no decision.
//
// The two ways to decide stay side by side on purpose. Scheduler is the one that recorded vectors judge, aggregate the
// one that runs; a test and a fuzz target hold every event and every gauge of both against each other. Where a setting
// lets decodes advance unevenly (priority policy, prefill thresholds and intervals, pipeline parallelism) Scheduler runs.
//
// Prompts are not token ids but runs of named text (units.Segment): two prompts share blocks exactly where they share
// runs. A block's hash is 64 bits wide and compared only with the blocks that are cached at that moment, so a false
// hit would be expected once in 10^14 lookups.
package engine
