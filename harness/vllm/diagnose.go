package vllm

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/failure"
)

// Diagnosis is what a server's log says of its end.
type Diagnosis struct {
	Class   failure.Class // None: it started, and ended only because it was told to
	Cause   string        // vLLM's own words
	Figures []Figure      // the numbers and names in them
	Change  string        // what to change; empty where nothing needs to
	Last    []string      // the last lines, where the class is Unknown
}

// Figure is a number or a name that vLLM printed, as it printed it.
type Figure struct{ Name, Value string }

func (d Diagnosis) String() string {
	var b strings.Builder
	if d.Class == failure.None {
		b.WriteString("no failure")
	} else {
		b.WriteString(string(d.Class))
	}
	if d.Cause != "" {
		b.WriteString(": " + d.Cause)
	}
	if d.Change != "" {
		b.WriteString("; " + d.Change)
	}
	for _, line := range d.Last {
		b.WriteString("\n  | " + line)
	}
	return b.String()
}

// Err is the diagnosis as a failure that a run records, nil when nothing failed.
func (d Diagnosis) Err() *failure.Error {
	if d.Class == failure.None {
		return nil
	}
	text := d.String()
	return &failure.Error{Class: d.Class, Message: strings.TrimPrefix(text, string(d.Class)+": ")}
}

// lastLines is how much of an unknown log is shown.
const lastLines = 12

// Diagnose reads the output of a server, stdout and stderr together, and says why it ended.
func Diagnose(log string) Diagnosis {
	l := readLog(log)
	if l.ready || l.shutdown >= 0 {
		return l.diagnoseRun()
	}
	for _, r := range startRules() {
		if d, ok := r.try(l.said); ok {
			return d
		}
	}
	return l.unknown("the log ends before the server was up, and no rule knows why")
}

// lines of a log, told apart by who wrote them.
type logText struct {
	all  []string
	said string // errors and unprefixed output only, without vLLM's prefixes: where causes stand

	ready    bool // Application startup complete
	shutdown int  // line of the first shutdown request; -1
	death    int  // line of the first sign that the engine died by itself; -1
}

var (
	prefix   = regexp.MustCompile(`^(?:\(([\w ./-]+?) pid=\d+\) )?(DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\] ?`)
	colors   = regexp.MustCompile("\x1b\\[[0-9;]*m")
	pydantic = regexp.MustCompile(` ?\[type=\w+, input_value=[^\n]*`)
	raised   = regexp.MustCompile(`(?m)^[\w.]*(?:Error|Exception|Interrupt)(?:: [^\n]*)?$`)
	procs    = regexp.MustCompile(`^\([\w ./-]+? pid=\d+\) `)
)

func readLog(log string) logText {
	l := logText{shutdown: -1, death: -1}
	var said strings.Builder
	for line := range strings.Lines(log) {
		line = strings.TrimRight(colors.ReplaceAllString(line, ""), "\r\n")
		i := len(l.all)
		l.all = append(l.all, line)
		text, level := line, ""
		if m := prefix.FindStringSubmatch(line); m != nil {
			text, level = line[len(m[0]):], m[2]
		} else {
			text = procs.ReplaceAllString(line, "")
		}
		switch {
		case strings.Contains(text, "Application startup complete"):
			l.ready = true
		case l.shutdown < 0 && strings.Contains(text, "[shutdown] API server: shutdown triggered"):
			l.shutdown = i
		case l.death < 0 && deathSign(text):
			l.death = i
		}
		code := strings.HasPrefix(text, "    ") // a traceback quotes its source: words, but nobody said them
		if !code && (level == "" || level == "ERROR" || level == "CRITICAL") {
			said.WriteString(text)
			said.WriteByte('\n')
		}
	}
	l.said = said.String()
	return l
}

// deathSign tells the lines that the engine's own death writes, and a shutdown does not. EngineDeadError is not one
// of them: an idle server that is told to stop writes it too.
func deathSign(text string) bool {
	for _, sign := range []string{
		"EngineCore encountered a fatal error", "engine core exited unexpectedly", "died unexpectedly",
		"CUDA out of memory", "terminate called",
	} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

func (l logText) unknown(why string) Diagnosis {
	d := Diagnosis{Class: failure.Unknown, Cause: why, Change: "the last lines are below"}
	for _, first := range raised.FindAllString(l.said, -1) {
		if !strings.Contains(first, "Engine core initialization failed") && !strings.Contains(first, "EngineDeadError") {
			d.Cause += "; the first exception is " + clip(first, 300)
			break
		}
	}
	for i := len(l.all) - 1; i >= 0 && len(d.Last) < lastLines; i-- {
		if strings.TrimSpace(l.all[i]) != "" {
			d.Last = append([]string{clip(l.all[i], 400)}, d.Last...)
		}
	}
	if len(d.Last) == 0 {
		d.Change = "the log is empty"
	}
	return d
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// diagnoseRun explains the end of a server that had been up.
func (l logText) diagnoseRun() Diagnosis {
	if l.death >= 0 && (l.shutdown < 0 || l.death < l.shutdown) {
		for _, r := range deathRules() {
			if d, ok := r.try(l.said); ok {
				return d
			}
		}
		if l.contains("engine core exited unexpectedly") {
			return Diagnosis{
				Class:  failure.EngineDied,
				Cause:  "engine core exited unexpectedly, without a word of its own: it was killed from outside (SIGKILL)",
				Change: "look for the kernel's out-of-memory killer (dmesg) or whoever sent the signal",
			}
		}
		d := l.unknown("the engine died, and no rule knows why")
		d.Class = failure.EngineDied
		return d
	}
	if l.shutdown >= 0 {
		return l.diagnoseShutdown()
	}
	if l.contains("EngineDeadError") {
		d := l.unknown("requests met a dead engine, and its own last words are not in this log")
		d.Class = failure.EngineDied
		return d
	}
	return Diagnosis{Cause: "the server came up, and its log says nothing of an end"}
}

// diagnoseShutdown tells a server stopped while idle from one that was stopped over its requests.
func (l logText) diagnoseShutdown() Diagnosis {
	open, failed, finished := false, false, false
	for _, line := range l.all[l.shutdown:] {
		open = open || strings.Contains(line, "Waiting for connections to close")
		failed = failed || strings.Contains(line, "Error in completion stream generator") ||
			strings.Contains(line, "500 Internal Server Error") || strings.Contains(line, "Error in chat completion stream")
		finished = finished || strings.Contains(line, "Application shutdown complete")
	}
	const change = "stop sending before SIGTERM, or give vLLM --shutdown-timeout; a client has to close its own connections"
	switch {
	case failed:
		return Diagnosis{Class: failure.Aborted, Change: change,
			Cause: "SIGTERM with requests in flight: the engine was killed under them and they ended with its error"}
	case open && finished:
		return Diagnosis{Class: failure.Aborted, Change: change,
			Cause: "SIGTERM with requests in flight: the engine stopped, the HTTP server waited for open connections until their clients closed them"}
	case open:
		return Diagnosis{Class: failure.Aborted, Change: change,
			Cause: "SIGTERM with requests in flight: the engine stopped, and the HTTP server still waits for open connections"}
	}
	return Diagnosis{Cause: "it was told to stop (SIGTERM) and did"}
}

func (l logText) contains(text string) bool {
	for _, line := range l.all {
		if strings.Contains(line, text) {
			return true
		}
	}
	return false
}

// rule recognises one cause. The named groups of its pattern are the figures; Change may name them as {group}.
type rule struct {
	class   failure.Class
	pattern *regexp.Regexp
	change  string
}

func (r rule) try(said string) (Diagnosis, bool) {
	m := r.pattern.FindStringSubmatchIndex(said)
	if m == nil {
		return Diagnosis{}, false
	}
	d := Diagnosis{Class: r.class, Cause: cause(said, m[0], m[1]), Change: r.change}
	for i, name := range r.pattern.SubexpNames() {
		if name == "" || m[2*i] < 0 {
			continue
		}
		value := said[m[2*i]:m[2*i+1]]
		d.Figures = append(d.Figures, Figure{name, value})
		d.Change = strings.ReplaceAll(d.Change, "{"+name+"}", value)
	}
	return d, true
}

// cause is the match, widened to the end of its sentence or line, in one line and without what pydantic appends.
func cause(said string, from, to int) string {
	text := said[from:to]
	if !strings.Contains(text, "\n") {
		if i := strings.IndexByte(said[to:], '\n'); i >= 0 {
			text = said[from : to+i]
		} else {
			text = said[from:]
		}
	}
	text = pydantic.ReplaceAllString(text, "")
	text, _, _ = strings.Cut(text, ", please check the stack trace above")
	return clip(strings.Join(strings.Fields(text), " "), 700)
}

// Figure returns the value that vLLM printed under a name, "" where it printed none.
func (d Diagnosis) Figure(name string) string {
	for _, f := range d.Figures {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func (f Figure) String() string { return fmt.Sprintf("%s %s", f.Name, f.Value) }
