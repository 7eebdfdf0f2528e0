package slo

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCapacityIsTheSameFromAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Float64Range(0.002, 1e6).Draw(t, "limit")
		most := rapid.SampledFrom([]float64{0, 50, 7777}).Draw(t, "most")
		whole := rapid.Bool().Draw(t, "whole")
		keeps := func(load float64) (bool, error) { return load <= limit, nil }
		find := func(start float64) Capacity {
			c, err := Search{Start: start, Most: most, Whole: whole}.Find(keeps)
			require.NoError(t, err)
			return c
		}
		a := find(rapid.Float64Range(0.001, 1e7).Draw(t, "start"))
		b := find(rapid.Float64Range(0.001, 1e7).Draw(t, "other start"))
		require.Equal(t, a.Load, b.Load)
		require.Equal(t, a.Above, b.Above)
		require.LessOrEqual(t, a.Load, limit)
		if most > 0 {
			require.LessOrEqual(t, a.Load, most, "never above what is possible")
		}
		if a.Load > 0 && !a.AtBound {
			require.Greater(t, a.Above, limit)
			require.True(t, a.Above <= a.Load*(1+1.0/64) || whole && a.Above <= a.Load+a.Load/64+1)
		}
	})
}

func TestCapacityCountsItsRuns(t *testing.T) {
	runs := 0
	c, err := Search{Start: 3, Whole: true}.Find(func(load float64) (bool, error) { runs++; return load <= 37, nil })
	require.NoError(t, err)
	require.Equal(t, Capacity{Load: 37, Above: 38, Runs: runs}, c)
	require.Equal(t, "37; 38 is too much (11 runs)", c.String())

	c, err = Search{Start: 3, Most: 100, Whole: true}.Find(func(float64) (bool, error) { return true, nil })
	require.NoError(t, err)
	require.Equal(t, 100.0, c.Load)
	require.True(t, c.AtBound)

	c, err = Search{Start: 3}.Find(func(float64) (bool, error) { return false, nil })
	require.NoError(t, err)
	require.Zero(t, c.Load)

	_, err = Search{Start: 3}.Find(func(float64) (bool, error) { return false, errors.New("unreachable") })
	require.ErrorContains(t, err, "unreachable")
	_, err = Search{Start: 3, Least: 5, Most: 4}.Find(nil)
	require.ErrorContains(t, err, "least ≤ most")
}
