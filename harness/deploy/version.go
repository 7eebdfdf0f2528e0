package deploy

import (
	"fmt"
	"regexp"
	"strconv"
)

// Newest is the newest vLLM whose rules this program knows; it is the default.
const Newest = "0.33.0"

// Version is a release of vLLM. Later releases compare greater.
type Version struct{ Major, Minor, Patch int }

var release = regexp.MustCompile(`^v?([0-9]+)\.([0-9]+)(?:\.([0-9]+))?(?:[.+-].*)?$`)

// ParseVersion reads "0.17.1", "v0.26.0", "0.8" or a development build such as "0.8.5.dev169+gce17db808".
func ParseVersion(s string) (Version, error) {
	m := release.FindStringSubmatch(s)
	if m == nil {
		return Version{}, fmt.Errorf("vllm_version = %q, want a release such as %q", s, Newest)
	}
	var n [3]int
	for i, digits := range m[1:4] {
		if digits == "" {
			continue
		}
		v, err := strconv.Atoi(digits)
		if err != nil || v > 1e6 {
			return Version{}, fmt.Errorf("vllm_version = %q, want a release such as %q", s, Newest)
		}
		n[i] = v
	}
	return Version{n[0], n[1], n[2]}, nil
}

// AtLeast says whether v is the given release of major version 0 or later.
func (v Version) AtLeast(minor, patch int) bool {
	if v.Major != 0 {
		return v.Major > 0
	}
	return v.Minor > minor || v.Minor == minor && v.Patch >= patch
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Version is the release that d runs; the newest where it says nothing that can be read.
func (d Deployment) Version() Version {
	v, err := ParseVersion(d.VLLMVersion)
	if err != nil {
		v, _ = ParseVersion(Newest)
	}
	return v
}
