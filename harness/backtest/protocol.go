package backtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ProtocolReport says which recorded exchanges a server answers in the same way.
type ProtocolReport struct {
	Exchanges int            `json:"exchanges"`
	Same      int            `json:"same"`
	Different []ProtocolDiff `json:"different"`
	Skipped   int            `json:"skipped"` // timelines and benchmark results, which are no exchanges
}

// ProtocolDiff is the first difference of one exchange, after masking.
type ProtocolDiff struct {
	File  string `json:"file"`
	Where string `json:"where"` // status, header, body, event 3, line 17
	Want  string `json:"want"`
	Got   string `json:"got"`
}

// An exchange is one recorded request and its answer.
type exchange struct {
	file    string
	Name    string  `json:"name"`
	Server  string  `json:"server"` // letter and command line
	Note    string  `json:"note"`
	End     *string `json:"end"` // how it ended: complete, client closed, timeout, reset
	Request *struct {
		Method  string      `json:"method"`
		Path    string      `json:"path"`
		Headers [][2]string `json:"headers"`
		Body    string      `json:"body"`
	} `json:"request"`
	Response *answer `json:"response"`
}

// An answer is what came back, recorded or now.
type answer struct {
	StatusLine string            `json:"status_line"`
	Headers    [][2]string       `json:"headers"`
	Body       string            `json:"body"`
	Chunks     []json.RawMessage `json:"chunks"`

	events []string // the texts of the HTTP chunks
}

// Protocol sends the recorded requests of a folder again and compares the answers. With a URL they go to a running
// server, and exchanges that need a scene around them (a full queue, a dying engine) are skipped; without one, to a
// stand-in made from each exchange's command line.
func Protocol(dir, url string) (*ProtocolReport, error) {
	files, err := exchangeFiles(dir)
	if err != nil {
		return nil, err
	}
	rep := &ProtocolReport{Different: []ProtocolDiff{}}
	for _, file := range files {
		all, err := readExchanges(file)
		if err != nil {
			return nil, err
		}
		for _, x := range all {
			if err := rep.add(x, url); err != nil {
				return nil, fmt.Errorf("%s: %w", x.file, err)
			}
		}
	}
	if rep.Exchanges+rep.Skipped == 0 {
		return nil, fmt.Errorf("%s: no exchange in it, want *.json as in groundtruth/http", dir)
	}
	return rep, nil
}

// add replays one exchange and counts it.
func (rep *ProtocolReport) add(x *exchange, url string) error {
	if x.Request == nil {
		rep.Skipped++
		return nil
	}
	got, skip, err := replay(x, url)
	switch {
	case err != nil:
		return err
	case skip:
		rep.Skipped++
		return nil
	}
	rep.Exchanges++
	if d := compareExchange(x, got); d != nil {
		rep.Different = append(rep.Different, *d)
	} else {
		rep.Same++
	}
	return nil
}

// exchangeFiles lists a folder's JSON files, plain or compressed, by name: one exchange each, or one a line (.jsonl).
func exchangeFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".gz"); (strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".jsonl")) && !strings.HasPrefix(name, "bench-") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(files)
	return files, nil
}

func readExchanges(path string) ([]*exchange, error) {
	r, err := open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	file := strings.TrimSuffix(filepath.Base(path), ".gz")
	var all []*exchange
	for dec := json.NewDecoder(r); ; {
		x := &exchange{}
		err := dec.Decode(x)
		if err == io.EOF {
			return all, nil
		}
		if err == nil {
			err = x.complete(file)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: exchange %d: %w", path, len(all)+1, err)
		}
		all = append(all, x)
	}
}

// complete names an exchange and unpacks its chunks, each [milliseconds, text].
func (x *exchange) complete(file string) error {
	x.file = file
	if strings.HasSuffix(file, ".jsonl") {
		x.file = x.Name + ".json"
	}
	if x.Request == nil && !strings.HasSuffix(x.file, "-timeline.json") {
		return errors.New("no request in it")
	}
	if x.Response == nil {
		return nil
	}
	for _, raw := range x.Response.Chunks {
		var chunk []any
		if err := json.Unmarshal(raw, &chunk); err != nil || len(chunk) != 2 {
			return fmt.Errorf("chunk %s, want [milliseconds, text]", raw)
		}
		text, ok := chunk[1].(string)
		if !ok {
			return fmt.Errorf("chunk %s, want [milliseconds, text]", raw)
		}
		x.Response.events = append(x.Response.events, text)
	}
	return nil
}

// letter is the server's name in the recording.
func (x *exchange) letter() string { letter, _, _ := strings.Cut(x.Server, ":"); return letter }

// ended says whether the recorded answer came to its end.
func (x *exchange) ended() bool {
	return x.End == nil || strings.HasPrefix(*x.End, "complete")
}

// name is the file's without its ending.
func (x *exchange) name() string { return strings.TrimSuffix(x.file, ".json") }

// command is a parsed `vllm serve` line of a recording.
type command struct {
	model   string
	flags   map[string][]string
	ordered []string
}

var commandLine = regexp.MustCompile("vllm serve ([^`]+)")

func parseCommand(server string) (command, error) {
	m := commandLine.FindStringSubmatch(server)
	if m == nil {
		return command{}, fmt.Errorf("server %q: no `vllm serve` command in it", server)
	}
	line, _, _ := strings.Cut(m[1], " (otherwise")
	words := strings.Fields(line)
	if len(words) == 0 {
		return command{}, errors.New("vllm serve without a model")
	}
	c := command{model: words[0], flags: map[string][]string{}}
	last := ""
	for _, w := range words[1:] {
		if strings.HasPrefix(w, "--") {
			last = strings.TrimPrefix(w, "--")
			c.flags[last] = []string{}
			c.ordered = append(c.ordered, last)
			continue
		}
		c.flags[last] = append(c.flags[last], w)
	}
	return c, nil
}

func (c command) has(flag string) bool { _, ok := c.flags[flag]; return ok }

func (c command) text(flag string) string {
	if v := c.flags[flag]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// number is a flag's whole number, def without the flag.
func (c command) number(flag string, def int) (int, error) {
	if !c.has(flag) {
		return def, nil
	}
	var n int
	if _, err := fmt.Sscan(c.text(flag), &n); err != nil {
		return 0, fmt.Errorf("--%s %s: want a number", flag, cmp.Or(c.text(flag), "(nothing)"))
	}
	return n, nil
}
