package workload

import (
	"math"
	"math/rand/v2"
)

// One stream of random numbers for each question, so that asking a new one does not change the answers to the others.
const (
	streamArrivals uint64 = iota + 1
	streamPrompts
	streamOutputs
	streamGroups
	streamJitter
	streamPhases
	streamThink
	streamTurns
)

// A draw gives random numbers that are the same bits on every machine. The standard library's logarithm and
// exponential may differ in the last bit between processors (assembly, fused multiply-add), so the two that are
// needed are written out here with every product rounded.
type draw struct {
	*rand.Rand
	spare    float64 // second number of the last normal pair
	hasSpare bool

	logNormal LogNormal // the last one that was drawn from …
	mu, sigma float64   // … and its logarithm's mean and standard deviation
}

func newDraw(seed, stream uint64) *draw {
	return &draw{Rand: rand.New(rand.NewPCG(seed, stream))}
}

// uniform is in (0, 1), never 0 or 1.
func (d *draw) uniform() float64 { return (float64(d.Uint64()>>11) + 0.5) / (1 << 53) }

// exp is exponential with mean 1.
func (d *draw) exp() float64 { return -ln(d.uniform()) }

// normal is standard normal, by Marsaglia's polar method.
func (d *draw) normal() float64 {
	if d.hasSpare {
		d.hasSpare = false
		return d.spare
	}
	for {
		u, v := float64(d.uniform()), float64(d.uniform())
		u, v = float64(u+u)-1, float64(v+v)-1
		s := float64(u*u) + float64(v*v)
		if s >= 1 || s == 0 {
			continue
		}
		f := math.Sqrt(float64(-2*ln(s)) / s)
		d.spare, d.hasSpare = float64(v*f), true
		return float64(u * f)
	}
}

// gamma has the given shape and mean 1, by Marsaglia and Tsang's method; a shape below 1 is drawn one higher and
// scaled down by a power of a uniform.
func (d *draw) gamma(shape float64) float64 {
	if shape == 1 {
		return d.exp()
	}
	boost := 1.0
	k := shape
	if k < 1 {
		boost = exp(ln(d.uniform()) / k)
		k++
	}
	a := k - 1.0/3
	c := 1 / math.Sqrt(float64(9*a))
	for {
		x := d.normal()
		v := 1 + float64(c*x)
		if v <= 0 {
			continue
		}
		v = float64(float64(v*v) * v)
		u := d.uniform()
		if ln(u) < float64(float64(0.5*x)*x)+a-float64(a*v)+float64(a*ln(v)) {
			return float64(float64(a*v)*boost) / shape
		}
	}
}

const (
	ln2Hi = 6.93147180369123816490e-01
	ln2Lo = 1.90821492927058770002e-10
)

// ln is the natural logarithm of a positive, finite x: x = m·2^k, and ln m from the series of atanh.
func ln(x float64) float64 {
	m, k := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, k = 2*m, k-1
	}
	s := (m - 1) / (m + 1)
	z := float64(s * s)
	sum := 0.0
	for _, c := range [...]float64{1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3, 1} {
		sum = float64(sum*z) + c
	}
	return float64(float64(k)*ln2Hi) + (float64(2*float64(s*sum)) + float64(float64(k)*ln2Lo))
}

// exp is e to the x, 0 below the range of a float64.
func exp(x float64) float64 {
	if x < -745 {
		return 0
	}
	k := math.Round(x / math.Ln2)
	r := (x - float64(k*ln2Hi)) - float64(k*ln2Lo)
	sum := 0.0
	for _, c := range [...]float64{1.0 / 87178291200, 1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880,
		1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2, 1, 1} {
		sum = float64(sum*r) + c
	}
	return math.Ldexp(sum, int(k))
}
