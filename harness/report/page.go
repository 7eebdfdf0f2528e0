package report

import (
	"fmt"
	"strings"
)

// A page is one document for people, in Markdown and inside index.html.
type page struct {
	File     string // its Markdown file
	Title    string
	For      string // its readers
	Intro    string
	Sections []section
}

// A section holds what is said about one thing. All parts are optional.
type section struct {
	Title   string
	Text    []string
	List    []string
	Table   *table
	Picture *plot
}

// A table is drawn the same in Markdown and HTML, and stands in the JSON documents as it is.
type table struct {
	Title   string     `json:"title"`
	Source  string     `json:"source"` // where the figures come from
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

func (t *table) add(cells ...string) {
	if len(cells) != len(t.Columns) {
		panic(fmt.Sprintf("report: table %q: %d cells for %d columns", t.Title, len(cells), len(t.Columns)))
	}
	for i, c := range cells {
		if c == "" {
			cells[i] = "–"
		}
	}
	t.Rows = append(t.Rows, cells)
}

// empty tables say nothing and are left out.
func (t *table) orNil() *table {
	if t == nil || len(t.Rows) == 0 {
		return nil
	}
	return t
}

// markdown renders a page. Pictures are in index.html; their captions stand here.
func (p page) markdown(f *Facts) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", p.Title)
	fmt.Fprintf(&b, "For %s. Written %s. Pictures: [index.html](index.html). %s\n", p.For, f.Stamp, f.provenance())
	if p.Intro != "" {
		fmt.Fprintf(&b, "\n%s\n", p.Intro)
	}
	for _, s := range p.Sections {
		fmt.Fprintf(&b, "\n## %s\n", s.Title)
		for _, text := range s.Text {
			fmt.Fprintf(&b, "\n%s\n", text)
		}
		for i, item := range s.List {
			if i == 0 {
				b.WriteString("\n")
			}
			fmt.Fprintf(&b, "- %s\n", item)
		}
		if s.Picture != nil {
			fmt.Fprintf(&b, "\n*Picture in index.html: %s. %s*\n", s.Picture.Title, s.Picture.Caption)
		}
		if s.Table != nil {
			s.Table.markdown(&b)
		}
	}
	return b.String()
}

func (t *table) markdown(b *strings.Builder) {
	row := func(cells []string) {
		b.WriteString("|")
		for _, c := range cells {
			b.WriteString(" " + cell(c) + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	row(t.Columns)
	b.WriteString("|" + strings.Repeat("---|", len(t.Columns)) + "\n")
	for _, r := range t.Rows {
		row(r)
	}
	if t.Source != "" {
		fmt.Fprintf(b, "\n%s\n", t.Source)
	}
}

// cell keeps a table well formed whatever a cell holds.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s)
}
