package pydantic

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Rule is the type of a field: what is accepted, and in which words the rest is refused.
type Rule struct {
	kind           ruleKind
	Nullable       bool
	min, max       string // of an integer, as printed; "" = no bound
	minLen, maxLen int    // of a string; 0 = no bound
	options        []string
	item           *Rule
	fields         []Field
	maxItems       int
	any            []Rule
	tag            string // of a typed dictionary: the name that its errors' places carry
}

type ruleKind uint8

const (
	anything ruleKind = iota
	text
	integer
	float
	boolean
	list
	dict  // of string to item, anything if item is nil
	model // of fields
	literal
	union
	typed    // a dictionary of fields, told apart by its tag
	iterable // a list or a dictionary, its elements unread
	dataclass
)

// A Field of a Model.
type Field struct {
	Name     string
	Rule     Rule
	Required bool
}

// A Model is a request body's fields in the order in which pydantic checks them.
type Model []Field

// The types of fields. Opt makes one nullable.
func Text() Rule            { return Rule{kind: text} }
func Integer() Rule         { return Rule{kind: integer} }
func FloatRule() Rule       { return Rule{kind: float} }
func Boolean() Rule         { return Rule{kind: boolean} }
func ListOf(item Rule) Rule { return Rule{kind: list, item: &item} }
func DictOf(item Rule) Rule { return Rule{kind: dict, item: &item} }
func Typed(tag string, fields ...Field) Rule {
	return Rule{kind: typed, tag: tag, fields: fields}
}
func AnyDict() Rule                  { return Rule{kind: dict} }
func Object(fields ...Field) Rule    { return Rule{kind: model, fields: fields} }
func Literal(options ...string) Rule { return Rule{kind: literal, options: options} }
func AnyOf(rules ...Rule) Rule       { return Rule{kind: union, any: rules} }
func Iterable() Rule                 { return Rule{kind: iterable} }
func Dataclass(name string) Rule     { return Rule{kind: dataclass, tag: name} }
func (r Rule) Opt() Rule             { r.Nullable = true; return r }
func (r Rule) Named(tag string) Rule { r.tag = tag; return r }
func (r Rule) Min(n string) Rule     { r.min = n; return r }
func (r Rule) Max(n string) Rule     { r.max = n; return r }
func (r Rule) AtMost(n int) Rule     { r.maxItems = n; return r }
func (r Rule) Length(a, b int) Rule  { r.minLen, r.maxLen = a, b; return r }

// Check lists what pydantic refuses in a body.
func (m Model) Check(body *Value) []Problem {
	if body.Kind != Dict {
		return []Problem{problem("model_attributes_type", "body",
			"Input should be a valid dictionary or object to extract fields from", body)}
	}
	return checkFields(m, "body", body)
}

func checkFields(fields []Field, loc string, body *Value) []Problem {
	var all []Problem
	for i := range fields {
		f := &fields[i]
		v := body.Get(f.Name)
		switch {
		case v != &absent:
			all = append(all, f.Rule.check(loc+"."+f.Name, v)...)
		case f.Required:
			all = append(all, problem("missing", loc+"."+f.Name, "Field required", body))
		}
	}
	return all
}

func problem(kind, loc, msg string, v *Value) Problem {
	return Problem{Type: kind, Loc: loc, Msg: msg, Input: describe(v)}
}

func (r *Rule) check(loc string, v *Value) []Problem {
	if r.Nullable && v.Kind == Null {
		return nil
	}
	switch r.kind {
	case text:
		return r.checkText(loc, v)
	case integer:
		return r.checkInteger(loc, v)
	case float:
		return checkFloat(loc, v)
	case boolean:
		return checkBoolean(loc, v)
	case list:
		return r.checkList(loc, v)
	case dict:
		return r.checkDict(loc, v)
	case model:
		if r.tag != "" {
			loc += "." + r.tag
		}
		if v.Kind != Dict {
			return []Problem{problem("model_attributes_type", loc, "Input should be a valid dictionary or object to extract fields from", v)}
		}
		return checkFields(r.fields, loc, v)
	case literal:
		return r.checkLiteral(loc, v)
	case union:
		return r.checkUnion(loc, v)
	case typed:
		loc += "." + r.tag
		if v.Kind != Dict {
			return []Problem{problem("dict_type", loc, "Input should be a valid dictionary", v)}
		}
		return checkFields(r.fields, loc, v)
	case iterable:
		if v.Kind != List && v.Kind != Dict {
			return []Problem{problem("iterable_type", loc, "Input should be iterable", v)}
		}
	case dataclass:
		if v.Kind != Dict {
			p := problem("dataclass_type", loc, "Input should be a dictionary or an instance of "+r.tag, v)
			p.Ctx = "{'class_name': " + Repr(r.tag) + "}"
			return []Problem{p}
		}
	}
	return nil
}

func (r *Rule) checkText(loc string, v *Value) []Problem {
	if v.Kind != String {
		return []Problem{problem("string_type", loc, "Input should be a valid string", v)}
	}
	n := utf8.RuneCountInString(v.Text)
	if n < r.minLen {
		p := problem("string_too_short", loc, "String should have at least "+count(r.minLen, "character"), v)
		p.Ctx = "{'min_length': " + strconv.Itoa(r.minLen) + "}"
		return []Problem{p}
	}
	if r.maxLen > 0 && n > r.maxLen {
		p := problem("string_too_long", loc, "String should have at most "+count(r.maxLen, "character"), v)
		p.Ctx = "{'max_length': " + strconv.Itoa(r.maxLen) + "}"
		return []Problem{p}
	}
	return nil
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func (r *Rule) checkInteger(loc string, v *Value) []Problem {
	digits := v.Text
	switch v.Kind {
	case Bool:
		return nil
	case Int:
	case Number:
		if math.IsNaN(v.Float) || math.IsInf(v.Float, 0) {
			return []Problem{problem("finite_number", loc, "Input should be a finite number", v)}
		}
		if v.Float != math.Trunc(v.Float) {
			return []Problem{problem("int_from_float", loc, "Input should be a valid integer, got a number with a fractional part", v)}
		}
		if math.Abs(v.Float) >= 1<<63 {
			return []Problem{problem("int_parsing_size", loc, "Unable to parse input string as an integer, exceeded maximum size", v)}
		}
		digits = strconv.FormatFloat(v.Float, 'f', 0, 64)
	case String:
		d, ok := integerText(v.Text)
		if !ok {
			return []Problem{problem("int_parsing", loc, "Input should be a valid integer, unable to parse string as an integer", v)}
		}
		digits = d
	default:
		return []Problem{problem("int_type", loc, "Input should be a valid integer", v)}
	}
	if r.min != "" && compare(digits, r.min) < 0 {
		p := problem("greater_than_equal", loc, "Input should be greater than or equal to "+r.min, v)
		p.Ctx = "{'ge': " + r.min + "}"
		return []Problem{p}
	}
	if r.max != "" && compare(digits, r.max) > 0 {
		p := problem("less_than_equal", loc, "Input should be less than or equal to "+r.max, v)
		p.Ctx = "{'le': " + r.max + "}"
		return []Problem{p}
	}
	return nil
}

// integerText is the integer in a string as pydantic reads it: surrounding space, a sign, "2.0" and "1_000" are fine.
func integerText(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if whole, frac, dotted := strings.Cut(s, "."); dotted && strings.Trim(frac, "0") == "" {
		s = whole
	}
	s = strings.TrimPrefix(s, "+")
	body := strings.TrimPrefix(s, "-")
	if body == "" || body[0] == '_' || body[len(body)-1] == '_' || strings.Contains(body, "__") {
		return "", false
	}
	body = strings.ReplaceAll(body, "_", "")
	for i := range len(body) {
		if body[i] < '0' || body[i] > '9' {
			return "", false
		}
	}
	if s[0] == '-' {
		return "-" + body, true
	}
	return body, true
}

// compare orders two integers by their digits.
func compare(a, b string) int {
	an, bn := strings.HasPrefix(a, "-"), strings.HasPrefix(b, "-")
	a, b = strings.TrimLeft(strings.TrimPrefix(a, "-"), "0"), strings.TrimLeft(strings.TrimPrefix(b, "-"), "0")
	if a == "" {
		an = false
	}
	switch {
	case an && !bn:
		return -1
	case !an && bn:
		return 1
	}
	c := len(a) - len(b)
	if c == 0 {
		c = strings.Compare(a, b)
	}
	if an {
		return -c
	}
	return c
}

func checkFloat(loc string, v *Value) []Problem {
	switch v.Kind {
	case Bool, Int, Number:
		return nil
	case String:
		if _, ok := floatText(v.Text); ok {
			return nil
		}
		return []Problem{problem("float_parsing", loc, "Input should be a valid number, unable to parse string as a number", v)}
	}
	return []Problem{problem("float_type", loc, "Input should be a valid number", v)}
}

func floatText(s string) (float64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return f, err == nil && !strings.ContainsAny(s, "xX")
}

func checkBoolean(loc string, v *Value) []Problem {
	switch v.Kind {
	case Bool:
		return nil
	case Int, Number:
		if v.Float == 0 || v.Float == 1 {
			return nil
		}
		if v.Float != math.Trunc(v.Float) {
			return []Problem{problem("bool_type", loc, "Input should be a valid boolean", v)}
		}
	case String:
		if _, ok := booleanText(v.Text); ok {
			return nil
		}
	default:
		return []Problem{problem("bool_type", loc, "Input should be a valid boolean", v)}
	}
	return []Problem{problem("bool_parsing", loc, "Input should be a valid boolean, unable to interpret input", v)}
}

func booleanText(s string) (truth, ok bool) {
	switch strings.ToLower(s) {
	case "1", "on", "t", "true", "y", "yes":
		return true, true
	case "0", "off", "f", "false", "n", "no":
		return false, true
	}
	return false, false
}

func (r *Rule) checkList(loc string, v *Value) []Problem {
	if v.Kind != List {
		return []Problem{problem("list_type", loc, "Input should be a valid list", v)}
	}
	if r.maxItems > 0 && v.Len() > r.maxItems {
		p := problem("too_long", loc, "List should have at most "+count(r.maxItems, "item")+" after validation, not "+strconv.Itoa(v.Len()), v)
		p.Ctx = "{'field_type': 'List', 'max_length': " + strconv.Itoa(r.maxItems) + ", 'actual_length': " + strconv.Itoa(v.Len()) + "}"
		return []Problem{p}
	}
	if v.Ints != nil && r.item.kind == integer && r.item.max == "" && (r.item.min == "" || r.item.min == "0") {
		return nil
	}
	var all []Problem
	for i := range v.Len() {
		item := v.At(i)
		all = append(all, r.item.check(loc+"."+strconv.Itoa(i), &item)...)
	}
	return all
}

func (r *Rule) checkDict(loc string, v *Value) []Problem {
	if v.Kind != Dict {
		return []Problem{problem("dict_type", loc, "Input should be a valid dictionary", v)}
	}
	var all []Problem
	for i := range v.Items {
		if r.item != nil {
			all = append(all, r.item.check(loc+"."+v.Keys[i], &v.Items[i])...)
		}
	}
	return all
}

func (r *Rule) checkLiteral(loc string, v *Value) []Problem {
	expected := ""
	for i, o := range r.options {
		if v.Kind == String && v.Text == o {
			return nil
		}
		switch {
		case i == 0:
		case i == len(r.options)-1:
			expected += " or "
		default:
			expected += ", "
		}
		expected += "'" + o + "'"
	}
	p := problem("literal_error", loc, "Input should be "+expected, v)
	p.Ctx = "{'expected': " + Repr(expected) + "}"
	return []Problem{p}
}

// checkUnion accepts what any member accepts, else lists what each of them refuses.
func (r *Rule) checkUnion(loc string, v *Value) []Problem {
	var all []Problem
	for i := range r.any {
		ps := r.any[i].check(loc, v)
		if len(ps) == 0 {
			return nil
		}
		all = append(all, ps...)
	}
	return all
}
