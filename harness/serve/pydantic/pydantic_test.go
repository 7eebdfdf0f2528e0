package pydantic_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	p "github.com/testing-symbiote/symbiote/harness/serve/pydantic"
)

// Messages and positions are those of Python 3.11's json.loads.
func TestSyntaxErrors(t *testing.T) {
	for in, want := range map[string]string{
		``:             "Expecting value: line 1 column 1 (char 0)",
		`{`:            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
		`{"a"`:         "Expecting ':' delimiter: line 1 column 5 (char 4)",
		`{"a":`:        "Expecting value: line 1 column 6 (char 5)",
		`{"a":1`:       "Expecting ',' delimiter: line 1 column 7 (char 6)",
		`{"a":1,}`:     "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)",
		`[1,]`:         "Expecting value: line 1 column 4 (char 3)",
		`[1 2]`:        "Expecting ',' delimiter: line 1 column 4 (char 3)",
		`{"ä":1} x`:    "Extra data: line 1 column 9 (char 8)",
		"[\n\n  nope]": "Expecting value: line 3 column 3 (char 5)",
		`"abc`:         "Unterminated string starting at: line 1 column 1 (char 0)",
		"\"a\x01\"":    "Invalid control character at: line 1 column 3 (char 2)",
		`"\x"`:         `Invalid \escape: line 1 column 2 (char 1)`,
		`"\u12"`:       `Invalid \uXXXX escape: line 1 column 3 (char 2)`,
		`-`:            "Expecting value: line 1 column 1 (char 0)",
		`01`:           "Extra data: line 1 column 2 (char 1)",
		`1.`:           "Extra data: line 1 column 2 (char 1)",
	} {
		_, err := p.Parse(in)
		require.NotNil(t, err, in)
		require.Equal(t, want, err.Place(in), in)
	}
}

func TestValues(t *testing.T) {
	v, err := p.Parse(` {"a": [1, 2, 3], "b": "x\n\u00e9\ud83d\ude00", "c": -1.5e3, "d": true, "a": null, "e": [1, -2], "f": Infinity} `)
	require.Nil(t, err)
	require.Equal(t, []string{"a", "b", "c", "d", "e", "f"}, v.Keys)
	require.True(t, v.Get("a").IsNull())
	require.Equal(t, "x\né😀", v.Get("b").Text)
	require.Equal(t, -1500.0, v.Get("c").Number())
	require.True(t, v.Get("d").Boolean())
	require.Equal(t, 2, v.Get("e").Len())
	item := v.Get("e").At(1)
	require.Equal(t, -2, item.Integer())
	require.True(t, v.Get("none").IsNull())
}

func TestPrinting(t *testing.T) {
	for s, want := range map[string]string{
		"x": `'x'`, "it's": `"it's"`, `'"`: `'\'"'`, "a\n\t\\": `'a\n\t\\'`, "\x00\x7f": `'\x00\x7f'`, "é": `'é'`, "\u200b": `'\u200b'`,
	} {
		require.Equal(t, want, p.Repr(s))
	}
	for f, want := range map[float64]string{3: "3.0", 2.5: "2.5", 1e-5: "1e-05", 1e16: "1e+16", 123456789: "123456789.0", 0: "0.0", -7.62460994720459: "-7.62460994720459"} {
		require.Equal(t, want, p.Float(f))
	}
	require.Equal(t, `"a\"\\\n\u0001é"`, string(p.AppendString(nil, "a\"\\\n\x01é", false)))
	require.Equal(t, `"\u00e9\ud83d\ude00"`, string(p.AppendString(nil, "é😀", true)))
}

func TestRules(t *testing.T) {
	m := p.Model{
		{Name: "n", Rule: p.Integer().Min("0").Max("9").Opt()},
		{Name: "f", Rule: p.FloatRule()},
		{Name: "b", Rule: p.Boolean()},
		{Name: "s", Rule: p.Text().Length(1, 3)},
		{Name: "l", Rule: p.AnyOf(p.Text(), p.ListOf(p.Text()).AtMost(1))},
		{Name: "side", Rule: p.Literal("left", "right")},
		{Name: "must", Rule: p.Text(), Required: true},
	}
	for _, c := range []struct{ in, want string }{
		{`{"must":"x","n":"7","f":true,"b":"yes","s":"abc","l":["x"],"side":"left"}`, ""},
		{`{"must":"x","n":null}`, ""},
		{`5`, "1 validation error:\n  {'type': 'model_attributes_type', 'loc': 'body', 'msg': 'Input should be a valid dictionary or object to extract fields from', 'input': '5'}"},
		{`{}`, "1 validation error:\n  {'type': 'missing', 'loc': 'body.must', 'msg': 'Field required', 'input': '<dict of 0 items>'}"},
		{`{"must":"x","n":10,"f":"y"}`, "2 validation errors:\n" +
			"  {'type': 'less_than_equal', 'loc': 'body.n', 'msg': 'Input should be less than or equal to 9', 'input': '10', 'ctx': {'le': 9}}\n" +
			"  {'type': 'float_parsing', 'loc': 'body.f', 'msg': 'Input should be a valid number, unable to parse string as a number', 'input': 'y'}"},
		{`{"must":"x","b":2}`, "1 validation error:\n  {'type': 'bool_parsing', 'loc': 'body.b', 'msg': 'Input should be a valid boolean, unable to interpret input', 'input': '2'}"},
		{`{"must":"x","s":""}`, "1 validation error:\n  {'type': 'string_too_short', 'loc': 'body.s', 'msg': 'String should have at least 1 character', 'input': '', 'ctx': {'min_length': 1}}"},
		{`{"must":"x","side":"up"}`, "1 validation error:\n  {'type': 'literal_error', 'loc': 'body.side', 'msg': \"Input should be 'left' or 'right'\", 'input': 'up', 'ctx': {'expected': \"'left' or 'right'\"}}"},
		{`{"must":"x","l":["a","b"]}`, "2 validation errors:\n" +
			"  {'type': 'string_type', 'loc': 'body.l', 'msg': 'Input should be a valid string', 'input': '<list of 2 items>'}\n" +
			"  {'type': 'too_long', 'loc': 'body.l', 'msg': 'List should have at most 1 item after validation, not 2', 'input': '<list of 2 items>', 'ctx': {'field_type': 'List', 'max_length': 1, 'actual_length': 2}}"},
	} {
		v, err := p.Parse(c.in)
		require.Nil(t, err)
		problems := m.Check(&v)
		if c.want == "" {
			require.Empty(t, problems, c.in)
			continue
		}
		message, _ := p.Summary(problems)
		require.Equal(t, c.want, message, c.in)
	}
}

// What Go's reader takes is taken, with the same strings and numbers.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x",null,true]}`, `"\ud800"`, `[[[]]]`, `{"a":{"a":{"a":1}}}`, `-0`, `1e5`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := p.Parse(s)
		var want any
		if json.Unmarshal([]byte(s), &want) != nil {
			return
		}
		require.Nil(t, err, s)
		if text, ok := want.(string); ok {
			require.Equal(t, len([]rune(text)), len([]rune(v.Text)))
		}
	})
}
