// Package units says how quantities are held and printed.
//
// Counts are integers with a name, so that tokens are never added to bytes. Time is an integer number of
// picoseconds: fine enough that a sum of step times does not depend on the order of the additions, and wide
// enough for 106 days.
package units

import (
	"fmt"
	"math"
	"time"
)

// Tokens counts tokens, Blocks KV-cache blocks.
type (
	Tokens int
	Blocks int
)

// Bytes counts bytes. Memory is printed in binary units, as vLLM prints it.
type Bytes int64

const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
)

// GiB returns b as a number of GiB.
func (b Bytes) GiB() float64 { return float64(b) / float64(GiB) }

func (b Bytes) String() string {
	switch a := max(b, -b); {
	case a >= GiB:
		return fmt.Sprintf("%.4gGiB", b.GiB())
	case a >= MiB:
		return fmt.Sprintf("%.4gMiB", float64(b)/float64(MiB))
	case a >= KiB:
		return fmt.Sprintf("%.4gKiB", float64(b)/float64(KiB))
	}
	return fmt.Sprintf("%dB", int64(b))
}

// Gibibytes converts a number of GiB to bytes, rounded to the nearest byte.
func Gibibytes(g float64) Bytes { return Bytes(math.Round(g * float64(GiB))) }

// Time is an instant: picoseconds since the start of a run. Span is the distance between two instants.
type (
	Time int64
	Span int64
)

const (
	Nanosecond  Span = 1e3
	Microsecond Span = 1e6
	Millisecond Span = 1e9
	Second      Span = 1e12
)

// Never is after every instant of a run.
const Never Time = math.MaxInt64

func (t Time) Add(s Span) Time       { return t + Time(s) }
func (t Time) Sub(u Time) Span       { return Span(t - u) }
func (t Time) Seconds() float64      { return float64(t) / float64(Second) }
func (s Span) Seconds() float64      { return float64(s) / float64(Second) }
func (s Span) Milliseconds() float64 { return float64(s) / float64(Millisecond) }

// Duration converts to the standard library's nanoseconds, truncating.
func (s Span) Duration() time.Duration { return time.Duration(s / Nanosecond) }

func (t Time) String() string { return Span(t).String() }
func (s Span) String() string {
	switch a := max(s, -s); {
	case a >= Second:
		return fmt.Sprintf("%.6gs", s.Seconds())
	case a >= Millisecond:
		return fmt.Sprintf("%.6gms", s.Milliseconds())
	case a == 0:
		return "0s"
	}
	return fmt.Sprintf("%.6gµs", float64(s)/float64(Microsecond))
}

// Seconds converts seconds to a Span, rounded to the nearest picosecond: the border where floats stop.
func Seconds(s float64) Span { return Span(math.Round(s * float64(Second))) }

// Milliseconds converts milliseconds to a Span, rounded to the nearest picosecond.
func Milliseconds(ms float64) Span { return Span(math.Round(ms * float64(Millisecond))) }

// FromDuration converts from the standard library's nanoseconds.
func FromDuration(d time.Duration) Span { return Span(d.Nanoseconds()) * Nanosecond }

// CeilDiv is a divided by b, rounded up, for a ≥ 0 and b > 0.
func CeilDiv[A, B ~int | ~int64](a A, b B) A { return (a + A(b) - 1) / A(b) }

// Segment names a run of consecutive tokens without holding them: token From+i of the text Source, for i < Len.
// Two tokens are the same if and only if their source and position are, so prompts that share a Segment share a
// prefix.
type Segment struct {
	Source uint64
	From   Tokens
	Len    Tokens
}

// OwnText is the source of what belongs to one request: position i of its sequence, prompt or answer, is token i of it.
// A later request names it to go on from there, as the next turn of a conversation does.
func OwnText(request int) uint64 { return 1<<63 | uint64(request) }
