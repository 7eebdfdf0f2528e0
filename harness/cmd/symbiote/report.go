package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/testing-symbiote/symbiote/harness/report"
)

const reportUsage = `usage: symbiote report [flags]

Renders the results that suites left behind as JSON, Markdown and one page for a browser. SOURCE_DATE_EPOCH fixes its
time stamp. Exit 0: written, 2: the results could not be read.

`

// reportCommand renders a results folder. SOURCE_DATE_EPOCH fixes the time stamp, as it does for other build tools.
func reportCommand(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("report", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() { fmt.Fprint(stderr, reportUsage); fs.PrintDefaults() }
	in := fs.String("in", "results", "the `folder` that holds results: go test ./suites/... -results DIR; sub-folders are read too, so live results can lie beside simulated ones")
	out := fs.String("out", "out", "the `folder` to write JSON, Markdown and index.html to")
	asJSON := fs.Bool("json", false, "print what was written as one JSON document")
	switch err := fs.Parse(args); {
	case err == flag.ErrHelp:
		return 0
	case err != nil:
		return 2
	case fs.NArg() > 0:
		return fail(stderr, "report", fmt.Errorf("argument %q, want only flags", fs.Arg(0)))
	}
	now, err := stamp()
	if err != nil {
		return fail(stderr, "report", err)
	}
	results, err := report.Read(*in)
	if err != nil {
		return fail(stderr, "report", err)
	}
	facts, err := report.Gather(results, now)
	if err != nil {
		return fail(stderr, "report", err)
	}
	if err := facts.Write(*out); err != nil {
		return fail(stderr, "report", err)
	}
	if *asJSON {
		printJSON(stdout, facts.Outcome())
		return 0
	}
	fmt.Fprintf(stdout, "%v\nread %s\n", facts.Outcome(), filepath.Join(*out, "index.html"))
	return 0
}

// stamp is the time that the reports carry.
func stamp() (time.Time, error) {
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		return time.Now(), nil
	}
	s, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH = %q, want seconds since 1970", epoch)
	}
	return time.Unix(s, 0), nil
}
