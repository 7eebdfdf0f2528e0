// Package serve is the server's side of OpenAI HTTP: the simulated engine behind vLLM's own surface, so that tools
// written for vLLM meet latencies that emerge from scheduling and answers that are vLLM's to the byte.
//
//	s, err := serve.New(serve.Config{Deployments: []deploy.Deployment{d}})
//	go s.Serve(listener) // or s.Start(conn) for one end of a net.Pipe
//	defer s.Close()
//
// Status lines, headers, key order, spacing, error texts and event sequences were compared with exchanges recorded
// from vLLM 0.32 (package backtest does it again at every test). Only the text is made up, always the same two words,
// and /version says so in a field of its own.
//
// Read in this order: server.go (what a server is), routes.go (a request's way), generation.go, render.go, sampling.go
// (what is accepted), call.go and replica.go (the engine's side), answer.go and stream.go (what comes back).
//
// # Decisions
//
// No goroutine owns the engine: whoever holds a replica's lock moves it, so that an answer that is ready at once costs
// no switch of goroutines. The driver moves it for what happens by itself.
//
// HTTP is framed by package uvicorn, and what JSON and pydantic refuse is worded by package pydantic, because neither
// is vLLM's doing.
//
// Known limits: generated tokens are not in the prefix cache (only prompts are), text is counted with the tiny
// tokenizer whatever the model, and generation ends only by length or by a stop rule, never by an end-of-text token.
package serve
