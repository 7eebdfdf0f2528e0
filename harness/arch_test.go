package harness_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/testing-symbiote/symbiote/"

// mayImport says which of our packages each package may import, test files aside. "harness/" is left out of the
// names; "nouns" stands for the five packages that a backend speaks in, "*" for anything. A new edge is a design
// change: it is made here, in the commit that needs it.
var mayImport = []struct{ pkg, ours string }{
	{"harness", ""},
	{"units", ""},
	{"failure", ""},
	{"engine", "units"},
	{"engine/enginetest", "engine units"},
	{"workload", "units"},
	{"record", "failure units"},
	{"catalog", "units"},
	{"deploy", "catalog failure fixtures units"},
	{"memory", "deploy catalog failure units"},
	{"steptime", "deploy catalog engine fixtures fixtures/calibration units"},
	{"stats", "failure record units"},
	{"slo", "record stats units"},
	{"claims", "record stats units"},
	{"calibrate", "steptime deploy catalog engine fixtures units"},
	{"advise", "deploy stats slo failure units workload"},
	{"report", "advise claims record stats slo deploy failure units"},
	{"gate", "record units"},
	{"backend", "deploy record workload"},
	{"backend/backendtest", "backend nouns"},
	{"backend/sim", "backend engine memory steptime catalog nouns"},
	{"backend/live", "backend vllm nouns"},
	{"backend/ray", "backend vllm nouns"},
	{"serve", "backend/sim deploy engine failure memory steptime units fixtures/tokenizers serve/pydantic serve/uvicorn"},
	{"serve/pydantic", ""},
	{"serve/uvicorn", ""},
	{"serve/hammer", ""},
	{"fixtures/tokenizers", ""},
	{"vllm", "deploy failure units"},
	{"backtest", "backend/sim catalog deploy engine engine/enginetest failure fixtures fixtures/calibration memory serve stats steptime workload record units"},
	{"suite", "*"},
	{"cmd/symbiote", "*"},
	{"fixtures", "catalog workload units"},
	{"fixtures/calibration", ""},
	{"fixtures/traces", "workload"},
	{"golden", ""},
	{"suites/configmatrix", "*"},
	{"suites/burstiness", "*"},
	{"suites/oom", "*"},
	{"suites/kvcache", "*"},
	{"suites/storage", "*"},
	{"suites/chunkedprefill", "*"},
}

const nouns = "deploy failure record units workload"

// mayTouchTheWorld may import net and ask the clock, and so may what lies below it; the rest of the house gets time
// and input as arguments.
var mayTouchTheWorld = []string{"serve", "serve/uvicorn", "serve/hammer", "vllm", "backtest", "backend/live", "backend/ray", "cmd/symbiote"}

// mayImportTesting may import testing outside a test file, as may every package whose name ends in "test".
var mayImportTesting = []string{"suite", "golden"}

// A source is one Go file of the repository.
type source struct {
	path, pkg string // from the repository root; pkg as in mayImport
	test      bool
	lines     int
	file      *ast.File
}

// sources parses every Go file of the repository.
func sources(t *testing.T) (*token.FileSet, []source) {
	t.Helper()
	fset := token.NewFileSet()
	var all []source
	walk(t, func(path string) {
		if !strings.HasSuffix(path, ".go") {
			return
		}
		f, err := parser.ParseFile(fset, filepath.Join("..", path), nil, 0)
		require.NoError(t, err)
		pkg := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "harness/")
		all = append(all, source{path, pkg, strings.HasSuffix(path, "_test.go"), fset.File(f.Pos()).LineCount(), f})
	})
	return fset, all
}

// walk visits the repository's files, testdata and what git ignores left out.
func walk(t *testing.T, visit func(path string)) {
	t.Helper()
	skip := []string{".git", "testdata", "out", "results", ".gl", ".carry"}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains(skip, d.Name()) {
			return filepath.SkipDir
		}
		if d.Type().IsRegular() {
			visit(strings.TrimPrefix(filepath.ToSlash(path), "../"))
		}
		return nil
	})
	require.NoError(t, err)
}

func (s source) imports() []string {
	var paths []string
	for _, spec := range s.file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, path)
	}
	return paths
}

func TestImports(t *testing.T) {
	_, all := sources(t)
	for _, s := range all {
		allowed, known := allowedImports(s.pkg)
		if !known {
			t.Errorf("%s: package %q is not in mayImport (harness/arch_test.go); add the line {%q, \"what it may import\"}", s.path, s.pkg, s.pkg)
			continue
		}
		if s.test {
			continue
		}
		for _, path := range s.imports() {
			short, ours := strings.CutPrefix(path, module)
			short = strings.TrimPrefix(short, "harness/")
			if ours && !slices.Contains(allowed, short) && !slices.Contains(allowed, "*") {
				t.Errorf("%s imports %s; mayImport (harness/arch_test.go) allows %s only %q", s.path, short, s.pkg, allowed)
			}
		}
	}
}

func allowedImports(pkg string) (allowed []string, known bool) {
	for _, row := range mayImport {
		if row.pkg == pkg {
			return strings.Fields(strings.ReplaceAll(row.ours, "nouns", nouns)), true
		}
	}
	return nil, false
}

func TestTheCoreOwnsNoClockAndNoNetwork(t *testing.T) {
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	fset, all := sources(t)
	virtual := map[string]bool{} // packages whose tests run in synctest's virtual time
	for _, s := range all {
		virtual[s.pkg] = virtual[s.pkg] || slices.Contains(s.imports(), "testing/synctest")
	}
	for _, s := range all {
		for _, path := range s.imports() {
			if (path == "net" || strings.HasPrefix(path, "net/")) && path != "net/url" && !s.test && !worldly(s.pkg) {
				t.Errorf("%s imports %s; only %q may", s.path, path, mayTouchTheWorld)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || !isIdent(sel.X, "time") {
				return true
			}
			switch at := fset.Position(n.Pos()); {
			case s.test && sel.Sel.Name == "Sleep" && !virtual[s.pkg]:
				t.Errorf("%s:%d: time.Sleep in a test; use testing/synctest, or hand the time in", s.path, at.Line)
			case !s.test && slices.Contains(clock, sel.Sel.Name) && !worldly(s.pkg) && !strings.HasSuffix(s.pkg, "test"):
				t.Errorf("%s:%d: time.%s; only %q may ask the clock", s.path, at.Line, sel.Sel.Name, mayTouchTheWorld)
			}
			return true
		})
	}
}

func worldly(pkg string) bool {
	return slices.ContainsFunc(mayTouchTheWorld, func(w string) bool { return pkg == w || strings.HasPrefix(pkg, w+"/") })
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

func TestProductCodeDoesNotImportTesting(t *testing.T) {
	_, all := sources(t)
	for _, s := range all {
		if s.test || strings.HasSuffix(s.pkg, "test") || slices.Contains(mayImportTesting, s.pkg) {
			continue
		}
		for _, path := range s.imports() {
			if path == "testing" || strings.HasPrefix(path, "testing/") && path != "testing/fstest" {
				t.Errorf("%s imports %s; only tests, *test packages and %q may", s.path, path, mayImportTesting)
			}
		}
	}
}

// TestNoStateInPackages: a package variable that somebody assigns to is shared state, and an init function is a
// registration; both make the order of imports part of the program.
func TestNoStateInPackages(t *testing.T) {
	fset, all := sources(t)
	globals := map[string]bool{} // "folder.name"
	for _, s := range all {
		for _, decl := range s.file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s:%d: an init function; let the caller say what it wants", s.path, fset.Position(fn.Pos()).Line)
			}
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					globals[s.pkg+"."+name.Name] = true
				}
			}
		}
	}
	for _, s := range all {
		for _, decl := range s.file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			local := localNames(fn)
			assigned := func(e ast.Expr) {
				if id, ok := e.(*ast.Ident); ok && globals[s.pkg+"."+id.Name] && !local[id.Name] {
					t.Errorf("%s:%d: the package variable %s is assigned to", s.path, fset.Position(e.Pos()).Line, id.Name)
				}
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.AssignStmt:
					if n.Tok != token.DEFINE {
						for _, lhs := range n.Lhs {
							assigned(lhs)
						}
					}
				case *ast.IncDecStmt:
					assigned(n.X)
				}
				return true
			})
		}
	}
}

// localNames are the names that a function declares somewhere: parameters, results, variables.
func localNames(fn *ast.FuncDecl) map[string]bool {
	names := map[string]bool{"_": true}
	note := func(exprs ...ast.Expr) {
		for _, e := range exprs {
			if id, ok := e.(*ast.Ident); ok {
				names[id.Name] = true
			}
		}
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, id := range n.Names {
				names[id.Name] = true
			}
		case *ast.ValueSpec:
			for _, id := range n.Names {
				names[id.Name] = true
			}
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				note(n.Lhs...)
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				note(n.Key, n.Value)
			}
		}
		return true
	})
	return names
}

func TestFilesStayReadable(t *testing.T) {
	fset, all := sources(t)
	for _, s := range all {
		limit := 500
		if strings.HasPrefix(s.pkg, "suites/") {
			limit = 150
		}
		if s.lines > limit {
			t.Errorf("%s has %d lines, want at most %d", s.path, s.lines, limit)
		}
		if s.test {
			continue
		}
		for _, decl := range s.file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
				if n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1; n > 100 {
					t.Errorf("%s: func %s has %d lines; beyond 70 it wants to be two", s.path, fn.Name.Name, n)
				}
			}
		}
	}
}

// TestTheTreeIsPortable: the repository speaks of the product, not of the machine it was written on.
func TestTheTreeIsPortable(t *testing.T) {
	forbidden := []struct{ pattern, why string }{
		{`(^|[^.\w])/(` + strings.Join([]string{"work", "farm", "root", "home"}, "|") + `)/\w`, "an absolute path of one machine"},
		{`(^|[^.\w])/` + `tmp/(\w+$|\w+[^\w/]|[^m]\w*/)`, "an absolute path of one machine"}, // the model folder of a recorded server is data
		{`proxy\.go` + `lang|pypi\.o` + `rg|npm` + `js\.`, "a registry's host"},
		{`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`, "something left undone"},
	}
	var rules []*regexp.Regexp
	for _, f := range forbidden {
		rules = append(rules, regexp.MustCompile(f.pattern))
	}
	text := []string{".go", ".md", ".yml", ".yaml", ".sh", ".txt", ".mod", ".tmpl", ".html", ""}
	walk(t, func(path string) {
		if !slices.Contains(text, filepath.Ext(path)) {
			return
		}
		content, err := os.ReadFile(filepath.Join("..", path))
		require.NoError(t, err)
		for i, line := range strings.Split(string(content), "\n") {
			for r, rule := range rules {
				if rule.MatchString(line) {
					t.Errorf("%s:%d: %s: %s", path, i+1, forbidden[r].why, fmt.Sprintf("%.80q", line))
				}
			}
		}
	})
}
