package catalog

import (
	"fmt"
	"os"
	"strings"
)

// Library is a set of models and accelerators that can be asked for by name.
type Library struct {
	Models []Model
	GPUs   []GPU
}

// Model finds a model by id (with or without its owner) or alias, without regard to case, space and punctuation. How
// the weights are stored may follow the name, as it does on the hub ("-AWQ", "-FP8-dynamic"). A name that ends in .json
// is a path to an HF config.json, a folder that holds one works too.
func (l Library) Model(name string) (Model, error) {
	if path, ok := onDisk(name, "config.json"); ok {
		data, err := os.ReadFile(path)
		if err != nil {
			return Model{}, err
		}
		return DecodeModel(path, data)
	}
	base, stored := storedAs(name)
	m, whole := l.model(name)
	found := whole
	if !whole {
		m, found = l.model(base)
	}
	if !found {
		ids := make([]string, 0, len(l.Models))
		for _, m := range l.Models {
			ids = append(ids, m.ID)
		}
		return Model{}, fmt.Errorf("model = %q is not known, want a path to an HF config.json or one of: %s", name, strings.Join(ids, ", "))
	}
	if stored != nil && (!whole || m.Quantization == nil) {
		m.Quantization = stored
	}
	return m, nil
}

// GPU finds an accelerator by id, alias or the driver's name for it, or reads it from the path.
func (l Library) GPU(name string) (GPU, error) {
	if path, ok := onDisk(name, "gpu.json"); ok {
		data, err := os.ReadFile(path)
		if err != nil {
			return GPU{}, err
		}
		return DecodeGPU(path, data)
	}
	if g, ok := l.gpu(name); ok {
		return g, nil
	}
	ids := make([]string, 0, len(l.GPUs))
	for _, g := range l.GPUs {
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
