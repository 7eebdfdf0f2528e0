package ray

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

//go:embed fan.py
var fanScript []byte

// Sent is what one worker of a fan-out left behind.
type Sent struct {
	Code    int
	Stderr  string
	Node    string
	Begun   time.Time // by its own clock
	Journal []byte
}

// FanOut runs a program once for each list of arguments, on as many Ray workers at once, and returns their journals.
// The program is this machine's, so the workers must be of its kind.
func (c Cluster) FanOut(ctx context.Context, program string, args [][]string) ([]Sent, error) {
	if _, err := c.Version(ctx); err != nil {
		return nil, err
	}
	if err := c.Require(ctx, Resources{CPUs: float64(len(args))}, fmt.Sprintf("%d workers that send", len(args))); err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	list, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	job := Job{
		ID: "symbiote-load-" + strings.ToLower(rand.Text()[:12]), Entrypoint: "python fan.py",
		Env:   map[string]string{"TS_ARGS": string(list), "TS_READY_S": fmt.Sprint(c.Limits.filled().Pending.Seconds())},
		Files: []File{{Name: "fan.py", Data: fanScript}, {Name: "symbiote", Data: binary, Mode: 0o755}},
	}
	f := fan{sent: make([]Sent, len(args)), came: make([]bool, len(args))}
	end, err := c.Run(ctx, job, f.see)
	if err != nil {
		return nil, err
	}
	for i, came := range f.came {
		if !came {
			return nil, fmt.Errorf("ray: worker %d of %d did not report, the job %s, exit code %d: %s", i+1, len(args), end.Status, end.ExitCode, brief(end.Message))
		}
	}
	return f.sent, nil
}

// fan collects what the workers tell.
type fan struct {
	sent []Sent
	came []bool
}

func (f *fan) see(line string) {
	what, text, _ := strings.Cut(line, " ")
	switch what {
	case "TS_JOURNAL":
		var l struct {
			Worker int    `json:"worker"`
			Line   string `json:"line"`
		}
		if json.Unmarshal([]byte(text), &l) == nil && l.Worker >= 0 && l.Worker < len(f.sent) {
			b := bytes.NewBuffer(f.sent[l.Worker].Journal)
			b.WriteString(l.Line + "\n")
			f.sent[l.Worker].Journal = b.Bytes()
		}
	case "TS_WORKER":
		var l struct {
			Worker int     `json:"worker"`
			Code   int     `json:"code"`
			Stderr string  `json:"stderr"`
			Node   string  `json:"node"`
			Begun  float64 `json:"begun"`
		}
		if json.Unmarshal([]byte(text), &l) == nil && l.Worker >= 0 && l.Worker < len(f.sent) {
			s := &f.sent[l.Worker]
			s.Code, s.Stderr, s.Node, s.Begun = l.Code, l.Stderr, l.Node, time.UnixMicro(int64(l.Begun*1e6))
			f.came[l.Worker] = true
		}
	}
}
