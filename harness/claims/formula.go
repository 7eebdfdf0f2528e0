package claims

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// Figures are what our cases found: the value of a metric for each case of a suite that has it, in the suite's
// order. No cases means that the suite did not run.
type Figures func(suite, metric string) []Figure

// Figure is one case's value.
type Figure struct {
	Case  string
	Value float64
}

// A missing figure is not a wrong formula: the results at hand are without that case.
type missing struct{ what string }

func (m missing) Error() string { return "these results have no " + m.what }

// scope resolves the names in a formula.
type scope struct {
	claims  map[string]Claim
	figures Figures
	open    []string // the claims being evaluated, against circles
	used    []string // what was read, with its value, for the reader
}

// eval computes a formula: numbers, + - * /, parentheses, claims by id (fixes.rate), and of our figures
// ours("suite/case", "metric"), each over the cases of a suite: count, sum, mean, most, least("suite", "metric").
func (s *scope) eval(formula string) (interval, error) {
	e, err := parser.ParseExpr(formula)
	if err != nil {
		return interval{}, fmt.Errorf("formula %q: %v", formula, err)
	}
	return s.node(e)
}

func (s *scope) node(e ast.Expr) (interval, error) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return s.node(e.X)
	case *ast.BasicLit:
		return printed(e.Value, true)
	case *ast.SelectorExpr:
		return s.claim(e)
	case *ast.CallExpr:
		return s.call(e)
	case *ast.BinaryExpr:
		a, err := s.node(e.X)
		if err != nil {
			return a, err
		}
		b, err := s.node(e.Y)
		if err != nil {
			return b, err
		}
		return a.apply(e.Op.String(), b)
	}
	return interval{}, fmt.Errorf("a formula cannot hold a %T", e)
}

func (s *scope) claim(e *ast.SelectorExpr) (interval, error) {
	doc, ok := e.X.(*ast.Ident)
	if !ok {
		return interval{}, fmt.Errorf("a claim's id has one dot")
	}
	id := doc.Name + "." + e.Sel.Name
	c, ok := s.claims[id]
	if !ok {
		return interval{}, fmt.Errorf("no claim %q", id)
	}
	v, err := s.says(c)
	if err == nil {
		s.used = append(s.used, fmt.Sprintf("%s = %s", id, strings.TrimSpace(number(v.middle())+" "+c.Unit)))
	}
	return v, err
}

// says is what the claim asserts: the marked number, or the formula that spells out its word.
func (s *scope) says(c Claim) (interval, error) {
	marked := ""
	if _, after, ok := strings.Cut(c.Quote, "«"); ok {
		marked, _, _ = strings.Cut(after, "»")
	}
	if c.Says == "" {
		return printed(marked, c.Exact)
	}
	for _, id := range s.open {
		if id == c.ID {
			return interval{}, fmt.Errorf("claim %s is defined by itself", c.ID)
		}
	}
	inner := scope{claims: s.claims, figures: s.figures, open: append(s.open, c.ID)}
	if scale, ok := strings.CutPrefix(c.Says, "number *"); ok {
		v, err := printed(marked, c.Exact)
		if err != nil {
			return v, err
		}
		factor, err := inner.eval(scale)
		if err != nil {
			return v, err
		}
		return v.apply("*", factor)
	}
	return inner.eval(c.Says)
}

func (s *scope) call(e *ast.CallExpr) (interval, error) {
	fn, _ := e.Fun.(*ast.Ident)
	var args []string
	for _, a := range e.Args {
		lit, ok := a.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return interval{}, fmt.Errorf("the arguments of a figure are strings")
		}
		text, _ := strconv.Unquote(lit.Value)
		args = append(args, text)
	}
	if fn == nil || len(args) != 2 {
		return interval{}, fmt.Errorf(`want ours("suite/case", "metric") or count, sum, mean, most, least("suite", "metric")`)
	}
	if fn.Name == "lines" {
		return lines(args[0])
	}
	suite, name, _ := strings.Cut(args[0], "/")
	found := s.figures(suite, args[1])
	if fn.Name == "ours" {
		for _, f := range found {
			if f.Case == name {
				s.used = append(s.used, fmt.Sprintf("%s %s = %s", name, args[1], number(f.Value)))
				return point(f.Value), nil
			}
		}
		return interval{}, missing{fmt.Sprintf("case %s with %s", args[0], args[1])}
	}
	if len(found) == 0 {
		return interval{}, missing{fmt.Sprintf("suite %s with %s", suite, args[1])}
	}
	v, err := reduce(fn.Name, found)
	if err == nil {
		s.used = append(s.used, fmt.Sprintf("%s of %s over %d cases = %s", fn.Name, args[1], len(found), number(v)))
	}
	return point(v), err
}

// lines counts the lines of one of the documents.
func lines(name string) (interval, error) {
	for _, d := range Documents() {
		if d.Name == name {
			return point(float64(strings.Count(d.Text, "\n"))), nil
		}
	}
	return interval{}, fmt.Errorf("no document %q", name)
}

func reduce(how string, found []Figure) (float64, error) {
	sum, count, most, least := 0.0, 0.0, found[0].Value, found[0].Value
	for _, f := range found {
		sum += f.Value
		most, least = max(most, f.Value), min(least, f.Value)
		if f.Value != 0 {
			count++
		}
	}
	switch how {
	case "sum":
		return sum, nil
	case "mean":
		return sum / float64(len(found)), nil
	case "count":
		return count, nil
	case "most":
		return most, nil
	case "least":
		return least, nil
	}
	return 0, fmt.Errorf("function %q, want ours, count, sum, mean, most or least", how)
}

// number prints with at most four significant digits, counts in full.
func number(x float64) string {
	if x == float64(int64(x)) {
		return group(strconv.FormatInt(int64(x), 10))
	}
	if x >= 10000 || x <= -10000 {
		return group(strconv.FormatFloat(x, 'f', 0, 64))
	}
	return strconv.FormatFloat(x, 'g', 4, 64)
}

// group sets commas between thousands.
func group(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
