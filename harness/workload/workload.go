// Package workload says when clients ask for what: rows, arrivals, lengths, shared prefixes, and the batches in
// which Ray Data sends them.
//
//	chat := workload.BatchChat(600)                     // what is asked
//	load := chat.At(workload.Gamma{Rate: 8, CV: 3})     // and when
//	fmt.Println(load)                                   // 600 rows batch-chat · gamma 8/s cv=3 · seed 0
//	rows := workload.Pipeline{Rows: chat, BatchSize: 64} // or as Ray Data dispatches it
//
// A description is a value that prints itself; Play makes a client of it, a Player, and all its clients do the same.
// Everything random comes from one seed by streams with names (draw.go), so that other arrivals do not change what is
// asked. Start at Load; Pipeline and its state machine (dispatch.go) stand by themselves.
package workload

import "github.com/testing-symbiote/symbiote/harness/units"

// Request is one generation request as a client sends it.
type Request struct {
	ID       int
	At       units.Time // when it is sent
	Prompt   units.Tokens
	Output   units.Tokens    // tokens that the answer will have
	Shared   []units.Segment // the leading prompt tokens that other requests have too; the rest is its own
	Open     bool            // later requests may name its own text, prompt and answer, in their Shared: units.OwnText(ID)
	Cached   units.Tokens    // prefix hits that are given, not looked up; 0 = look up
	Priority int
	Stage    int
	Replica  int // which engine it is sent to; 0 unless a Pipeline or router decides
}

// Player is the client: it says when the next request leaves, and learns when an answer is complete, which may
// release the next one (closed loops, batches, sessions). It owns no clock.
type Player interface {
	// Next returns the instant at which Send must be called next; false when nothing is due until a Done.
	Next() (units.Time, bool)
	// Send returns the request that leaves at Next.
	Send() Request
	// Done tells that the answer to id was complete (or failed) at the client at this instant.
	Done(id int, at units.Time)
}

// Workload is a description that prints itself and can be played any number of times, each time the same.
type Workload interface {
	Play() Player
	String() string
}

// Requests is what a workload asks, found by playing it against a server that answers at once.
func Requests(w Workload) []Request {
	p := w.Play()
	var all []Request
	for at, ok := p.Next(); ok; at, ok = p.Next() {
		r := p.Send()
		all = append(all, r)
		p.Done(r.ID, at)
	}
	return all
}
