package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A value is one JSON value that remembers where it stood, so that every complaint can name file, line and column.
type value struct {
	at     int // byte offset in the file
	scalar any // string, json.Number, bool, nil; unused for the two below
	list   []*value
	fields map[string]*value // nil unless an object
	keys   []string          // in file order
	keyAt  []int             // where each stood
	isList bool
}

// A file is a parsed JSON document together with the first complaint about it.
type file struct {
	name string
	data []byte
	high int // no whole number is larger
	err  error
}

func parse(name string, data []byte) (*file, *value, error) {
	f := &file{name: name, data: data, high: 1 << 53}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := f.value(dec)
	if err == nil {
		if _, err = dec.Token(); err == io.EOF {
			return f, v, nil
		}
		return nil, nil, fmt.Errorf("%s: a second document follows the first, want one", f.pos(int(dec.InputOffset())-1))
	}
	at := int(dec.InputOffset())
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at = int(syntax.Offset) - 1
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, fmt.Errorf("%s: the JSON ends too early", f.pos(len(data)))
	}
	return nil, nil, fmt.Errorf("%s: not valid JSON: %w", f.pos(at), err)
}

// value reads the next value. The decoder reports where a token ended; it began after the separators before it.
func (f *file) value(dec *json.Decoder) (*value, error) {
	at := int(dec.InputOffset())
	for at < len(f.data) && strings.IndexByte(" \t\r\n,:", f.data[at]) >= 0 {
		at++
	}
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	v := &value{at: at}
	switch tok {
	case json.Delim('{'):
		v.fields = map[string]*value{}
		for dec.More() {
			key, err := f.value(dec)
			if err != nil {
				return nil, err
			}
			k, ok := key.scalar.(string)
			if !ok {
				return nil, fmt.Errorf("a key is a string")
			}
			if v.fields[k], err = f.value(dec); err != nil {
				return nil, err
			}
			v.keys, v.keyAt = append(v.keys, k), append(v.keyAt, key.at)
		}
		_, err = dec.Token()
	case json.Delim('['):
		v.isList = true
		for dec.More() {
			item, err := f.value(dec)
			if err != nil {
				return nil, err
			}
			v.list = append(v.list, item)
		}
		_, err = dec.Token()
	default:
		v.scalar = tok
	}
	return v, err
}

// pos is file:line:column of a byte offset.
func (f *file) pos(at int) string {
	at = max(0, min(at, len(f.data)))
	line := 1 + bytes.Count(f.data[:at], []byte("\n"))
	col := at - bytes.LastIndexByte(f.data[:at], '\n')
	return fmt.Sprintf("%s:%d:%d", f.name, line, col)
}

// fault keeps the first complaint.
func (f *file) fault(at int, format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %s", f.pos(at), fmt.Sprintf(format, args...))
	}
}

func (v *value) String() string {
	switch {
	case v.fields != nil:
		return "an object"
	case v.isList:
		return "a list"
	}
	if s, ok := v.scalar.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	if v.scalar == nil {
		return "null"
	}
	return fmt.Sprint(v.scalar)
}

// given returns the field's value, nil where it is absent or null.
func (v *value) given(key string) *value {
	if x := v.fields[key]; x != nil && (x.scalar != nil || x.isList || x.fields != nil) {
		return x
	}
	return nil
}

// need is the field that must be there.
func (f *file) need(v *value, key string) *value {
	x := v.given(key)
	if x == nil {
		f.fault(v.at, "%s is missing", key)
	}
	return x
}

// whole reads a whole number ≥ low; def where the field is absent or null.
func (f *file) whole(v *value, key string, low, def int) int {
	x := v.given(key)
	if x == nil {
		return def
	}
	n, ok := x.scalar.(json.Number)
	i, err := n.Int64()
	switch {
	case ok && err == nil && i > int64(f.high), ok && err != nil && !strings.ContainsAny(n.String(), ".eE-"):
		f.fault(x.at, "%s = %v, want a whole number ≤ %d", key, x, f.high)
		return def
	case !ok || err != nil || i < int64(low):
		f.fault(x.at, "%s = %v, want a whole number ≥ %d", key, x, low)
		return def
	}
	return int(i)
}

// number reads a number ≥ 0.
func (f *file) number(v *value, key string, def float64) float64 {
	x := v.given(key)
	if x == nil {
		return def
	}
	n, ok := x.scalar.(json.Number)
	r, err := n.Float64()
	if !ok || err != nil || r < 0 {
		f.fault(x.at, "%s = %v, want a number ≥ 0", key, x)
		return def
	}
	return r
}

// object is the field's value; it must be an object where it is given.
func (f *file) object(v *value, key string) *value {
	x := v.given(key)
	if x != nil && x.fields == nil {
		f.fault(x.at, "%s = %v, want an object", key, x)
		return nil
	}
	return x
}

func (f *file) text(v *value, key, def string) string {
	x := v.given(key)
	if x == nil {
		return def
	}
	s, ok := x.scalar.(string)
	if !ok {
		f.fault(x.at, "%s = %v, want a string", key, x)
		return def
	}
	return s
}

func (f *file) truth(v *value, key string, def bool) bool {
	x := v.given(key)
	if x == nil {
		return def
	}
	b, ok := x.scalar.(bool)
	if !ok {
		f.fault(x.at, "%s = %v, want true or false", key, x)
		return def
	}
	return b
}

func (f *file) texts(v *value, key string) []string {
	x := v.given(key)
	if x == nil {
		return nil
	}
	var out []string
	for _, item := range x.list {
		s, ok := item.scalar.(string)
		if !ok {
			f.fault(item.at, "%s holds %v, want strings", key, item)
		}
		out = append(out, s)
	}
	if !x.isList {
		f.fault(x.at, "%s = %v, want a list of strings", key, x)
	}
	return out
}

// only complains about the first field that is not among those known.
func (f *file) only(v *value, known ...string) {
	if v.fields == nil {
		f.fault(v.at, "got %v, want an object", v)
		return
	}
keys:
	for i, k := range v.keys {
		for _, want := range known {
			if k == want {
				continue keys
			}
		}
		f.fault(v.keyAt[i], "unknown field %q, want one of %s", k, strings.Join(known, ", "))
	}
}
