package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAdviceForADeploymentThatHasAPitfall: blocks of one row make every row a task of the stages before the engine.
func TestAdviceForADeploymentThatHasAPitfall(t *testing.T) {
	simulate := func(blocks string, flags string) (int, string, string) {
		file := filepath.Join(t.TempDir(), "d.yaml")
		text := "model: Qwen/Qwen2.5-0.5B-Instruct\ngpu: a100-40gb-sxm\npipeline: {batch_size: 32, concurrency: 4, blocks: " + blocks + "}\n"
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		var stdout, stderr strings.Builder
		code := simulateCommand(append([]string{"-deployment", file}, strings.Fields(flags)...), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	const rows = "-pipeline -advise -requests 640 -prompt-tokens 100 -output-tokens 50"
	code, out, stderr := simulate("640", rows)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, out, "row-seconds that Ray Data could have had in flight: in flight ")
	require.Contains(t, out, "advice: set override_num_blocks to 20 (was 640): one batch a block")
	code, out, stderr = simulate("20", rows)
	require.Equal(t, 0, code, stderr)
	require.NotContains(t, out, "one batch a block")
}
