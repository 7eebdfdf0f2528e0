package deploy

import (
	"iter"
	"strings"
)

// Matrix is every combination of the points of its axes, each applied to Base in the order of the axes.
//
//	m := deploy.Matrix{Base: d, Axes: []deploy.Axis{
//		{Name: "seats", Points: []deploy.Point{{"128", seats(128)}, {"512", seats(512)}}},
//		{Name: "quant", Points: []deploy.Point{{"none", quant("")}, {"int4", quant("gptq-int4")}}},
//	}}
//	for name, d := range m.All() { // seats=128/quant=none, seats=128/quant=int4, …
type Matrix struct {
	Base Deployment
	Axes []Axis
}

// Axis is one thing that varies.
type Axis struct {
	Name   string
	Points []Point
}

// Point is one value of an axis: what it is called and what it sets.
type Point struct {
	Name string
	Set  func(*Deployment)
}

// Len is the number of combinations.
func (m Matrix) Len() int {
	n := 1
	for _, a := range m.Axes {
		n *= len(a.Points)
	}
	return n
}

// All yields the combinations with their names, axis=point joined by slashes; the last axis varies fastest.
func (m Matrix) All() iter.Seq2[string, Deployment] {
	return func(yield func(string, Deployment) bool) {
		for i := range m.Len() {
			d, names := m.Base, make([]string, len(m.Axes))
			stride := m.Len()
			for k, a := range m.Axes {
				stride /= len(a.Points)
				p := a.Points[i/stride%len(a.Points)]
				p.Set(&d)
				names[k] = a.Name + "=" + p.Name
			}
			if !yield(strings.Join(names, "/"), d) {
				return
			}
		}
	}
}
