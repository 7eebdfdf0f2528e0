package suite

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/testing-symbiote/symbiote/golden"
)

// Check holds a table that is no Spec's to its golden file, and leaves it in the results folder, so that reports show
// what a search or a plan found as well. The table's first note is what it asks.
func Check(t *testing.T, table golden.Table) {
	t.Helper()
	if err := leaveTable(t.Name(), table); err != nil {
		t.Error(err)
	}
	golden.Check(t, table)
}

func leaveTable(test string, table golden.Table) error {
	if *resultsDir == "" {
		return nil
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	d := Document{Schema: schema, Suite: filepath.Base(here), Test: test, Backend: "sim", Columns: table.Columns[1:]}
	for i, note := range table.Notes {
		if i == 0 {
			d.Asks = note
		} else {
			d.Sources = append(d.Sources, note)
		}
	}
	for _, row := range table.Rows {
		doc := RowDoc{Case: row[0], Want: Kept{Kept: true}, Cells: map[string]string{}, Metrics: map[string]float64{}}
		for j, name := range d.Columns {
			doc.Cells[name] = row[j+1]
		}
		d.Rows = append(d.Rows, doc)
	}
	return d.write(table)
}
