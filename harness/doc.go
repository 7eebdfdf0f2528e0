// Package harness is the map of the house; the code lives in the folders below it. Its test holds the walls.
//
// A benchmark is a client, a server and one clock. The client ([workload]) says which request leaves when, the
// server ([engine]) decides as vLLM's scheduler decides. Neither owns the clock, so the ways of running differ only
// in who moves time:
//
//	            client                     time moved by        server
//	sim         Player ───────────────────  a for loop  ─────── Engine     golden tables
//	live        Player ── HTTP, go-openai ─ the wall  ───────── vLLM       the real thing
//	serve       anyone ── HTTP ──────────── the wall  ───────── Engine     a vLLM stand-in for others' tools
//
// From the bottom up: words (units, failure), nouns (catalog, deploy, workload, record), the engine, what works
// figures out (memory, steptime, stats, slo, advise), what serves (backend/sim, backend/live, backend/ray), what is
// held against measurements (backtest, calibrate), what tells (report, gate), and what wires it all (suite,
// cmd/symbiote). Which package may import which is the table in arch_test.go.
//
// Start at engine, then suite, then any folder of suites/.
//
// [workload]: https://pkg.go.dev/github.com/testing-symbiote/symbiote/harness/workload
// [engine]: https://pkg.go.dev/github.com/testing-symbiote/symbiote/harness/engine
package harness
