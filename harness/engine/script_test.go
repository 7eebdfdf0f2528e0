package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/engine/enginetest"
)

// Each paragraph of testdata/*.txt is a story: why, the script, ----, what must happen.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for i, story := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
			t.Run(fmt.Sprintf("%s/%d", strings.TrimSuffix(filepath.Base(file), ".txt"), i+1), func(t *testing.T) {
				script, want, ok := strings.Cut(story, "\n----")
				require.True(t, ok, "no ---- line")
				got, err := enginetest.RunScript(script)
				require.NoError(t, err)
				require.Equal(t, strings.TrimSpace(want), strings.TrimSpace(got), "script:\n%s", script)
			})
		}
	}
}

func FuzzScript(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		for _, story := range strings.Split(string(text), "\n\n") {
			script, _, _ := strings.Cut(story, "\n----")
			f.Add(script)
		}
	}
	f.Fuzz(func(t *testing.T, script string) {
		if len(script) > 2000 {
			t.Skip("too long to be a story")
		}
		_, err := enginetest.RunScript(script)
		require.NotErrorIs(t, err, enginetest.ErrLaw)
	})
}
