package deploy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Decode reads a deployment file. It is strict: an unknown field, a wrong type, a second document are errors with
// file, line and column. A model or GPU that is given as a path is looked up beside the file first.
func Decode(name string, data []byte) (Deployment, error) {
	root, err := parse(name, data)
	if err != nil {
		return Deployment{}, err
	}
	return decode(name, root)
}

// DecodeJSON reads the same fields from one JSON object, as recorded runs keep their deployment.
func DecodeJSON(name string, data []byte) (Deployment, error) {
	if !json.Valid(data) {
		return Deployment{}, fmt.Errorf("%s: not a JSON object", name)
	}
	return Decode(name, data)
}

// parse reads exactly one document.
func parse(name string, data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s:1:1: the file is empty, want at least model and gpu", name)
		}
		return nil, syntax(name, err)
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		return nil, fmt.Errorf("%s:%d:%d: a second document, want one", name, second.Line, second.Column)
	case !errors.Is(err, io.EOF):
		return nil, syntax(name, err)
	}
	return doc.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line ([0-9]+)(?:, column [0-9]+)?: `)

// syntax puts the place of a YAML error in front, as all others have it.
func syntax(name string, err error) error {
	text := err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s:%s:1: not valid YAML: %s", name, m[1], strings.TrimPrefix(text, m[0]))
	}
	return fmt.Errorf("%s: not valid YAML: %w", name, err)
}

// layout is a deployment file before its names are looked up.
type layout struct {
	Model         string   `json:"model"`
	GPU           string   `json:"gpu"`
	Host          string   `json:"host"`
	VLLMVersion   string   `json:"vllm_version"`
	Engine        Engine   `json:"engine"`
	Server        Server   `json:"server"`
	Pipeline      Pipeline `json:"pipeline"`
	MemoryUsedGiB float64  `json:"gpu_memory_used_gib"`
}

func decode(name string, root *yaml.Node) (Deployment, error) {
	var l layout
	if err := fill(name, root, reflect.ValueOf(&l).Elem(), ""); err != nil {
		return Deployment{}, err
	}
	d := Deployment{Host: l.Host, VLLMVersion: l.VLLMVersion, Engine: l.Engine, Server: l.Server, Pipeline: l.Pipeline,
		MemoryHeld: units.Gibibytes(l.MemoryUsedGiB)}
	if l.MemoryUsedGiB < 0 {
		return Deployment{}, located(name, member(root, "gpu_memory_used_gib"), "gpu_memory_used_gib = %g, want ≥ 0", l.MemoryUsedGiB)
	}
	if _, err := ParseVersion(l.VLLMVersion); err != nil && l.VLLMVersion != "" {
		return Deployment{}, located(name, member(root, "vllm_version"), "%v", err)
	}
	var err error
	for _, want := range []struct {
		key, value string
		find       func(string) error
	}{
		{"model", l.Model, func(s string) error { d.Model, err = fixtures.Model(s); return err }},
		{"gpu", l.GPU, func(s string) error { d.GPU, err = fixtures.GPU(s); return err }},
	} {
		if want.value == "" {
			return Deployment{}, located(name, root, "%s is missing", want.key)
		}
		value := want.value
		if strings.HasSuffix(value, ".json") && !filepath.IsAbs(value) {
			if beside := filepath.Join(filepath.Dir(name), value); exists(beside) {
				value = beside
			}
		}
		if err := want.find(value); err != nil {
			return Deployment{}, located(name, member(root, want.key), "%v", err)
		}
	}
	return d, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// member is the value node of a key of a mapping.
func member(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return n
}

func located(name string, n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %s", name, n.Line, n.Column, fmt.Sprintf(format, args...))
}

// fill sets the fields of a struct, matched by their json names, from a mapping.
func fill(name string, n *yaml.Node, into reflect.Value, path string) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return located(name, n, "%s = %s, want fields", cmp.Or(strings.TrimSuffix(path, "."), "the file"), shown(n))
	}
	known := map[string]int{}
	var names []string
	for i := range into.NumField() {
		if key := into.Type().Field(i).Tag.Get("json"); key != "" && key != "-" {
			known[key] = i
			names = append(names, key)
		}
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at, ok := known[key.Value]
		if !ok {
			return located(name, key, "unknown field %q, want one of %s", path+key.Value, strings.Join(names, ", "))
		}
		if seen[key.Value] {
			return located(name, key, "%s%s is given twice", path, key.Value)
		}
		seen[key.Value] = true
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		field := into.Type().Field(at)
		if err := set(name, value, into.Field(at), path+key.Value, field.Tag.Get("min")); err != nil {
			return err
		}
	}
	return nil
}

// set fills one field. A whole number is written as one: 1.5, 1.0 and "1" are refused.
func set(name string, n *yaml.Node, into reflect.Value, path, least string) error {
	tag := n.ShortTag()
	wrong := func(want string) error { return located(name, n, "%s = %s, want %s", path, shown(n), want) }
	switch into.Kind() {
	case reflect.Struct:
		return fill(name, n, into, path+".")
	case reflect.Pointer:
		v := reflect.New(into.Type().Elem())
		into.Set(v)
		return set(name, n, v.Elem(), path, least)
	case reflect.Bool:
		b, err := strconv.ParseBool(n.Value)
		if tag != "!!bool" || err != nil {
			return wrong("true or false")
		}
		into.SetBool(b)
	case reflect.Int, reflect.Int64:
		low, _ := strconv.ParseInt("0"+strings.TrimPrefix(least, "-"), 10, 64)
		if strings.HasPrefix(least, "-") {
			low = -low
		}
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if tag != "!!int" || err != nil || i < low || i > 1<<53 || least == "-1" && i == 0 {
			return wrong(whole(least))
		}
		into.SetInt(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		if tag != "!!int" && tag != "!!float" || err != nil || f != f {
			return wrong("a number")
		}
		into.SetFloat(f)
	case reflect.String:
		if tag != "!!str" && !(strings.HasSuffix(path, "version") && n.Kind == yaml.ScalarNode && tag != "!!null") {
			return wrong("a string")
		}
		into.SetString(n.Value)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return wrong("a list of strings")
		}
		for _, item := range n.Content {
			s := reflect.New(into.Type().Elem()).Elem()
			if err := set(name, item, s, path, ""); err != nil {
				return err
			}
			into.Set(reflect.Append(into, s))
		}
	}
	return nil
}

func whole(least string) string {
	switch least {
	case "":
		return "a whole number ≥ 0"
	case "-1":
		return "a whole number ≥ 1, or -1 for what the memory holds"
	}
	return "a whole number ≥ " + least
}

func shown(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.ShortTag() == "!!str" {
		return strconv.Quote(n.Value)
	}
	if n.Value == "" {
		return "nothing"
	}
	return n.Value
}
