package golden

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// String draws the table: notes, header, rows; the first column flush left, the others flush right.
func (t Table) String() string {
	var b strings.Builder
	for _, note := range t.Notes {
		b.WriteString("# " + note + "\n")
	}
	lines := [][]string{t.Columns}
	for _, row := range t.Rows {
		lines = append(lines, row)
	}
	draw(&b, "", lines)
	return b.String()
}

// gap parts two columns; no cell contains it, so a drawn table can be read back.
const gap = "  "

func draw(b *strings.Builder, indent string, lines [][]string) {
	var width []int
	for _, line := range lines {
		for i, cell := range line {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(tidy(cell)))
		}
	}
	for _, line := range lines {
		var drawn []string
		for i, cell := range line {
			cell = tidy(cell)
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				drawn = append(drawn, cell+pad)
			} else {
				drawn = append(drawn, pad+cell)
			}
		}
		b.WriteString(strings.TrimRight(indent+strings.Join(drawn, gap), " ") + "\n")
	}
}

// tidy makes a cell readable back: never empty, no line break, no two blanks together.
func tidy(cell string) string {
	cell = strings.Join(strings.Fields(cell), " ")
	if cell == "" {
		return "-"
	}
	return cell
}

var gaps = regexp.MustCompile(` {2,}`)

// parse reads a drawn table back.
func parse(text string) Table {
	var t Table
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		note, isNote := strings.CutPrefix(line, "# ")
		switch {
		case isNote:
			t.Notes = append(t.Notes, note)
		case strings.TrimSpace(line) == "":
		case t.Columns == nil:
			t.Columns = gaps.Split(line, -1)
		default:
			t.Rows = append(t.Rows, gaps.Split(line, -1))
		}
	}
	return t
}

// Diff draws what differs between two drawn tables: a changed row old above new, in the columns that moved; rows
// that only one side has; notes that changed.
func Diff(was, is string) string {
	old, now := parse(was), parse(is)
	var b strings.Builder
	if w, n := strings.Join(old.Notes, "\n# "), strings.Join(now.Notes, "\n# "); w != n {
		b.WriteString("- # " + w + "\n+ # " + n + "\n")
	}
	moved := movedColumns(old, now)
	pick := func(sign string, columns []string, row Row) []string {
		cells := []string{sign + " " + row[0]}
		for _, name := range moved {
			cells = append(cells, cell(columns, row, name))
		}
		return cells
	}
	lines := [][]string{append([]string{"  " + first(now.Columns)}, moved...)}
	for _, row := range old.Rows {
		switch n, ok := find(now, row[0]); {
		case !ok:
			lines = append(lines, pick("-", old.Columns, row))
		case differs(old.Columns, row, now.Columns, n, moved):
			lines = append(lines, pick("-", old.Columns, row), pick("+", now.Columns, n))
		}
	}
	for _, row := range now.Rows {
		if _, ok := find(old, row[0]); !ok {
			lines = append(lines, pick("+", now.Columns, row))
		}
	}
	if len(lines) > 1 {
		draw(&b, "", lines)
	} else if b.Len() == 0 {
		b.WriteString("the order of rows or columns, or the spacing\n")
	}
	return b.String()
}

// movedColumns names the columns in which a row that both sides have differs; all of them where a row is new or gone.
func movedColumns(old, now Table) []string {
	var moved []string
	columns := now.Columns[min(1, len(now.Columns)):]
	for _, name := range old.Columns[min(1, len(old.Columns)):] {
		if index(now.Columns, name) < 0 {
			columns = append(columns[:len(columns):len(columns)], name)
		}
	}
	for _, name := range columns {
		for _, row := range old.Rows {
			n, ok := find(now, row[0])
			if !ok || cell(old.Columns, row, name) != cell(now.Columns, n, name) {
				moved = append(moved, name)
				break
			}
		}
	}
	for _, row := range now.Rows {
		if _, ok := find(old, row[0]); !ok {
			return columns
		}
	}
	return moved
}

func differs(wasColumns []string, was Row, isColumns []string, is Row, moved []string) bool {
	for _, name := range moved {
		if cell(wasColumns, was, name) != cell(isColumns, is, name) {
			return true
		}
	}
	return false
}

func find(t Table, name string) (Row, bool) {
	for _, row := range t.Rows {
		if row[0] == name {
			return row, true
		}
	}
	return nil, false
}

func cell(columns []string, row Row, name string) string {
	if i := index(columns, name); i >= 0 && i < len(row) {
		return row[i]
	}
	return "-"
}

func index(columns []string, name string) int {
	for i, c := range columns {
		if c == name && i > 0 {
			return i
		}
	}
	return -1
}

func first(columns []string) string {
	if len(columns) == 0 {
		return ""
	}
	return columns[0]
}
