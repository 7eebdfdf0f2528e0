package harness_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeIsTrue holds the README against the tree: its example is a test that runs, its targets and packages
// exist, every package is in it, and the commands that it shows work.
func TestReadmeIsTrue(t *testing.T) {
	content, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	readme := string(content)

	own, err := os.ReadFile("suite/own_test.go")
	require.NoError(t, err)
	_, example, _ := strings.Cut(string(own), "func TestMine")
	require.Contains(t, readme, "```go\nfunc TestMine"+example+"```", "the example is harness/suite/own_test.go")
	require.LessOrEqual(t, strings.Count(example, "\n"), 11, "a case of one's own takes ten lines")

	makefile, err := os.ReadFile("../Makefile")
	require.NoError(t, err)
	for _, target := range regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)").FindAllStringSubmatch(readme, -1) {
		require.Regexp(t, `(?m)^`+target[1]+`: ##`, string(makefile), "make %s", target[1])
	}
	for _, row := range mayImport {
		top, _, _ := strings.Cut(row.pkg, "/")
		name := "harness/" + top
		switch top {
		case "harness", "suites":
			continue
		case "fixtures", "golden":
			name = top
		case "cmd":
			name = "harness/cmd/symbiote"
		}
		require.Contains(t, readme, "| `"+name+"` |", "README has a sentence for each package")
	}
	for _, path := range regexp.MustCompile("`((?:suites|harness|fixtures|golden|\\.github)[a-z/_.]*)`").FindAllStringSubmatch(readme, -1) {
		require.FileExists(t, onDisk(path[1]), "README names %s", path[1])
	}
}

// onDisk is a file that exists if and only if the path does: of a folder, its first entry.
func onDisk(path string) string {
	path = filepath.Join("..", path)
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) == 0 {
		return path
	}
	for _, e := range entries {
		if !e.IsDir() {
			return filepath.Join(path, e.Name())
		}
	}
	return onDisk(filepath.Join(strings.TrimPrefix(path, "../"), entries[0].Name()))
}

// TestReadmeCommandsRun runs what the README shows of the command.
func TestReadmeCommandsRun(t *testing.T) {
	content, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	binary := filepath.Join(t.TempDir(), "symbiote")
	out, err := exec.Command("go", "build", "-o", binary, "./cmd/symbiote").CombinedOutput()
	require.NoError(t, err, "%s", out)
	lines := regexp.MustCompile(`(?m)^go run ./harness/cmd/symbiote (.*)$`).FindAllStringSubmatch(string(content), -1)
	require.NotEmpty(t, lines)
	for _, line := range lines {
		out, err := exec.Command(binary, strings.Fields(line[1])...).CombinedOutput()
		require.NoError(t, err, "symbiote %s: %s", line[1], out)
	}
	_, section, _ := strings.Cut(string(content), "\n## The command\n")
	section, _, _ = strings.Cut(section, "\n## ")
	subcommands := regexp.MustCompile("(?m)^\\| `([a-z]+)` \\| ").FindAllStringSubmatch(section, -1)
	require.NotEmpty(t, subcommands)
	for _, sub := range subcommands {
		out, err := exec.Command(binary, sub[1], "-h").CombinedOutput()
		require.NoError(t, err, "symbiote %s -h: %s", sub[1], out)
	}
}
