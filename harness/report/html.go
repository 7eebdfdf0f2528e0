package report

import (
	"bytes"
	_ "embed"
	"html/template"
	"regexp"
	"strings"
)

//go:embed index.tmpl
var indexTemplate string

// html renders index.html: all pages in one, self-contained.
func (f *Facts) html(pages []page) ([]byte, error) {
	funcs := template.FuncMap{
		"svg":    func(p *plot) template.HTML { return template.HTML(p.SVG) }, // built by plot.go, which escapes its text
		"anchor": anchor,
		"linked": linked,
		"class":  class,
	}
	t, err := template.New("index").Funcs(funcs).Parse(indexTemplate)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, struct {
		*Facts
		Origin origins
		Pages  []page
	}{f, f.provenance(), pages})
	return b.Bytes(), err
}

var notWord = regexp.MustCompile(`[^a-z0-9]+`)

// anchor is the fragment that a heading is reached by.
func anchor(title string) string {
	return strings.Trim(notWord.ReplaceAllString(strings.ToLower(title), "-"), "-")
}

var markdownLink = regexp.MustCompile(`^\[([^\]]+)\]\(([^)]+)\)$`)

// linked turns a cell that is a Markdown link into a link, and escapes all else.
func linked(s string) template.HTML {
	if m := markdownLink.FindStringSubmatch(s); m != nil {
		return template.HTML(`<a href="` + esc(m[2]) + `">` + esc(m[1]) + `</a>`)
	}
	return template.HTML(strings.ReplaceAll(esc(s), "`", ""))
}

var numeric = regexp.MustCompile(`^[≥≤<>~]?\s*[-−]?[\d,.]+(\s?[%×a-zA-Zµ/]+)?$`)

// class sets numbers flush right and marks verdicts, which their text says too.
func class(s string) string {
	switch {
	case numeric.MatchString(s):
		return "n"
	case s == "holds" || strings.HasPrefix(s, "meets"):
		return "yes"
	case s == "arithmetic wrong" || s == "not reproduced" || strings.HasPrefix(s, "misses"):
		return "no"
	}
	return ""
}
