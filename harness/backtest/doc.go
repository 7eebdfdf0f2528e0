// Package backtest holds the models against what was really measured: one function a kind of evidence, files in, a
// report out. The same functions read the public data and data that nobody here has seen.
package backtest
