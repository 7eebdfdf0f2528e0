package engine

import (
	"math/bits"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// Meter is a number that changes over time. It keeps the sum of each change times its instant: then what lies under it up
// to t is Now·t less that sum, an integer that does not depend on the order of the changes.
type Meter struct {
	Now, Peak int
	moment    wide
}

func (m *Meter) set(t units.Time, v int) {
	if v != m.Now {
		m.moment.add(int64(v-m.Now), int64(t))
		m.Now, m.Peak = v, max(m.Peak, v)
	}
}

// AreaAt is ∫ of the meter over seconds up to t.
func (m Meter) AreaAt(t units.Time) float64 {
	under := wide{-m.moment.high, -m.moment.low}
	if m.moment.low != 0 {
		under.high--
	}
	under.add(int64(m.Now), int64(t))
	return under.float() / float64(units.Second)
}

// wide is an integer of 128 bits in two's complement: blocks times picoseconds need more than 64.
type wide struct{ high, low uint64 }

// add adds n·t.
func (w *wide) add(n, t int64) {
	var carry uint64
	high, low := bits.Mul64(uint64(n), uint64(t))
	high -= uint64(n>>63)&uint64(t) + uint64(t>>63)&uint64(n) // a negative factor stands there as 2⁶⁴ more
	w.low, carry = bits.Add64(w.low, low, 0)
	w.high, _ = bits.Add64(w.high, high, carry)
}

func (w wide) float() float64 {
	return float64(float64(int64(w.high))*(1<<64)) + float64(w.low)
}
