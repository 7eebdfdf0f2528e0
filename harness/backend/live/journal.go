package live

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// A journal is a run on disk, a line for each send and each end, written before the next thing happens: whatever
// kills the client, what was measured is there, to be reported or gone on with. The API key is never in it.
type journal struct {
	file *os.File
	err  error // the first write that failed
}

// header is a journal's first line. A journal is gone on with only by the same workload.
type header struct {
	Journal  int    `json:"symbiote_journal"`
	Workload string `json:"workload"`
	Endpoint string `json:"endpoint"`
	Model    string `json:"model"`
	Salt     uint64 `json:"salt"` // of the prompts
}

// entry is any other line: a send (Sent alone) or an end.
type entry struct {
	ID       int           `json:"id"`
	Sent     units.Time    `json:"sent_ps"`
	Ended    units.Time    `json:"ended_ps,omitempty"`
	Intended units.Time    `json:"intended_ps,omitempty"`
	First    units.Time    `json:"first_ps,omitempty"`
	Last     units.Time    `json:"last_ps,omitempty"`
	Prompt   units.Tokens  `json:"prompt,omitempty"`
	Output   units.Tokens  `json:"output,omitempty"`
	Cached   units.Tokens  `json:"cached,omitempty"`
	Stage    int           `json:"stage,omitempty"`
	Replica  int           `json:"replica,omitempty"`
	Longest  units.Span    `json:"longest_ps,omitempty"`
	Outcome  failure.Class `json:"outcome,omitempty"`
	Detail   string        `json:"detail,omitempty"`
	Gaps     [][2]int64    `json:"gaps_ns,omitempty"` // gap between tokens, how often
	Chunks   []int64       `json:"chunks_ns,omitempty"`
	Usage    bool          `json:"usage,omitempty"`
	Guessed  bool          `json:"estimated,omitempty"`
}

func (e entry) end() units.Time {
	if e.Outcome == failure.None && e.Last != units.Never {
		return e.Last
	}
	return e.Ended
}

func openJournal(path string, h header, resume bool) (*journal, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if !resume {
		flags |= os.O_EXCL // a journal is evidence: it is not overwritten
	}
	file, err := os.OpenFile(path, flags, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("journal %s exists: resume it, or name another", path)
	}
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &journal{file: file}
	if !resume {
		j.line(h)
	} else if err := j.newline(path); err != nil {
		file.Close()
		return nil, err
	}
	return j, j.err
}

// newline ends a line that was cut short when the writer was killed.
func (j *journal) newline(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		_, err = j.file.WriteString("\n")
	}
	return err
}

// line writes one line with one write, which the kernel keeps when this process is killed.
func (j *journal) line(v any) {
	data, err := json.Marshal(v)
	if err == nil {
		_, err = j.file.Write(append(data, '\n'))
	}
	if j.err == nil && err != nil {
		j.err = fmt.Errorf("journal: %w", err)
	}
}

func (j *journal) sent(id int, at units.Time) { j.line(entry{ID: id, Sent: at}) }

func (j *journal) ended(r *record.Record, s *stream) {
	e := entry{
		ID: r.ID, Sent: r.Sent, Ended: s.ended, Intended: r.Intended, First: r.First, Last: r.Last, Prompt: r.Prompt,
		Output: r.Output, Cached: r.Cached, Stage: r.Stage, Replica: r.Replica, Longest: r.LongestGap,
		Outcome: r.Outcome, Detail: r.Detail, Usage: s.usage, Guessed: s.estimated,
	}
	for _, g := range s.gaps {
		e.Gaps = append(e.Gaps, [2]int64{int64(g.gap / units.Nanosecond), int64(g.n)})
	}
	for _, g := range s.chunks {
		e.Chunks = append(e.Chunks, int64(g/units.Nanosecond))
	}
	j.line(e)
}

func (j *journal) close() error {
	if err := j.file.Close(); j.err == nil && err != nil {
		j.err = fmt.Errorf("journal: %w", err)
	}
	return j.err
}

// past is what a journal tells of an interrupted run.
type past struct {
	header header
	ended  map[int]entry
	sent   map[int]units.Time // sent, and not known to have ended
	order  []int              // of the sends
	last   units.Time         // the latest instant of the run
}

// readJournal reads what was written before the writer ended, by whatever cause: a last line may be incomplete.
func readJournal(path string) (past, error) {
	file, err := os.Open(path)
	if err != nil {
		return past{}, fmt.Errorf("journal: %w", err)
	}
	defer file.Close()
	p := past{ended: map[int]entry{}, sent: map[int]units.Time{}}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<20)
	n, bad := 0, 0
	for lines.Scan() {
		n++
		if n == 1 {
			if json.Unmarshal(lines.Bytes(), &p.header) != nil || p.header.Journal != 1 {
				return past{}, fmt.Errorf("journal %s: line 1 is not the head of a journal", path)
			}
			continue
		}
		if len(lines.Bytes()) == 0 {
			continue
		}
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			bad = n // the last line of a killed writer; a resumed one goes on below it
			continue
		}
		p.add(e)
	}
	if n == 0 {
		return past{}, fmt.Errorf("journal %s is empty", path)
	}
	if err := lines.Err(); err != nil {
		return past{}, fmt.Errorf("journal %s: after line %d: %w", path, max(n, bad), err)
	}
	return p, nil
}

func (p *past) add(e entry) {
	if e.Ended == 0 {
		if _, again := p.sent[e.ID]; !again {
			p.order = append(p.order, e.ID)
		}
		p.sent[e.ID] = e.Sent
		p.last = max(p.last, e.Sent)
		return
	}
	if _, known := p.sent[e.ID]; !known {
		p.order = append(p.order, e.ID)
	}
	delete(p.sent, e.ID)
	p.ended[e.ID] = e
	p.last = max(p.last, e.Ended)
}

// restore puts an earlier end into the tally.
func (t *tally) restore(slot int, e entry) {
	r := &t.run.Requests[slot]
	*r = record.Record{
		ID: e.ID, Stage: e.Stage, Replica: e.Replica, Intended: e.Intended, Sent: e.Sent, Admitted: units.Never,
		First: e.First, Last: e.Last, Prompt: e.Prompt, Output: e.Output, Cached: e.Cached, LongestGap: e.Longest,
		Outcome: e.Outcome, Detail: e.Detail,
	}
	t.run.Start = min(t.run.Start, e.Intended)
	if e.Outcome != failure.None && e.Outcome != WrongLength {
		return
	}
	t.run.End = max(t.run.End, e.Last)
	for _, g := range e.Gaps {
		t.run.Gaps.Add(units.Span(g[0])*units.Nanosecond, g[1])
	}
	for _, g := range e.Chunks {
		t.icl.Add(units.Span(g)*units.Nanosecond, 1)
	}
	if e.Guessed {
		t.estimated++
	}
	if !e.Usage {
		t.usageless++
	}
}

// ReadJournal makes a Run of a journal, finished or not. A request that was on its way when the client was killed is
// Aborted: whether the server answered it, nobody knows.
func ReadJournal(path string) (*record.Run, error) {
	p, err := readJournal(path)
	if err != nil {
		return nil, err
	}
	t := newTally()
	for _, id := range p.order {
		t.run.Requests = append(t.run.Requests, record.Record{
			ID: id, Intended: p.sent[id], Sent: p.sent[id], Admitted: units.Never, First: units.Never, Last: units.Never,
			Outcome: failure.Aborted, Detail: "the client was gone before the answer was complete",
		})
		if e, ok := p.ended[id]; ok {
			t.restore(len(t.run.Requests)-1, e)
		}
	}
	if len(p.sent) > 0 {
		t.run.Warnings = append(t.run.Warnings, fmt.Sprintf("%d requests were on their way when the client was killed", len(p.sent)))
	}
	if t.run.Start == units.Never {
		t.run.Start = 0
	}
	t.run.Gaps.Settle()
	t.run.Provenance = record.Provenance{Backend: "live", Notes: []string{"read from a journal: " + p.header.Workload + " on " + p.header.Model}}
	return t.run, nil
}
