package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Write writes all documents below dir. Everything is rendered before anything is written, and each file appears
// whole or not at all.
func (f *Facts) Write(dir string) error {
	files, err := f.Render()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, file := range files {
		if err := replace(filepath.Join(dir, file.Name), file.Content); err != nil {
			return err
		}
	}
	return nil
}

// File is one rendered document.
type File struct {
	Name    string
	Content []byte
}

// Render renders all documents in memory.
func (f *Facts) Render() ([]File, error) {
	var files []File
	for _, d := range jsonFiles() {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(d.of(f)); err != nil {
			return nil, fmt.Errorf("report: %s: %w", d.name, err)
		}
		files = append(files, File{d.name, b.Bytes()})
	}
	pages := f.pages()
	for _, p := range pages {
		files = append(files, File{p.File, []byte(p.markdown(f))})
	}
	html, err := f.html(pages)
	if err != nil {
		return nil, fmt.Errorf("report: index.html: %w", err)
	}
	return append(files, File{"index.html", html}), nil
}

// replace writes beside the file and renames over it.
func replace(name string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".report-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone after the rename
	_, err = tmp.Write(content)
	if closing := tmp.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Chmod(tmp.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	return err
}
