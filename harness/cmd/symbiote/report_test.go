package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReport(t *testing.T) {
	in, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	require.NoError(t, os.WriteFile(filepath.Join(in, "T.json"), []byte(`{"schema": 1, "suite": "oom", "test": "T", "backend": "sim", "columns": ["x"], "rows": [{"case": "oom_at_limit_512", "cells": {"x": "1"}, "want": {"says": "starts", "kept": true}}]}`), 0o644))
	var stdout, stderr bytes.Buffer
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	require.Equal(t, 0, run([]string{"report", "-in", in, "-out", out}, &stdout, &stderr), stderr.String())
	require.Contains(t, stdout.String(), "1 of 1 cases keep their promise (sim); 122 of the 123 are missing")
	page, err := os.ReadFile(filepath.Join(out, "index.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), "2023-11-14T22:13:20Z")

	for _, c := range []struct {
		args []string
		says string
	}{{[]string{"-in", t.TempDir()}, "holds no results"}, {[]string{"x"}, `argument "x", want only flags`}} {
		stderr.Reset()
		require.Equal(t, 2, run(append([]string{"report"}, c.args...), &stdout, &stderr))
		require.Contains(t, stderr.String(), "symbiote report: ")
		require.Contains(t, stderr.String(), c.says)
	}
	stderr.Reset()
	t.Setenv("SOURCE_DATE_EPOCH", "soon")
	require.Equal(t, 2, run([]string{"report", "-in", in, "-out", out}, &stdout, &stderr))
	require.Contains(t, stderr.String(), `SOURCE_DATE_EPOCH = "soon"`)
}
