package harness_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

// step is what a workflow or a composite action does.
type step struct {
	Name, Uses, Run string
	With            map[string]any
}

type workflow struct {
	Permissions map[string]string
	Concurrency any
	Jobs        map[string]struct {
		Permissions map[string]string
		Timeout     int `yaml:"timeout-minutes"`
		Steps       []step
	}
}

// TestWorkflowsAreLocked: actions are pinned by commit with their version beside it, a job has no right that it does
// not name, and what a step runs exists.
func TestWorkflowsAreLocked(t *testing.T) {
	pinned := regexp.MustCompile(`^\s*- uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	makefile, err := os.ReadFile("../Makefile")
	require.NoError(t, err)
	files, err := filepath.Glob("../.github/workflows/*.yml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for i, line := range strings.Split(string(content), "\n") {
			if strings.Contains(line, "uses:") && !pinned.MatchString(line) {
				t.Errorf("%s:%d: got %q, want an action pinned by its commit, with its version beside it", file, i+1, line)
			}
		}
		var w workflow
		require.NoError(t, yaml.Load(content, &w), file)
		require.NotNil(t, w.Permissions, "%s: permissions: {} is missing", file)
		require.Empty(t, w.Permissions, file)
		require.NotNil(t, w.Concurrency, "%s: no concurrency group", file)
		for name, job := range w.Jobs {
			require.NotNil(t, job.Permissions, "%s: job %s names no permissions", file, name)
			require.Positive(t, job.Timeout, "%s: job %s has no timeout-minutes", file, name)
			for _, s := range job.Steps {
				for _, target := range regexp.MustCompile(`(?m)^\s*make ([a-z-]+)`).FindAllStringSubmatch(s.Run, -1) {
					require.Regexp(t, `(?m)^`+target[1]+`: ##`, string(makefile), "%s: make %s", file, target[1])
				}
				require.NotContains(t, s.Run, "${{", "%s: a run step takes values from its env alone", file)
			}
		}
	}
}

// TestTheGateActionRuns runs the composite action's own script as a runner would, on outputs of another repository.
func TestTheGateActionRuns(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("needs bash")
	}
	content, err := os.ReadFile("../.github/actions/gate/action.yml")
	require.NoError(t, err)
	var action struct {
		Runs struct{ Steps []step }
	}
	require.NoError(t, yaml.Load(content, &action))
	require.Len(t, action.Runs.Steps, 1)
	here, err := filepath.Abs("../.github/actions/gate")
	require.NoError(t, err)

	dir := t.TempDir()
	const units = "pkg: example.com/suites/demo\nUnit req/s better=higher assume=exact\n"
	for name, rps := range map[string]string{"old.txt": "100", "same.txt": "100", "slow.txt": "80"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(units+"BenchmarkDemo/case=a 1 "+rps+" req/s\n"), 0o644))
	}
	for _, c := range []struct {
		new, args string
		code      int
		summary   string
	}{
		{"same.txt", "", 0, "no regression"},
		{"slow.txt", "", 1, "1 regression"},
		{"slow.txt", "-accepted\ndemo", 0, "1 accepted"},
		{"none.txt", "", 2, ""},
	} {
		summary := filepath.Join(dir, "summary")
		require.NoError(t, os.WriteFile(summary, nil, 0o644))
		cmd := exec.Command("bash", "-e", "-o", "pipefail", "-c", action.Runs.Steps[0].Run)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "OLD=old.txt", "NEW="+c.new, "REPORT=report", "ARGS="+c.args,
			"GITHUB_ACTION_PATH="+here, "GITHUB_STEP_SUMMARY="+summary, "RUNNER_TEMP="+dir)
		out, _ := cmd.CombinedOutput()
		require.Equal(t, c.code, cmd.ProcessState.ExitCode(), "%s: %s", c.new, out)
		text, err := os.ReadFile(summary)
		require.NoError(t, err)
		require.Contains(t, string(text), c.summary)
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "report")))
	}
}
