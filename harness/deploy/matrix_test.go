package deploy

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMatrixIsEveryCombinationOnce(t *testing.T) {
	seats := func(n int) Point {
		return Point{fmt.Sprint(n), func(d *Deployment) { d.Engine.MaxNumSeqs = n }}
	}
	quant := func(q string) Point {
		return Point{q, func(d *Deployment) { d.Engine.Quantization = q }}
	}
	m := Matrix{Base: Deployment{Host: "default"}, Axes: []Axis{
		{"seats", []Point{seats(1), seats(2), seats(3)}},
		{"quant", []Point{quant("fp8"), quant("awq")}},
	}}
	require.Equal(t, 6, m.Len())
	var names []string
	for name, d := range m.All() {
		names = append(names, name)
		require.Equal(t, name, fmt.Sprintf("seats=%d/quant=%s", d.Engine.MaxNumSeqs, d.Engine.Quantization))
		require.Equal(t, "default", d.Host)
	}
	require.Equal(t, []string{"seats=1/quant=fp8", "seats=1/quant=awq", "seats=2/quant=fp8", "seats=2/quant=awq", "seats=3/quant=fp8", "seats=3/quant=awq"}, names)
	for range m.All() {
		break // leaving early is allowed
	}
	require.Equal(t, 1, Matrix{}.Len())
	require.Zero(t, Matrix{Axes: []Axis{{Name: "none"}}}.Len())
}
