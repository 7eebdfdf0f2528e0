// Command symbiote is for what `go test` is not for: planning memory, simulating a workload, holding the models
// against what was really measured, serving the simulated engine, driving a live endpoint, judging a change.
//
//	go run ./harness/cmd/symbiote plan -model Qwen/Qwen2.5-7B-Instruct -gpu a100-80gb-sxm
//
// Every subcommand has -h. Exit codes: 0 done, 1 the answer is no, 2 it could not be answered.
package main

import (
	"fmt"
	"io"
	"os"
)

// A command is one subcommand: a function of its arguments and streams that returns the exit code.
type command struct {
	name, does string
	run        func(args []string, stdout, stderr io.Writer) int
}

func commands() []command {
	return []command{
		{"plan", "memory plan and capacity of a deployment", planCommand},
		{"simulate", "runs a workload on the simulated engine", simulateCommand},
		{"backtest", "holds a model against what was really measured", backtestCommand},
		{"serve", "the simulated engine as an OpenAI-compatible vLLM stand-in", serveCommand},
		{"load", "drives a live OpenAI-compatible endpoint with the same workloads, and writes the same record", loadCommand},
		{"calibrate", "fits step-time profiles to kernel tables, engine steps and whole runs", calibrateCommand},
		{"report", "renders a results folder as JSON, Markdown and one page for a browser", reportCommand},
		{"gate", "compares two benchmark outputs and says regression or not", gateCommand},
	}
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		for _, c := range commands() {
			if c.name == args[0] {
				return c.run(args[1:], stdout, stderr)
			}
		}
	}
	fmt.Fprintln(stderr, "usage: symbiote SUBCOMMAND [flags]; each has -h")
	for _, c := range commands() {
		fmt.Fprintf(stderr, "  %-10s %s\n", c.name, c.does)
	}
	if len(args) == 1 && (args[0] == "-h" || args[0] == "help" || args[0] == "-help" || args[0] == "--help") {
		return 0
	}
	return 2
}
