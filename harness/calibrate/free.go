package calibrate

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/steptime"
)

// Profiles are a GPU's and a host's, together what times a step.
type Profiles struct {
	GPU  steptime.GPU
	Host steptime.Host
}

// A free figure is one that a fit may change: a number of a profile, or a whole curve that is scaled.
type free struct {
	name   string
	number reflect.Value
	curve  steptime.Curve // as it was before the fit; nil for a number
}

// freeFigures finds figures by their JSON names: "gpu.elementwise.fixed_us", "host.connection_us",
// "gpu.gemm_bf16.efficiency" for the curve as a whole, "gpu.gemm_bf16.efficiency@512" for one of its points,
// "gpu.all_reduce@4.skew_us" for the entry of 4 GPUs.
func freeFigures(p *Profiles, names []string) ([]free, error) {
	var all []free
	for _, name := range names {
		head, rest, _ := strings.Cut(name, ".")
		root := reflect.ValueOf(&p.GPU).Elem()
		if head == "host" {
			root = reflect.ValueOf(&p.Host).Elem()
		}
		v, err := figure(root, rest)
		if err != nil {
			return nil, fmt.Errorf("calibrate: free figure %s: %w", name, err)
		}
		f := free{name: name, number: v}
		if c, ok := v.Interface().(steptime.Curve); ok {
			f.curve = append(steptime.Curve(nil), c...)
			v.Set(reflect.ValueOf(append(steptime.Curve(nil), c...))) // its own copy
		}
		all = append(all, f)
	}
	return all, nil
}

func figure(v reflect.Value, path string) (reflect.Value, error) {
	head, rest, _ := strings.Cut(path, ".")
	head, at, indexed := strings.Cut(head, "@")
	field := byJSON(v, head)
	if !field.IsValid() {
		return v, fmt.Errorf("no field %q", head)
	}
	if indexed {
		key, err := strconv.ParseFloat(at, 64)
		if err != nil {
			return v, err
		}
		if field, err = entry(field, key); err != nil {
			return v, err
		}
	}
	if rest != "" {
		return figure(field, rest)
	}
	return field, nil
}

// byJSON returns the field of this JSON name, also out of embedded structs.
func byJSON(v reflect.Value, name string) reflect.Value {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			if inner := byJSON(v.Field(i), name); inner.IsValid() {
				return inner
			}
		} else if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

// entry returns the y of a curve's point, or the element of a list, whose first number is key.
func entry(v reflect.Value, key float64) (reflect.Value, error) {
	copied := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
	reflect.Copy(copied, v)
	v.Set(copied)
	for i := range v.Len() {
		switch e := v.Index(i); e.Kind() {
		case reflect.Array:
			if e.Index(0).Float() == key {
				return e.Index(1), nil
			}
		case reflect.Struct:
			if float64(e.Field(0).Int()) == key {
				return e, nil
			}
		}
	}
	return v, fmt.Errorf("no entry for %g", key)
}

// set gives the figure a value: a number itself, a curve this many times what it was, at most 1.
func (f free) set(x float64) {
	if f.curve == nil {
		f.number.SetFloat(x)
		return
	}
	scaled := f.number.Interface().(steptime.Curve)
	for i, p := range f.curve {
		scaled[i][1] = math.Min(1, float64(p[1]*x))
	}
}

// start is the value from which the search begins.
func (f free) start() float64 {
	if f.curve != nil {
		return 1
	}
	return f.number.Float()
}

// rounded keeps four significant digits of a fitted figure.
func (f free) rounded() {
	four := func(v float64) float64 {
		if v == 0 {
			return 0
		}
		p := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
		return math.Round(v*p) / p
	}
	if f.curve == nil {
		f.number.SetFloat(four(f.number.Float()))
		return
	}
	c := f.number.Interface().(steptime.Curve)
	for i := range c {
		c[i][1] = four(c[i][1])
	}
}
