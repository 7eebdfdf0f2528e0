// Package golden holds the pictures that suites are held to: one text table a test, one row a case.
//
//	golden.Check(t, table) // fails with the changed rows, old and new beside each other
//
// The file is golden/<suite>/<Test>.txt below the folder of go.mod, where <suite> is the folder of the test. It is
// redrawn by -update, which is registered here and nowhere else:
//
//	go test ./suites/... -update && git diff golden
//
// A picture is not a promise: redrawing it cannot make a broken Want of a suite pass. So that a reviewer can say
// why a row moved, a table holds no time stamp, host or hash, and a number has three significant digits and a unit.
package golden

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "redraw the golden tables instead of comparing with them")

// Table is what one test shows.
type Table struct {
	Notes   []string // printed above the table: what is asked, where the numbers come from
	Columns []string // the first names the case
	Rows    []Row
}

// Row is one case: its name, then what was found, a cell a column.
type Row []string

// Check compares the table with the golden file of the test, or redraws the file under -update.
func Check(t testing.TB, table Table) {
	t.Helper()
	root, name, err := file(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	got, path := table.String(), filepath.Join(root, name)
	if *update {
		if err := write(path, got); err != nil {
			t.Fatalf("golden: %v", err)
		}
		return
	}
	want, err := os.ReadFile(path)
	switch {
	case os.IsNotExist(err):
		t.Errorf("golden: %s does not exist; draw it with: go test -run '^%s$' . -update", name, t.Name())
	case err != nil:
		t.Errorf("golden: %v", err)
	case string(want) != got:
		t.Errorf("golden: %s differs:\n%s\nif the change is meant, redraw it with -update and say why in the commit",
			name, Diff(string(want), got))
	}
}

// file returns where the table of a test is kept: the folder of go.mod, and the name below it.
func file(test string) (root, name string, err error) {
	root, err = os.Getwd()
	if err != nil {
		return "", "", fmt.Errorf("golden: %w", err)
	}
	suite := filepath.Base(root)
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			return root, filepath.Join("golden", suite, strings.ReplaceAll(test, "/", "_")+".txt"), nil
		}
		up := filepath.Dir(root)
		if up == root {
			return "", "", fmt.Errorf("golden: no go.mod above the folder %s", suite)
		}
		root = up
	}
}

func write(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o644)
}
