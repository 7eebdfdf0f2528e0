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
		m.change(t, v)
	}
}

func (m *Meter) change(t units.Time, v int) {
	var change wide
	if v > m.Now {
		change.add(uint64(v-m.Now), uint64(t))
		m.grow(v-m.Now, change)
		return
	}
	change.add(uint64(m.Now-v), uint64(t))
	m.moment.sub(change)
	m.Now = v
}

// grow adds n, bit by bit, at instants that are told by their moment.
func (m *Meter) grow(n int, moment wide) {
	m.moment.sum(moment)
	m.Now += n
	m.Peak = max(m.Peak, m.Now)
}

// AreaAt is ∫ of the meter over seconds up to t.
func (m Meter) AreaAt(t units.Time) float64 {
	var under wide
	under.add(uint64(m.Now), uint64(t))
	under.sub(m.moment)
	return (float64(float64(under.high)*(1<<64)) + float64(under.low)) / float64(units.Second)
}

// wide is an integer of 128 bits, modulo 2¹²⁸: blocks times picoseconds need more than 64.
type wide struct{ high, low uint64 }

// add adds n·t.
func (w *wide) add(n, t uint64) {
	high, low := bits.Mul64(n, t)
	w.sum(wide{high, low})
}

func (w *wide) sum(o wide) {
	var carry uint64
	w.low, carry = bits.Add64(w.low, o.low, 0)
	w.high, _ = bits.Add64(w.high, o.high, carry)
}

func (w *wide) sub(o wide) {
	var borrow uint64
	w.low, borrow = bits.Sub64(w.low, o.low, 0)
	w.high, _ = bits.Sub64(w.high, o.high, borrow)
}
