package pydantic

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// A SyntaxError is Python's json.JSONDecodeError: its message without the position, and the position in characters.
type SyntaxError struct {
	Message string
	At      int
}

func (e *SyntaxError) Error() string { return e.Message + ": char " + strconv.Itoa(e.At) }

// Place is the error as Python prints it, with line and column in the document.
func (e *SyntaxError) Place(raw string) string {
	line, column := 1, 1
	for i, r := range []rune(raw) {
		if i == e.At {
			break
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
	}
	return e.Message + ": line " + strconv.Itoa(line) + " column " + strconv.Itoa(column) + " (char " + strconv.Itoa(e.At) + ")"
}

// maxDepth bounds nesting; Python's own bound, its recursion limit, is of the same size.
const maxDepth = 900

// A parser holds what the recursive descent needs. Positions are bytes until an error is made of them.
type parser struct {
	in    string
	depth int
}

// Parse reads one JSON document. raw must be valid UTF-8.
func Parse(raw string) (Value, *SyntaxError) {
	p := parser{in: raw}
	v, i, err := p.value(p.space(0))
	if err != nil {
		return Value{}, err
	}
	if i = p.space(i); i != len(raw) {
		return Value{}, p.fail("Extra data", i)
	}
	return v, nil
}

func (p *parser) fail(message string, at int) *SyntaxError {
	return &SyntaxError{message, utf8.RuneCountInString(p.in[:at])}
}

func (p *parser) space(i int) int {
	for i < len(p.in) && (p.in[i] == ' ' || p.in[i] == '\n' || p.in[i] == '\t' || p.in[i] == '\r') {
		i++
	}
	return i
}

func (p *parser) value(i int) (Value, int, *SyntaxError) {
	if i >= len(p.in) || p.depth > maxDepth {
		return Value{}, i, p.fail("Expecting value", i)
	}
	switch c := p.in[i]; {
	case c == '"':
		s, end, err := p.str(i)
		return Value{Kind: String, Text: s}, end, err
	case c == '{':
		return p.dict(i)
	case c == '[':
		return p.list(i)
	case c == '-' || c >= '0' && c <= '9':
		return p.number(i)
	}
	for _, w := range words {
		if len(p.in)-i >= len(w.text) && p.in[i:i+len(w.text)] == w.text {
			return w.value, i + len(w.text), nil
		}
	}
	return Value{}, i, p.fail("Expecting value", i)
}

// words are the names that Python's reader knows. It is never written to.
var words = []struct {
	text  string
	value Value
}{
	{"null", Value{}},
	{"true", Value{Kind: Bool, Truth: true, Float: 1}},
	{"false", Value{Kind: Bool}},
	{"NaN", Value{Kind: Number, Text: "NaN", Float: math.NaN()}},
	{"Infinity", Value{Kind: Number, Text: "Infinity", Float: math.Inf(1)}},
}

func (p *parser) number(i int) (Value, int, *SyntaxError) {
	start := i
	if p.in[i] == '-' {
		i++
		if i < len(p.in) && p.in[i] == 'I' && len(p.in)-i >= 8 && p.in[i:i+8] == "Infinity" {
			return Value{Kind: Number, Text: "-Infinity", Float: math.Inf(-1)}, i + 8, nil
		}
	}
	digits := i
	for i < len(p.in) && p.in[i] >= '0' && p.in[i] <= '9' {
		i++
		if p.in[digits] == '0' {
			break
		}
	}
	if i == digits {
		return Value{}, start, p.fail("Expecting value", start)
	}
	kind := Int
	if j := p.digits(i, '.'); j > i {
		kind, i = Number, j
	}
	if i < len(p.in) && (p.in[i] == 'e' || p.in[i] == 'E') {
		j := i + 1
		if j < len(p.in) && (p.in[j] == '+' || p.in[j] == '-') {
			j++
		}
		if k := p.digits(j-1, p.in[j-1]); k > j-1 {
			kind, i = Number, k
		}
	}
	text := p.in[start:i]
	f, _ := strconv.ParseFloat(text, 64)
	return Value{Kind: kind, Text: text, Float: f}, i, nil
}

// digits skips the byte lead at i and the digits behind it; it returns i if either is missing.
func (p *parser) digits(i int, lead byte) int {
	if i >= len(p.in) || p.in[i] != lead {
		return i
	}
	j := i + 1
	for j < len(p.in) && p.in[j] >= '0' && p.in[j] <= '9' {
		j++
	}
	if j == i+1 {
		return i
	}
	return j
}

func (p *parser) list(i int) (Value, int, *SyntaxError) {
	v := Value{Kind: List}
	if ints, end, ok := p.ints(i); ok {
		v.Ints = ints
		return v, end, nil
	}
	p.depth++
	defer func() { p.depth-- }()
	i = p.space(i + 1)
	if i < len(p.in) && p.in[i] == ']' {
		return v, i + 1, nil
	}
	for {
		item, end, err := p.value(i)
		if err != nil {
			return v, end, err
		}
		v.Items = append(v.Items, item)
		i = p.space(end)
		switch {
		case i < len(p.in) && p.in[i] == ']':
			return v, i + 1, nil
		case i >= len(p.in) || p.in[i] != ',':
			return v, i, p.fail("Expecting ',' delimiter", i)
		}
		i = p.space(i + 1)
	}
}

// ints reads a list of non-negative integers of at most 9 digits; ok is false for any other list.
func (p *parser) ints(i int) (ints []int, end int, ok bool) {
	i = p.space(i + 1)
	for {
		n, start := 0, i
		for i < len(p.in) && p.in[i] >= '0' && p.in[i] <= '9' {
			n = n*10 + int(p.in[i]-'0')
			i++
		}
		if i == start || i-start > 9 || i-start > 1 && p.in[start] == '0' {
			return nil, i, false
		}
		ints = append(ints, n)
		i = p.space(i)
		if i >= len(p.in) {
			return nil, i, false
		}
		if p.in[i] == ']' {
			return ints, i + 1, true
		}
		if p.in[i] != ',' {
			return nil, i, false
		}
		i = p.space(i + 1)
	}
}

func (p *parser) dict(i int) (Value, int, *SyntaxError) {
	p.depth++
	defer func() { p.depth-- }()
	v := Value{Kind: Dict}
	i = p.space(i + 1)
	if i < len(p.in) && p.in[i] == '}' {
		return v, i + 1, nil
	}
	for {
		if i >= len(p.in) || p.in[i] != '"' {
			return v, i, p.fail("Expecting property name enclosed in double quotes", i)
		}
		key, end, err := p.str(i)
		if err != nil {
			return v, end, err
		}
		i = p.space(end)
		if i >= len(p.in) || p.in[i] != ':' {
			return v, i, p.fail("Expecting ':' delimiter", i)
		}
		item, end, err := p.value(p.space(i + 1))
		if err != nil {
			return v, end, err
		}
		v.put(key, item)
		i = p.space(end)
		switch {
		case i < len(p.in) && p.in[i] == '}':
			return v, i + 1, nil
		case i >= len(p.in) || p.in[i] != ',':
			return v, i, p.fail("Expecting ',' delimiter", i)
		}
		i = p.space(i + 1)
	}
}

// put keeps a repeated key at its first place with its last value, as Python's dict does.
func (v *Value) put(key string, item Value) {
	if len(v.Keys) < 64 || !v.Has(key) {
		for k := range v.Keys {
			if v.Keys[k] == key {
				v.Items[k] = item
				return
			}
		}
		v.Keys, v.Items = append(v.Keys, key), append(v.Items, item)
		return
	}
	*v.Get(key) = item
}

// str reads the string that opens at i.
func (p *parser) str(i int) (string, int, *SyntaxError) {
	open := i
	i++
	start := i
	for i < len(p.in) && p.in[i] != '"' && p.in[i] != '\\' && p.in[i] >= 0x20 {
		i++
	}
	if i < len(p.in) && p.in[i] == '"' {
		return p.in[start:i], i + 1, nil
	}
	buf := []byte(p.in[start:i])
	for i < len(p.in) {
		switch c := p.in[i]; {
		case c == '"':
			return string(buf), i + 1, nil
		case c < 0x20:
			return "", i, p.fail("Invalid control character at", i)
		case c == '\\':
			r, end, err := p.escape(i, open)
			if err != nil {
				return "", end, err
			}
			buf = utf8.AppendRune(buf, r)
			i = end
		default:
			buf = append(buf, c)
			i++
		}
	}
	return "", i, p.fail("Unterminated string starting at", open)
}

// escape reads the escape whose backslash is at i.
func (p *parser) escape(i, open int) (rune, int, *SyntaxError) {
	if i+1 >= len(p.in) {
		return 0, i, p.fail("Unterminated string starting at", open)
	}
	switch p.in[i+1] {
	case '"', '\\', '/':
		return rune(p.in[i+1]), i + 2, nil
	case 'b':
		return '\b', i + 2, nil
	case 'f':
		return '\f', i + 2, nil
	case 'n':
		return '\n', i + 2, nil
	case 'r':
		return '\r', i + 2, nil
	case 't':
		return '\t', i + 2, nil
	case 'u':
		hi, ok := p.hex(i + 2)
		if !ok {
			return 0, i, p.fail("Invalid \\uXXXX escape", i+1)
		}
		if hi >= 0xd800 && hi < 0xdc00 && i+12 <= len(p.in) && p.in[i+6:i+8] == `\u` {
			if lo, ok := p.hex(i + 8); ok && lo >= 0xdc00 && lo < 0xe000 {
				return (hi-0xd800)<<10 | (lo - 0xdc00) + 0x10000, i + 12, nil
			}
		}
		return hi, i + 6, nil
	}
	return 0, i, p.fail("Invalid \\escape", i)
}

func (p *parser) hex(i int) (rune, bool) {
	if i+4 > len(p.in) {
		return 0, false
	}
	n, err := strconv.ParseUint(p.in[i:i+4], 16, 32)
	return rune(n), err == nil
}

func intValue(n int) Value {
	return Value{Kind: Int, Text: strconv.Itoa(n), Float: float64(n)}
}
