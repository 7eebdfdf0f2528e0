package pydantic

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Problem is one entry of pydantic's list of validation errors.
type Problem struct {
	Type, Loc, Msg string
	Input          string // as vLLM prints it: containers by their size
	Ctx            string // a Python dictionary as printed, "" if none
}

// String prints the problem as Python prints the dictionary, cut where vLLM cuts it.
func (p Problem) String() string {
	s := "{'type': " + Repr(p.Type) + ", 'loc': " + Repr(p.Loc) + ", 'msg': " + Repr(p.Msg) + ", 'input': " + Repr(p.Input)
	if p.Ctx != "" {
		s += ", 'ctx': " + p.Ctx
	}
	return cut(s+"}", 1000)
}

// cut bounds a text as vLLM does.
func cut(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit]) + "...[truncated]"
}

// Summary is how vLLM reports a list of problems: the message and the parameter it names. Loc-less lines (a wrong
// content type) are given as a problem with a Msg alone.
func Summary(problems []Problem) (message, param string) {
	const reported = 10
	label := "errors"
	if len(problems) == 1 {
		label = "error"
	}
	var b strings.Builder
	b.WriteString(strconv.Itoa(len(problems)) + " validation " + label + ":")
	for i, p := range problems {
		if i == reported {
			b.WriteString("\n  ...and " + strconv.Itoa(len(problems)-reported) + " more " + label)
			break
		}
		if p.Loc == "" {
			b.WriteString("\n  " + p.Msg)
			continue
		}
		b.WriteString("\n  " + p.String())
	}
	return b.String(), problems[0].Loc
}

// describe is a value as an error's input: what Python's str prints, containers by their size.
func describe(v *Value) string {
	switch v.Kind {
	case Bool:
		if v.Truth {
			return "True"
		}
		return "False"
	case Int:
		return cut(v.Text, 200)
	case Number:
		return Float(v.Float)
	case String:
		return cut(v.Text, 200)
	case List:
		return "<list of " + strconv.Itoa(v.Len()) + " items>"
	case Dict:
		return "<dict of " + strconv.Itoa(v.Len()) + " items>"
	}
	return "None"
}
