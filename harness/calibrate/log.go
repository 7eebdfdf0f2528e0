package calibrate

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/testing-symbiote/symbiote/harness/deploy"
)

// iteration is vLLM's line of one engine step, under --enable-logging-iteration-details: 0.14 and later in the engine
// core's log, 0.28 and later by engine number and with the usage of the KV cache.
var iteration = regexp.MustCompile(`^.*\b(\d\d-\d\d \d\d:\d\d:\d\d) \[[^\]]*\] (?:Engine (\d+): )?Iteration\((\d+)\): (\d+) context requests, ` +
	`(\d+) context tokens, (\d+) generation requests, (\d+) generation tokens, iteration elapsed time: (\d+(?:\.\d+)?) ms` +
	`(?: \(dummy\))?(?:, GPU KV cache usage: (\d+(?:\.\d+)?)%)?(?: \(dummy\))?$`)

// kvSize is what vLLM says of its KV cache at start.
var kvSize = regexp.MustCompile(`GPU KV cache size: ([\d,]+) tokens`)

// leastStretch is how many steps in a row make a stretch worth a fit.
const leastStretch = 100

// ReadLog reads the engine steps out of a vLLM server's log. Each stretch in which the server never fell idle is a run:
// what happens between two stretches is no engine time. The log's clock ticks in seconds, so a second's steps share
// what is left of it after the time in which the core waited for the GPU, which is logged step by step. Since 0.26 it is
// the front end's clock: a load that it cannot write in time spoils the seconds, not their mean.
func ReadLog(path string, d deploy.Deployment) ([]Run, error) {
	r, err := open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readLog(r, path, d)
}

// logged is one line of a step.
type logged struct {
	Step
	second time.Time
	engine string
	index  int
}

func readLog(r io.Reader, name string, d deploy.Deployment) ([]Run, error) {
	if a := d.Engine.AsyncScheduling; a != nil && !*a {
		return nil, fmt.Errorf("%s: without async scheduling the logged wait begins after the launch, so that no GPU time can be told from it", name)
	}
	var lines []logged
	blocks := 0
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for n := 1; s.Scan(); n++ {
		text := strings.TrimRight(s.Text(), "\r")
		if m := kvSize.FindStringSubmatch(text); m != nil {
			tokens, err := strconv.Atoi(strings.ReplaceAll(m[1], ",", ""))
			if err != nil {
				return nil, fmt.Errorf("%s:%d: GPU KV cache size: %s tokens, want a number", name, n, m[1])
			}
			blocks = tokens/d.Engine.BlockSize + 1
		}
		if !strings.Contains(text, "Iteration(") {
			continue
		}
		l, err := readIteration(text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		if len(lines) > 0 && l.engine != lines[0].engine {
			return nil, fmt.Errorf("%s:%d: a step of engine %s after one of engine %s: keep the lines of one engine", name, n, l.engine, lines[0].engine)
		}
		lines = append(lines, l)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s: no line with Iteration(…), start vLLM with --enable-logging-iteration-details", name)
	}
	return stretches(lines, name, Run{Deployment: d, Blocks: blocks, Role: "calibration"}), nil
}

func readIteration(text string) (l logged, err error) {
	m := iteration.FindStringSubmatch(text)
	if m == nil {
		return l, fmt.Errorf("%q is no step as vLLM logs it, want a time and \"Iteration(N): A context requests, B context tokens, "+
			"C generation requests, D generation tokens, iteration elapsed time: E ms\"", text[strings.Index(text, "Iteration("):])
	}
	if l.second, err = time.Parse("01-02 15:04:05", m[1]); err != nil {
		return l, err
	}
	var n [5]int
	for i, k := range []int{3, 4, 5, 6, 7} {
		if n[i], err = strconv.Atoi(m[k]); err != nil {
			return l, err
		}
	}
	l.engine, l.index = m[2], n[0]
	l.Prefills, l.PrefillTokens, l.Decodes = n[1], n[2], n[3]
	if l.PrefillTokens < l.Prefills || l.Prefills == 0 && l.PrefillTokens > 0 {
		return l, fmt.Errorf("%d context requests with %d context tokens, want at least one each", l.Prefills, l.PrefillTokens)
	}
	if n[4] < l.Decodes {
		return l, fmt.Errorf("%d generation requests with %d generation tokens, want at least one each", l.Decodes, n[4])
	}
	if l.Wait, err = strconv.ParseFloat(m[8], 64); err != nil {
		return l, err
	}
	l.Usage = -1
	if m[9] != "" {
		percent, err := strconv.ParseFloat(m[9], 64)
		if err != nil {
			return l, err
		}
		l.Usage = percent / 100
	}
	l.Running = l.Prefills + l.Decodes
	return l, nil
}

// stretches cuts the lines where the server was idle, started anew, or lost lines, and gives each step its time.
func stretches(lines []logged, name string, like Run) []Run {
	var out []Run
	from := 0
	for i := 1; i <= len(lines); i++ {
		if i < len(lines) && follows(lines[i-1], lines[i]) {
			continue
		}
		if i-from >= leastStretch {
			r := like
			r.Tag, r.Name = name, fmt.Sprintf("iterations %d to %d", lines[from].index, lines[i-1].index)
			r.Steps = clocked(lines[from:i], &r)
			out = append(out, r)
		}
		from = i
	}
	return out
}

// follows says whether a step came right after another, without an idle time: some of what ran goes on.
func follows(a, b logged) bool {
	gap := b.second.Sub(a.second)
	return b.index == a.index+1 && b.Decodes > 0 && gap >= 0 && gap <= 2*time.Second
}

// clocked gives the steps of a stretch their times: each second of the log is the sum of its steps' waits and of as
// much for each again as fills it. The first and the last second are not seen whole, and their steps take no time.
func clocked(lines []logged, r *Run) []Step {
	at, held := 0.0, 0.0
	var steps []Step
	for from := 0; from < len(lines); {
		to, left, alike := from, 0.0, true
		for ; to < len(lines) && lines[to].second.Equal(lines[from].second); to++ {
			left -= lines[to].Wait / 1e3
			alike = alike && lines[to].Prefills == 0
		}
		whole := from > 0 && to < len(lines)
		if whole {
			left = max(0, left+lines[to].second.Sub(lines[from].second).Seconds())
		}
		for i := from; i < to; i++ {
			l := lines[i]
			if whole {
				at += l.Wait/1e3 + left/float64(to-from)
			}
			l.At, l.Second, l.Alike = at, from+1, whole && alike
			if i > 0 && l.Running < lines[i-1].Running { // whoever left held as much as the others
				held *= float64(l.Running) / float64(lines[i-1].Running)
			}
			held += float64(l.PrefillTokens + l.Decodes)
			if l.Usage < 0 || r.Blocks == 0 {
				l.Usage = 0
				l.Context = int(held * float64(l.Decodes) / float64(max(1, l.Running)))
			}
			steps = append(steps, l.Step)
		}
		from = to
	}
	return steps
}
