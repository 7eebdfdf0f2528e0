package units_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
)

func TestPrinting(t *testing.T) {
	for _, c := range []struct {
		got, want string
	}{
		{units.Bytes(0).String(), "0B"},
		{units.Bytes(-1536).String(), "-1.5KiB"},
		{(3 * units.GiB / 2).String(), "1.5GiB"},
		{units.Span(0).String(), "0s"},
		{(1500 * units.Microsecond).String(), "1.5ms"},
		{(20 * units.Nanosecond).String(), "0.02µs"},
		{units.Time(90 * units.Second).String(), "90s"},
	} {
		require.Equal(t, c.want, c.got)
	}
}

func TestConversions(t *testing.T) {
	require.Equal(t, 1500*units.Millisecond, units.Seconds(1.5))
	require.Equal(t, units.Span(1), units.Seconds(0.6e-12), "rounded to the nearest picosecond")
	require.Equal(t, 2500*units.Microsecond, units.Milliseconds(2.5))
	require.Equal(t, units.Millisecond, units.FromDuration(time.Millisecond))
	require.Equal(t, time.Millisecond, (units.Millisecond + 999).Duration(), "truncated to nanoseconds")
	require.Equal(t, units.Bytes(1610612736), units.Gibibytes(1.5))
	require.Equal(t, 5, units.CeilDiv(17, 4))
	require.Equal(t, units.Tokens(4), units.CeilDiv(units.Tokens(16), 4))
	require.Equal(t, units.Time(7).Add(3).Sub(4), units.Span(6))
}
