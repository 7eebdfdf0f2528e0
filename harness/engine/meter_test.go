package engine

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// A meter's area is exact, whatever its size: the same sum in big integers, in seconds.
func TestAMetersAreaIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var m Meter
		now, area, peak := units.Time(0), new(big.Int), 0
		for range 50 {
			step := r.Int64N(1 << r.IntN(56))
			area.Add(area, new(big.Int).Mul(big.NewInt(int64(m.Now)), big.NewInt(step)))
			now = now.Add(units.Span(step))
			v := r.IntN(1 << r.IntN(30))
			m.set(now, v)
			peak = max(peak, v)
			want, _ := new(big.Float).Quo(new(big.Float).SetInt(area), big.NewFloat(float64(units.Second))).Float64()
			require.InEpsilon(t, 1+want, 1+m.AreaAt(now), 1e-15)
		}
		require.Equal(t, peak, m.Peak)
	}
}
