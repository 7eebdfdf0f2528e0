// Package vllm knows what surrounds vLLM's engine: its command line, its logs, the names of its metrics, and how its
// process starts, dies and refuses to die.
//
//	server, err := vllm.Start(vllm.Command{Argv: []string{"vllm", "serve", "Qwen/Qwen2.5-7B-Instruct"}, Port: 8000})
//	if err := server.Ready(ctx); err != nil { // /health answers, or the process ended, or the wait was too long
//		fmt.Println(server.Diagnose()) // max_model_len_above_kv: 1.5 GiB KV cache is needed … lower --max-model-len to 87168
//	}
//	defer server.Stop()
//
// Args turns a deployment into the command line, Diagnose a log into a class, a cause in vLLM's own words and what
// to change, ParseStartLog the memory terms as printed, Scrape /metrics into the few series that a run needs.
//
// # Decisions
//
// Diagnose looks for causes, not for the last exception: the API server's traceback ends in "Engine core
// initialization failed. See root cause above", whatever happened above. Its rules are data, tried in order, the most
// specific first; a log that no rule knows is Unknown and shows its last lines.
//
// A server is a process group of its own. vLLM's engine core and workers live in it, a SIGTERM with requests in
// flight hangs more often than not, and the exit code is 0 even when the engine was killed: so Stop waits a bounded
// time and then kills the group, and the log, not the code, says what happened.
package vllm
