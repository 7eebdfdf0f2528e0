package catalog

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// storage is what a checkpoint's name ends with to say how its weights are stored.
var storage = regexp.MustCompile(`(?i)^(.+?)((?:[-_ .]+(?:\([^)]*\)|awq|gptq|gptqmodel|autoround|fp8|fp4|nvfp4|mxfp4|bnb|int[48]|[48]-?bit|w[48]a(?:8|16)|quantized|dynamic|static|block|marlin|g128|128g))+)$`)

// storedAs separates a model's name from how it is stored: "-AWQ", "-GPTQ-Int8", "-FP8-dynamic", "-quantized.w4a16",
// "-bnb-4bit", " (FP8)". nil where the name says nothing of it.
func storedAs(name string) (base string, q *Quantization) {
	m := storage.FindStringSubmatch(name)
	if m == nil {
		return name, nil
	}
	says := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(strings.ToLower(m[2]), w) {
				return true
			}
		}
		return false
	}
	method := ""
	switch eight := says("int8", "8bit", "8-bit"); {
	case says("awq"):
		method = "awq"
	case says("gptq", "autoround") && eight, says("w8a16"):
		method = "gptq-int8"
	case says("gptq", "autoround", "w4a16"):
		method = "gptq-int4"
	case says("mxfp4"):
		method = "mxfp4"
	case says("fp4"):
		method = "nvfp4"
	case says("fp8"):
		method = "fp8"
	case says("w8a8"):
		method = "w8a8"
	case says("bnb"):
		method = "bitsandbytes"
	case says("int4", "4bit", "4-bit"):
		method = "awq"
	case eight:
		method = "gptq-int8"
	default:
		return m[1], nil
	}
	stored := Stored(method)
	if method == "bitsandbytes" && says("8bit", "8-bit") {
		stored.Bits, stored.GroupSize = 8, 0
	}
	return m[1], &stored
}

// model finds a name among ids (with or without their owner) and aliases, the name's own owner left out if need be:
// many have repackaged the same weights.
func (l Library) model(name string) (Model, bool) {
	_, short, _ := strings.Cut(name, "/")
	for _, key := range []func(string) string{pointed, plain} { // 1.3B is not 13B, as long as the point is there
		for _, n := range []string{name, short} {
			for _, m := range l.Models {
				if named(key, n, append([]string{m.ID}, m.Aliases...)) {
					return m, true
				}
			}
		}
	}
	return Model{}, false
}

func named(key func(string) string, name string, own []string) bool {
	k := key(name)
	for _, a := range own {
		if _, short, _ := strings.Cut(a, "/"); k != "" && (k == key(a) || k == key(short)) {
			return true
		}
	}
	return false
}

// pointed keeps letters, digits and points, in lower case.
func pointed(s string) string { return keep(s, '.') }

// plain keeps letters and digits, in lower case.
func plain(s string) string { return keep(s, -1) }

func keep(s string, also rune) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == also {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

var (
	maker = regexp.MustCompile(`(?i)\b(nvidia|geforce|tesla|quadro)\b`)
	count = regexp.MustCompile(`(?i)^\s*[0-9]+\s*[x×]\s*|\s*\b[x×]\s*[0-9]+\s*$`)
	size  = regexp.MustCompile(`(?i)\(?\b([0-9]+) ?(?:GB|GiB|G)\b\)?`)
)

// card is what a GPU's name is compared by: without how many there are and who made it.
func card(name string) string {
	return plain(maker.ReplaceAllString(count.ReplaceAllString(name, ""), ""))
}

// gpu finds a card by id, alias or what the driver calls it; a memory size in the name must be the card's.
func (l Library) gpu(name string) (GPU, bool) {
	for _, g := range l.GPUs {
		if key := card(name); key != "" && g.called(key) {
			return g, true
		}
	}
	m := size.FindStringSubmatchIndex(name)
	if m == nil {
		return GPU{}, false
	}
	gb, _ := strconv.Atoi(name[m[2]:m[3]])
	key := card(name[:m[0]] + name[m[1]:])
	for _, g := range l.GPUs {
		if told := units.Bytes(gb) * units.GiB; key != "" && g.called(key) && g.Memory <= told && g.Memory > told*85/100 {
			return g, true
		}
	}
	return GPU{}, false
}

func (g GPU) called(key string) bool {
	for _, own := range append([]string{g.ID, g.Name}, g.Aliases...) {
		if key == card(own) {
			return true
		}
	}
	return false
}
