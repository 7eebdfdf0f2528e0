package workload

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Sessions are conversations: each turn's prompt is everything said before and something new, and is sent a while after
// the answer to the turn before. A turn names the prompts and the answers of the turns before, so that the prefix cache
// finds both. A live client, which does not send the answer's own tokens back, finds the prompts alone.
type Sessions struct {
	Count      int
	Starts     Arrivals // when conversations begin; open arrivals
	Turns      Lengths
	System     units.Tokens // that all conversations begin with
	New        Lengths      // prompt tokens a turn adds
	Output     Lengths
	Think      time.Duration // mean of an exponential
	MaxContext units.Tokens  // a conversation ends before a turn that would exceed it; 0 = no limit
	Seed       uint64
}

func (s Sessions) String() string {
	return fmt.Sprintf("%d sessions of %v turns, %v new tokens after a system prompt of %d, output %v, think %v · %v · seed %d",
		s.Count, s.Turns, s.New, s.System, s.Output, s.Think, s.Starts, s.Seed)
}

// Validate says what is wrong with the description. Play panics on sessions that are not valid.
func (s Sessions) Validate() error {
	if s.Count < 1 || s.Starts == nil || s.Turns == nil || s.New == nil || s.Output == nil {
		return errors.New("sessions: count, starts, turns, new and output are needed")
	}
	if s.System < 0 || s.Think < 0 || s.MaxContext < 0 {
		return fmt.Errorf("sessions: system prompt %d, think %v, context %d, want none below 0", s.System, s.Think, s.MaxContext)
	}
	switch s.Starts.(type) {
	case Closed, Replay:
		return fmt.Errorf("sessions: they cannot start in a %v", s.Starts)
	}
	for _, err := range []error{s.Starts.validate(), s.Turns.validate(), s.New.validate(), s.Output.validate()} {
		if err != nil {
			return fmt.Errorf("sessions: %w", err)
		}
	}
	return nil
}

// Play returns a fresh client.
func (s Sessions) Play() Player {
	if err := s.Validate(); err != nil {
		panic(err)
	}
	p := &sessionPlayer{Sessions: s, tick: newClock(s.Starts, s.Seed, true), turnOf: map[int]*session{}}
	p.start()
	return p
}

type sessionPlayer struct {
	Sessions
	tick    clock
	started int
	due     []turn // by time, then by session
	sent    int
	turnOf  map[int]*session // by request, while it is out
}

// session is one conversation; its numbers come from a stream of its own, whatever the others do.
type session struct {
	number int
	draw   *draw
	left   units.Tokens // turns to come
	prompt units.Tokens
	output units.Tokens
	said   []units.Segment // the text of the turns before, answers included
	heard  units.Tokens    // its length
	begun  bool
}

type turn struct {
	at units.Time
	of *session
}

// start makes the next conversation due.
func (p *sessionPlayer) start() {
	if p.started == p.Count {
		return
	}
	at, ok := p.tick()
	if !ok {
		return
	}
	d := newDraw(p.Seed, streamTurns|uint64(p.started+1)<<8)
	x := &session{number: p.started, draw: d, left: p.Turns.draw(d), prompt: p.System, heard: p.System}
	if p.System > 0 {
		x.said = []units.Segment{{Source: groupText, Len: p.System}}
	}
	p.started++
	if !p.later(at, x) {
		p.start() // its first turn already exceeds the context
	}
}

// later makes a session's next turn due; false if it is over.
func (p *sessionPlayer) later(at units.Time, x *session) bool {
	x.prompt += x.output + p.New.draw(x.draw)
	x.output = p.Output.draw(x.draw)
	if x.left == 0 || p.MaxContext > 0 && x.prompt+x.output > p.MaxContext {
		return false
	}
	x.left--
	i := len(p.due)
	for i > 0 && (p.due[i-1].at > at || p.due[i-1].at == at && p.due[i-1].of.number > x.number) {
		i--
	}
	p.due = append(p.due, turn{})
	copy(p.due[i+1:], p.due[i:])
	p.due[i] = turn{at, x}
	return true
}

func (p *sessionPlayer) Next() (units.Time, bool) {
	if len(p.due) == 0 {
		return units.Never, false
	}
	return p.due[0].at, true
}

func (p *sessionPlayer) Send() Request {
	if len(p.due) == 0 {
		panic("workload: Send, but nothing is due")
	}
	t := p.due[0]
	p.due = p.due[1:]
	x := t.of
	r := Request{ID: p.sent, At: t.at, Prompt: x.prompt, Output: x.output, Shared: slices.Clip(x.said), Open: x.left > 0}
	x.said = append(r.Shared, units.Segment{Source: units.OwnText(r.ID), From: x.heard, Len: x.prompt + x.output - x.heard})
	x.heard = x.prompt + x.output
	p.turnOf[r.ID] = x
	p.sent++
	if x.number == p.started-1 && !x.begun { // starts are ascending: the next is due no earlier than this one
		p.start()
	}
	x.begun = true
	return r
}

func (p *sessionPlayer) Done(id int, at units.Time) {
	x := p.turnOf[id]
	delete(p.turnOf, id)
	think := units.Seconds(float64(x.draw.exp() * p.Think.Seconds()))
	p.later(at.Add(think), x)
}
