package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/gate"
)

const gateUsage = `usage: symbiote gate [flags] OLD NEW

Compares two outputs of go test -bench and says regression or not: exit 0 no, 1 yes, 2 they cannot be compared.

`

// gateFlags are what the command line of gate says.
type gateFlags struct {
	filter, thresholds, waivers, accepted string
	oldEvents, newEvents                  string
	report, writeFloor                    string
	heading                               gate.Heading
	asJSON                                bool
}

func gateCommand(args []string, stdout, stderr io.Writer) int {
	var f gateFlags
	fs := flag.NewFlagSet("gate", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() { fmt.Fprint(stderr, gateUsage); fs.PrintDefaults() }
	fs.BoolVar(&f.asJSON, "json", false, "print one JSON document")
	fs.StringVar(&f.filter, "filter", "*", "judge only these rows, in benchstat's words: '.name:ConfigMatrix'")
	fs.StringVar(&f.thresholds, "thresholds", "", "`files`, by comma, of limits and noise floors by row, and of rows that come and go")
	fs.StringVar(&f.waivers, "waivers", "", "`file` of regressions that are let pass for a while")
	fs.StringVar(&f.accepted, "accepted", "", "`suites`, by comma, whose golden table was redrawn in this change")
	fs.StringVar(&f.oldEvents, "old-events", "", "`folder` of OLD's event logs")
	fs.StringVar(&f.newEvents, "new-events", "", "`folder` of NEW's event logs")
	fs.StringVar(&f.report, "report", "", "`folder` to write report.md, report.json and report.html to")
	fs.StringVar(&f.writeFloor, "write-floor", "", "OLD and NEW are the same code: write the noise between them to this thresholds `file`")
	fs.StringVar(&f.heading.Base, "base", "", "`revision` of OLD, for the report")
	fs.StringVar(&f.heading.Head, "head", "", "`revision` of NEW, for the report")
	fs.StringVar(&f.heading.Reproduce, "reproduce", "", "`command` that gives this report again, for the report")
	files, err := parseInterleaved(fs, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case len(files) != 2:
		fmt.Fprintf(stderr, "symbiote gate: got %d files, want OLD and NEW\n", len(files))
		return 2
	}
	report, err := f.run(files[0], files[1])
	if err != nil {
		fmt.Fprintf(stderr, "symbiote gate: %s\n", strings.TrimPrefix(err.Error(), "gate: "))
		return 2
	}
	if f.asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(report.Document())
	} else {
		err = report.Text(stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "symbiote gate: %v\n", err)
		return 2
	}
	return report.Code()
}

// parseInterleaved lets flags stand before, between and after the file names.
func parseInterleaved(fs *flag.FlagSet, args []string) (files []string, err error) {
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if args = fs.Args(); len(args) > 0 {
			files, args = append(files, args[0]), args[1:]
		}
	}
	return files, nil
}

func (f gateFlags) run(oldName, newName string) (gate.Report, error) {
	old, err := f.read(oldName)
	if err != nil {
		return gate.Report{}, err
	}
	new, err := f.read(newName)
	if err != nil {
		return gate.Report{}, err
	}
	o := gate.Options{Today: time.Now(), Accepted: strings.FieldsFunc(f.accepted, func(r rune) bool { return r == ',' || r == ' ' })}
	for name := range strings.SplitSeq(f.thresholds, ",") {
		th, err := load(name, gate.ParseThresholds)
		if err != nil {
			return gate.Report{}, err
		}
		o.Thresholds = o.Thresholds.And(th)
	}
	if o.Waivers, err = load(f.waivers, gate.ParseWaivers); err != nil {
		return gate.Report{}, err
	}
	report := gate.Compare(old, new, o)
	if f.oldEvents != "" && f.newEvents != "" {
		report.Explain(os.DirFS(f.oldEvents), os.DirFS(f.newEvents))
	}
	if f.report != "" {
		if err := f.write(report); err != nil {
			return gate.Report{}, err
		}
	}
	if f.writeFloor != "" {
		if err := os.WriteFile(f.writeFloor, report.Floor(), 0o644); err != nil {
			return gate.Report{}, err
		}
	}
	return report, nil
}

func (f gateFlags) read(name string) (*gate.Side, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return gate.Read(file, name, f.filter)
}

// load reads a file with its parser; no name, nothing read.
func load[T any](name string, parse func([]byte, string) (T, error)) (out T, err error) {
	if name == "" {
		return out, nil
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return out, err
	}
	return parse(content, name)
}

// write leaves the report in three forms.
func (f gateFlags) write(r gate.Report) error {
	if err := os.MkdirAll(f.report, 0o755); err != nil {
		return err
	}
	for _, form := range []struct {
		name string
		to   func(io.Writer) error
	}{
		{"report.md", func(w io.Writer) error { return r.Markdown(w, f.heading) }},
		{"report.html", func(w io.Writer) error { return r.HTML(w, f.heading) }},
		{"report.json", func(w io.Writer) error { return json.NewEncoder(w).Encode(r.Document()) }},
	} {
		file, err := os.Create(filepath.Join(f.report, form.name))
		if err != nil {
			return err
		}
		if err := errors.Join(form.to(file), file.Close()); err != nil {
			return err
		}
	}
	return nil
}
