// Package calibrate fits the profiles that steptime reads: a GPU's from kernel tables and from the steps that it
// bounded, a host's from the steps of real engines, and says how wrong each is on runs that it was not fitted on.
//
//	gpu, err := calibrate.Kernels(g, tables)      // what kernels alone reach
//	host, report, err := calibrate.Host(h, runs)  // what the engine core costs per step and per request
//
// Errors are held out by run, never by row: the steps of one run resemble each other. Start at Kernels.
package calibrate
