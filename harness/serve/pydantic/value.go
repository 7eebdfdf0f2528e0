// Package pydantic reads JSON as Python does and refuses it in pydantic's words.
//
// Clients of vLLM match on the text of its errors. That text is made by Python's json module, by pydantic and by
// FastAPI, not by vLLM, so it is kept here: Parse gives Python's message and position, a Model gives the errors that
// pydantic lists for a body, and Repr and Float print as Python prints.
//
//	body, err := pydantic.Parse(raw)          // err: "Expecting value" at character 7
//	problems := completion.Check(body)        // one Problem per refused field, in pydantic's order
package pydantic

import "slices"

// Kind is the type of a Value.
type Kind uint8

const (
	Null Kind = iota
	Bool
	Int
	Number // a float
	String
	List
	Dict
)

// A Value is one JSON value. A list of small integers, which a prompt of token ids is, is held as Ints alone.
type Value struct {
	Kind  Kind
	Truth bool
	Text  string // of a string; the digits of a number as written
	Float float64
	Ints  []int // of a List, when every element is a small non-negative integer
	Items []Value
	Keys  []string // of a Dict, beside Items; the last of equal keys counts
}

// Len is the number of items of a list or a dictionary.
func (v *Value) Len() int {
	if v.Ints != nil {
		return len(v.Ints)
	}
	return len(v.Items)
}

// At returns item i of a list.
func (v *Value) At(i int) Value {
	if v.Ints != nil {
		return intValue(v.Ints[i])
	}
	return v.Items[i]
}

// Get returns the value of a key, null if it is absent.
func (v *Value) Get(key string) *Value {
	if i := slices.Index(v.Keys, key); i >= 0 {
		return &v.Items[i]
	}
	return &absent
}

// Has says whether the key is there, be it null.
func (v *Value) Has(key string) bool { return slices.Contains(v.Keys, key) }

// IsNull says whether the value is null or absent.
func (v *Value) IsNull() bool { return v.Kind == Null }

// Truthy is Python's bool(v).
func (v *Value) Truthy() bool {
	switch v.Kind {
	case Bool:
		return v.Truth
	case Int, Number:
		return v.Float != 0
	case String:
		return v.Text != ""
	case List, Dict:
		return v.Len() > 0
	}
	return false
}

// absent is never written to.
var absent Value
