package report

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const minimal = `{"schema": 1, "suite": "oom", "test": "T", "backend": "sim", "columns": ["x"], "rows": [{"case": "a", "cells": {"x": "1"}}]}`

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return dir
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		says  string
	}{
		"empty":     {map[string]string{"notes.txt": "x"}, "holds no results; write some with: go test ./suites/... -results DIR"},
		"foreign":   {map[string]string{"oom/T.json": minimal, "package.json": `{"name": "x"}`}, "package.json: is neither a suite's results nor a backtest"},
		"truncated": {map[string]string{"oom/T.json": minimal[:80]}, "oom/T.json:1:81: the file ends inside the document; it was cut short"},
		"NaN":       {map[string]string{"oom/T.json": "{\n \"suite\": NaN}"}, "oom/T.json:2:"},
		"infinite":  {map[string]string{"oom/T.json": `{"schema": 1, "suite": "oom", "test": "T", "backend": "sim", "rows": [{"case": "a", "cells": {}, "metrics": {"m": 1e999}}]}`}, "number 1e999, want float64"},
		"newer":     {map[string]string{"oom/T.json": `{"schema": 2, "suite": "oom"}`}, "schema = 2, want at most 1; a newer symbiote wrote it"},
		"older":     {map[string]string{"oom/T.json": `{"suite": "oom"}`}, "schema is missing, want 1"},
		"nameless":  {map[string]string{"oom/T.json": `{"schema": 1, "suite": "oom"}`}, "suite, test and backend must not be empty"},
		"rowless":   {map[string]string{"oom/T.json": `{"schema": 1, "suite": "oom", "test": "T", "backend": "sim", "rows": []}`}, "rows is empty"},
		"no cells":  {map[string]string{"oom/T.json": `{"schema": 1, "suite": "oom", "test": "T", "backend": "sim", "rows": [{"case": "a"}]}`}, "rows[0]: a has no cells"},
		"twin rows": {map[string]string{"oom/T.json": `{"schema": 1, "suite": "oom", "test": "T", "backend": "sim", "rows": [{"case": "a", "cells": {}}, {"case": "a", "cells": {}}]}`}, `rows[1]: case "a"`},
		"type":      {map[string]string{"oom/T.json": "{\"schema\": 1,\n\"suite\": 5}"}, "oom/T.json:2:11: suite is number, want string"},
		"twice":     {map[string]string{"a/T.json": minimal, "b/T.json": minimal}, "holds oom/T of backend sim twice"},
		"trailing":  {map[string]string{"oom/T.json": minimal + "{}"}, "something follows the document"},
	} {
		_, err := Read(folder(t, c.files))
		require.ErrorContains(t, err, c.says, name)
	}
	_, err := Read(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestReadSortsByPhase(t *testing.T) {
	storage := `{"schema": 1, "suite": "storage", "test": "T", "backend": "sim", "columns": [], "rows": [{"case": "a", "cells": {}}]}`
	r, err := Read(folder(t, map[string]string{"a.json": storage, "b.json": minimal,
		"backtest/serving.json": `{"cases": 2, "metrics": {"ttft_mean": {"n": 2, "mean_abs_pct": 5}}, "per_case": []}`,
		"backtest/memory.json":  `{"cases": 3, "kv_abs_error_gib": {"mean": 0.1}, "verdicts_right": 3}`}))
	require.NoError(t, err)
	require.Equal(t, "oom", r.Tests[0].Suite)
	require.Equal(t, 5.0, r.Serving.Metrics["ttft_mean"].Mean)
	require.Equal(t, 3, r.Memory.Right)
}

// TestNothingIsHalfWritten: a fact that cannot be rendered leaves the folder as it was, and no stray file stays.
func TestNothingIsHalfWritten(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, gathered(t, sample(t, "sim")).Write(dir))
	before, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, before, 15)
	content, err := os.ReadFile(filepath.Join(dir, "FINAL_TEST_REPORT.json"))
	require.NoError(t, err)
	require.True(t, json.Valid(content))

	bad := gathered(t, sample(t, "sim"))
	bad.Serving.Metrics["ttft_mean"] = MetricErrors{N: 1, Mean: math.NaN()}
	bad.Stamp = "later"
	require.ErrorContains(t, bad.Write(dir), "FINAL_TEST_REPORT.json: json: unsupported value: NaN")
	after, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, after, 15)
	again, err := os.ReadFile(filepath.Join(dir, "symbiote_test_report.json"))
	require.NoError(t, err)
	require.NotContains(t, string(again), "later")
}

func TestFigures(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 1e-9: "0", 0.0123: "0.0123", 1: "1.00", 99.36: "99.4", 123.4: "123", 1234: "1,230", 16441988: "16,400,000", -3.386: "-3.39"} {
		require.Equal(t, want, figure(x))
	}
	require.Equal(t, "16,441,988", count(16441988))
	for s, want := range map[float64]string{0.0123: "12.3 ms", 59: "59.0 s", 599: "599 s", 600: "10.0 min", 7200: "2.00 h"} {
		require.Equal(t, want, seconds(s))
	}
}
