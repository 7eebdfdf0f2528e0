package catalog

import (
	"fmt"
	"os"
	"strings"
	"unicode"
)

// Library is a set of models and accelerators that can be asked for by name.
type Library struct {
	Models []Model
	GPUs   []GPU
}

// Model finds a model by id (with or without its owner) or alias, without regard to case, space and punctuation. A name that ends in .json is a
// path to an HF config.json, a folder that holds one works too.
func (l Library) Model(name string) (Model, error) {
	if path, ok := onDisk(name, "config.json"); ok {
		data, err := os.ReadFile(path)
		if err != nil {
			return Model{}, err
		}
		return DecodeModel(path, data)
	}
	ids := make([]string, 0, len(l.Models))
	for _, m := range l.Models {
		if named(name, m.ID, m.Aliases) {
			return m, nil
		}
		ids = append(ids, m.ID)
	}
	return Model{}, fmt.Errorf("model = %q is not known, want a path to an HF config.json or one of: %s", name, strings.Join(ids, ", "))
}

// GPU finds an accelerator by id or alias, or reads it from the path.
func (l Library) GPU(name string) (GPU, error) {
	if path, ok := onDisk(name, "gpu.json"); ok {
		data, err := os.ReadFile(path)
		if err != nil {
			return GPU{}, err
		}
		return DecodeGPU(path, data)
	}
	ids := make([]string, 0, len(l.GPUs))
	for _, g := range l.GPUs {
		if named(name, g.ID, g.Aliases) {
			return g, nil
		}
		ids = append(ids, g.ID)
	}
	return GPU{}, fmt.Errorf("gpu = %q is not known, want a path or one of: %s", name, strings.Join(ids, ", "))
}

// onDisk says whether the name is a file's: it ends in .json, or is a folder that holds the given file.
func onDisk(name, inside string) (string, bool) {
	if strings.HasSuffix(name, ".json") {
		return name, true
	}
	if path := name + "/" + inside; name != "" {
		if _, err := os.Stat(path); err == nil {
			return path, true
		}
	}
	return "", false
}

func named(name, id string, aliases []string) bool {
	key := plain(name)
	if key == "" {
		return false
	}
	if _, short, ok := strings.Cut(id, "/"); key == plain(id) || ok && key == plain(short) {
		return true
	}
	for _, a := range aliases {
		if key == plain(a) {
			return true
		}
	}
	return false
}

// plain keeps letters and digits, in lower case.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}
