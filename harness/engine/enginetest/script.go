package enginetest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// RunScript runs one story and returns what happened, a line an event:
//
//	server blocks=200 block-size=16 max-num-batched-tokens=512 step=20ms+10us
//	submit r1 prompt=80 output=4
//	submit r2 prompt=1000 output=2 at=5ms shared=7:64
//	cancel r2 at=90ms
//
// A server line names settings by vLLM's flags (0 and 1 for switches) and the time of a step: a base and, after +, what
// each token adds. shared=7:64 means that the prompt begins with 64 tokens of text 7. Requests are named in the order in
// which they are submitted; lines are in order of time. The Validator watches.
func RunScript(script string) (string, error) {
	st := story{cfg: engine.Config{NumBlocks: 1001, BlockSize: 16, MaxModelLen: 4096, MaxNumSeqs: 256, MaxNumBatchedTokens: 2048,
		EnablePrefixCaching: true, EnableChunkedPrefill: true, SchedulerReserveFullISL: true, EveryToken: true},
		timer: Linear{Base: 20 * units.Millisecond}, ids: map[string]engine.RequestID{}}
	for i, line := range strings.Split(script, "\n") {
		if err := st.line(line); err != nil {
			return "", fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return st.run()
}

type story struct {
	cfg   engine.Config
	timer Linear
	names []string
	ids   map[string]engine.RequestID
	acts  []act
}

// act is one fact of the story: a request, or the end of one.
type act struct {
	at     units.Time
	cancel bool
	req    engine.Request
}

func (st *story) line(line string) error {
	line, _, _ = strings.Cut(line, "#")
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil
	}
	switch words[0] {
	case "server":
		for _, w := range words[1:] {
			if err := st.setting(w); err != nil {
				return err
			}
		}
		return nil
	case "submit", "cancel":
		if len(words) < 2 {
			return fmt.Errorf("%s: no request named", words[0])
		}
		return st.act(words[0] == "cancel", words[1], words[2:])
	}
	return fmt.Errorf("%q, want server, submit or cancel", words[0])
}

func (st *story) setting(word string) error {
	key, value, _ := strings.Cut(word, "=")
	if key == "policy" {
		st.cfg.Policy = engine.Policy(value)
		return nil
	}
	if key == "step" {
		base, per, _ := strings.Cut(value, "+")
		var err error
		if st.timer.Base, err = span(base); err == nil && per != "" {
			st.timer.PerToken, err = span(per)
		}
		return err
	}
	n, err := whole(key, value)
	if err != nil {
		return err
	}
	c := &st.cfg
	switch key {
	case "blocks":
		c.NumBlocks = units.Blocks(n)
	case "block-size":
		c.BlockSize = units.Tokens(n)
	case "max-model-len":
		c.MaxModelLen = units.Tokens(n)
	case "max-num-seqs":
		c.MaxNumSeqs = n
	case "max-num-batched-tokens":
		c.MaxNumBatchedTokens = units.Tokens(n)
	case "enable-prefix-caching":
		c.EnablePrefixCaching = n != 0
	case "enable-chunked-prefill":
		c.EnableChunkedPrefill = n != 0
	case "async-scheduling":
		c.AsyncScheduling = n != 0
	default:
		return fmt.Errorf("unknown setting %q", key)
	}
	return nil
}

// A story is short: nothing in it is longer than an hour or more than ten thousand, and it ends after so many steps.
const longestStory = 20_000

func whole(key, value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > 10_000 {
		return 0, fmt.Errorf("%s: %q, want a whole number from 0 to ten thousand", key, value)
	}
	return n, nil
}

func span(value string) (units.Span, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > time.Hour {
		return 0, fmt.Errorf("%q, want a duration from 0 to 1h", value)
	}
	return units.FromDuration(d), nil
}

func (st *story) act(cancel bool, name string, words []string) error {
	a := act{cancel: cancel}
	if cancel {
		id, ok := st.ids[name]
		if !ok {
			return fmt.Errorf("cancel %s: not submitted", name)
		}
		a.req.ID = id
	} else {
		a.req.ID = engine.RequestID(len(st.names))
		st.ids[name] = a.req.ID
		st.names = append(st.names, name)
	}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		if key == "at" {
			d, err := span(value)
			if err != nil {
				return err
			}
			a.at = units.Time(d)
			continue
		}
		value, length, _ := strings.Cut(value, ":")
		n, err := whole(key, value)
		if err != nil {
			return err
		}
		switch key {
		case "prompt":
			a.req.Prompt = units.Tokens(n)
		case "output":
			a.req.MaxTokens = units.Tokens(n)
		case "stop-at":
			a.req.StopAt = units.Tokens(n)
		case "priority":
			a.req.Priority = n
		case "shared":
			l, err := whole(key, length)
			if err != nil {
				return fmt.Errorf("%s: want shared=TEXT:TOKENS", w)
			}
			a.req.Shared = []units.Segment{{Source: uint64(n), Len: units.Tokens(l)}}
		default:
			return fmt.Errorf("unknown word %q", key)
		}
	}
	a.req.Arrival = a.at
	st.acts = append(st.acts, a)
	return nil
}

func (st *story) run() (string, error) {
	e, err := engine.New(st.cfg, st.timer)
	if err != nil {
		return "", err
	}
	v := NewValidator(st.cfg)
	var out strings.Builder
	turns := 0
	until := func(at units.Time) {
		for ; turns < longestStory; turns++ {
			next, ok := e.Next()
			if !ok || next >= at {
				return
			}
			evs := e.Advance(next)
			v.Saw(evs)
			v.Gauge(e.Gauge())
			for _, ev := range evs {
				st.tell(&out, ev)
			}
		}
	}
	slices.SortStableFunc(st.acts, func(a, b act) int { return cmp.Compare(a.at, b.at) })
	for _, a := range st.acts {
		until(a.at)
		if a.cancel {
			e.Cancel(a.at, a.req.ID)
		} else if err := e.Submit(a.at, a.req); err != nil {
			fmt.Fprintf(&out, "%v\t%s refused: %v\n", a.at, st.names[a.req.ID], err)
		} else {
			v.Submitted(a.at, a.req)
		}
	}
	if until(units.Never); turns == longestStory {
		return "", fmt.Errorf("the story has no end within %d steps", turns)
	}
	v.Idle(e.Gauge())
	return out.String(), v.Err()
}

func (st *story) tell(out *strings.Builder, ev engine.Event) {
	name := ""
	if ev.Kind != engine.Step {
		name = st.names[ev.Request]
	}
	switch ev.Kind {
	case engine.Step, engine.Queued:
	case engine.Admitted, engine.Resumed:
		fmt.Fprintf(out, "%v\t%s %v, %d hit\n", ev.At, name, ev.Kind, ev.Tokens)
	case engine.Preempted:
		fmt.Fprintf(out, "%v\t%s preempted, %d thrown away\n", ev.At, name, ev.Tokens)
	case engine.First, engine.Token:
		fmt.Fprintf(out, "%v\t%s token %d\n", ev.Seen, name, ev.Tokens)
	case engine.Late:
		fmt.Fprintf(out, "%v\t%s token %d, %v late\n", ev.Seen, name, ev.Tokens, ev.Gap)
	case engine.Finished:
		fmt.Fprintf(out, "%v\t%s finished with %d\n", ev.Seen, name, ev.Tokens)
	case engine.Cancelled:
		fmt.Fprintf(out, "%v\t%s cancelled\n", ev.At, name)
	}
}
