package slo

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFrontIsWhatNothingBeats(t *testing.T) {
	type p [2]float64 // throughput, latency
	front := Front([]p{{10, 5}, {10, 4}, {12, 6}, {8, 4}, {12, 6}, {3, 1}}, func(x p) float64 { return x[0] }, func(x p) float64 { return x[1] })
	require.Equal(t, []p{{10, 4}, {12, 6}, {12, 6}, {3, 1}}, front)
}
