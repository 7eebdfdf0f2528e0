package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGateCommand(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
		return path
	}
	const units = "pkg: example.com/suites/demo\nUnit req/s better=higher assume=exact\n"
	old := put("old.txt", units+"BenchmarkDemo/case=a 1 100 req/s\n")
	same := put("same.txt", units+"BenchmarkDemo/case=a 1 100 req/s\n")
	slow := put("slow.txt", units+"BenchmarkDemo/case=a 1 80 req/s\n")
	gone := put("gone.txt", units)
	waivers := put("waivers.yaml", "- {row: 'Demo/* req/s', ceiling_pct: 25, reason: a trial, expires: 2999-01-01}\n")
	typo := put("typo.yaml", "- {row: a, ceiling: 25}\n")
	for _, c := range []struct {
		name     string
		args     []string
		code     int
		out, err string
	}{
		{"the same", []string{old, same}, 0, "no regression · 1 unchanged", ""},
		{"slower", []string{old, slow}, 1, "1 regression", ""},
		{"flags may follow", []string{old, slow, "-waivers", waivers}, 0, "1 waived", ""},
		{"golden redrawn", []string{"-accepted", "demo", old, slow}, 0, "1 accepted", ""},
		{"no rows", []string{old, gone}, 2, "no benchmark results", ""},
		{"filtered away", []string{"-filter", ".name:Other", old, same}, 2, "no benchmark results", ""},
		{"one file", []string{old}, 2, "", "symbiote gate: got 1 files, want OLD and NEW\n"},
		{"no such file", []string{old, filepath.Join(dir, "none")}, 2, "", "symbiote gate: open "},
		{"a field that is not known", []string{"-waivers", typo, old, same}, 2, "", "ceiling"},
		{"a flag that is not known", []string{"-wavers", typo, old, same}, 2, "", "-wavers"},
		{"help", []string{"-h"}, 0, "", "usage: symbiote gate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, c.code, run(append([]string{"gate"}, c.args...), &stdout, &stderr), "%s%s", &stdout, &stderr)
			require.Contains(t, stdout.String(), c.out)
			require.Contains(t, stderr.String(), c.err)
		})
	}

	var stdout, stderr bytes.Buffer
	require.Equal(t, 1, run([]string{"gate", "-json", "-report", filepath.Join(dir, "report"), old, slow}, &stdout, &stderr))
	var doc struct {
		Verdict string
		Code    int `json:"exit_code"`
		Rows    []struct {
			Name, Status string
			Delta        float64 `json:"delta_pct"`
		}
	}
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &doc))
	require.Equal(t, 1, doc.Code)
	require.Equal(t, "regressed", doc.Rows[0].Status)
	require.InDelta(t, -20, doc.Rows[0].Delta, 1e-9)
	for _, name := range []string{"report.md", "report.json", "report.html"} {
		require.FileExists(t, filepath.Join(dir, "report", name))
	}
}
