// Package calibrate fits the profiles that steptime reads: a GPU's from kernel tables and from the steps that it
// bounded, a host's from the turns of the core loop that it bounded and from whole runs, and says how wrong each is.
//
//	gpu, reports, err := calibrate.Kernels(g, base, dir, "h100_sxm_vllm0.24.0") // what kernels alone reach
//	runs, err := calibrate.ReadLog("vllm.log", d)                              // one's own server's engine steps
//	live, err := calibrate.Steps(runs, profiles)                               // a fit to them, some held out
//	outcome, err := book.Run(fit, data, replay)                                // one line of the shipped recipe
//
// Errors are held out by run, never by row: the steps of one run resemble each other. A fit that would break physics
// (a share of the roofline above one, a negative time) is refused. Start at Book.Run.
//
// # Decisions
//
// The search tries one figure at a time with ever smaller factors. It needs no derivatives, and it gives the same
// profile on every machine, so that a shipped profile can be checked by repeating its fit.
package calibrate
