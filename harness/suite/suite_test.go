//go:build !gpu && !ray

package suite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/golden"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

func TestWants(t *testing.T) {
	refused := &failure.Error{Class: failure.NoRoomForKV, Message: "no room"}
	run := &record.Run{Requests: make([]record.Record, 4)}
	all := suite.Result{Run: run, Summary: stats.Summary{Requests: 4, Completed: 4}, Verdict: slo.Verdict{Requests: 4, Met: 3, Share: 0.75}}
	some := all
	some.Summary = stats.Summary{Requests: 4, Completed: 3, Failed: 1, Failures: []stats.Failures{{Class: failure.Rejected, Count: 1}}}
	down := suite.Result{Failure: refused}
	idle := suite.Result{}
	three := func(suite.Result) float64 { return 3 }
	for _, c := range []struct {
		want suite.Want
		of   suite.Result
		but  string // empty = kept
	}{
		{suite.Completes(), all, ""},
		{suite.Completes(), some, "3 of 4 completed: 1 rejected"},
		{suite.Completes(), down, "it does not start: no_room_for_kv: no room"},
		{suite.Completes(), idle, "nothing was played"},
		{suite.Meets(75), all, ""},
		{suite.Meets(76), all, "75.00% of 4 met it"},
		{suite.Meets(0), down, "it does not start"},
		{suite.Meets(0), idle, "no request was sent"},
		{suite.Misses(76), all, ""},
		{suite.Misses(75), all, "75.00% of 4 met it"},
		{suite.Misses(100), down, "it does not start"},
		{suite.Fails(failure.NoRoomForKV), down, ""},
		{suite.Fails(failure.WeightsDoNotFit), down, "it fails with no_room_for_kv"},
		{suite.Fails(failure.NoRoomForKV), all, "it starts"},
		{suite.Starts(), idle, ""},
		{suite.Starts(), down, "it does not: no_room_for_kv"},
		{suite.Keeps("x", three, 3, 4), all, ""},
		{suite.Keeps("x", three, 0, 2), all, "x = 3"},
		{suite.Keeps("x", func(suite.Result) float64 { return math.NaN() }, 0, 2), all, "x = NaN"},
		{suite.Keeps("x", three, 3, 4), down, "it does not start"},
		{suite.All(suite.Completes(), suite.Meets(75)), all, ""},
		{suite.All(suite.Completes(), suite.Meets(76)), some, "3 of 4 completed: 1 rejected\n75.00% of 4 met it"},
	} {
		err := c.want.Check(c.of)
		if c.but == "" {
			require.NoError(t, err, c.want.Says)
			continue
		}
		require.ErrorContains(t, err, c.but, c.want.Says)
	}
}

func TestPromises(t *testing.T) {
	at := func(name string, n int) suite.Result {
		return suite.Result{Case: suite.Case{Name: name}, Summary: stats.Summary{Completed: n}}
	}
	rs := suite.Results{at("a", 1), at("b", 2), at("c", 2)}
	of := func(r suite.Result) float64 { return float64(r.Summary.Completed) }
	require.NoError(t, suite.Rises("n", of, "a", "b", "c").Check(rs))
	require.EqualError(t, suite.Rises("n", of, "b", "a").Check(rs), "n is 2 in b and 1 in a")
	require.NoError(t, suite.Falls("n", of, "b", "a").Check(rs))
	require.EqualError(t, suite.Falls("n", of, "b", "c").Check(rs), "n is 2 in b and 2 in c")
	require.NoError(t, suite.Holds("n", 50, of, "b", "a").Check(rs))
	require.EqualError(t, suite.Holds("n", 49, of, "b", "a").Check(rs), "n is 2 in b and 1 in a")
	require.PanicsWithValue(t, `suite: no case is named "d"`, func() { rs.Of("d") })
}

func one() suite.Case {
	return suite.Case{Name: "one", On: suite.On("Qwen/Qwen2.5-0.5B-Instruct", "l4"), Play: workload.BatchChat(10).At(workload.AllAtOnce{}), Want: suite.Completes()}
}

func TestMeasure(t *testing.T) {
	tooBig := suite.Case{Name: "big", On: suite.On("meta-llama/Llama-3.1-70B-Instruct", "l4"), Play: one().Play}
	planned := suite.Case{Name: "planned", On: one().On}
	spec := suite.Spec{Cases: []suite.Case{one(), tooBig, planned}}
	rs, err := spec.Measure(t.Context())
	require.NoError(t, err)
	require.Equal(t, 10, rs.Of("one").Summary.Completed)
	require.Equal(t, failure.WeightsDoNotFit, rs.Of("big").Failure.Class)
	require.Nil(t, rs.Of("planned").Run)
	require.Positive(t, rs.Of("planned").Plan.NumBlocks)

	rows := spec.Table(rs).Rows
	require.Equal(t, "10", rows[0][1])
	for _, cell := range append(rows[1][1:], rows[2][1:]...) {
		require.Equal(t, "-", cell, "what does not apply is a dash")
	}

	bad := one()
	bad.On.Engine.MaxNumSeqs = -1
	_, err = suite.Spec{Cases: []suite.Case{bad}}.Measure(t.Context())
	require.Error(t, err)
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	long := one()
	long.Play = workload.BatchChat(100_000).At(workload.AllAtOnce{})
	_, err = suite.Spec{Cases: []suite.Case{long}}.Measure(stopped)
	require.ErrorIs(t, err, context.Canceled)
}

func TestATableThatContradictsItselfIsADefect(t *testing.T) {
	for _, cases := range [][]suite.Case{{{Name: ""}}, {{Name: "a b"}}, {one(), one()}} {
		require.Panics(t, func() { _, _ = suite.Spec{Cases: cases}.Measure(t.Context()) })
	}
	require.Panics(t, func() { suite.On("nosuch", "l4") })
	require.Panics(t, func() { suite.On("Qwen/Qwen2.5-0.5B-Instruct", "nosuch") })
}

// TestUtilizationIsPhysical: the arithmetic that a run is credited with can be counted by hand for a single token.
func TestUtilizationIsPhysical(t *testing.T) {
	rs, err := suite.Spec{Cases: []suite.Case{one()}}.Measure(t.Context())
	require.NoError(t, err)
	for _, c := range []suite.Column{suite.MFU(), suite.HBM()} {
		share := c.Of(rs[0])
		require.Greater(t, share, 0.0, c.Name)
		require.LessOrEqual(t, share, 100.0, c.Name)
	}
	require.Positive(t, suite.GPUSeconds().Of(rs[0]))
}

// The child process is this test binary again, so that a suite that should fail can be seen to fail.
func TestChild(t *testing.T) {
	kind := os.Getenv("SYMBIOTE_TEST_CHILD")
	if kind == "" {
		t.Skip("runs only as a child of TestRun")
	}
	t.Chdir(os.Getenv("SYMBIOTE_TEST_DIR"))
	spec := suite.Spec{Asks: "Does it?", Cases: []suite.Case{one()}}
	switch kind {
	case "broken":
		spec.Cases[0].Want = suite.Fails(failure.WeightsDoNotFit)
	case "promise":
		spec.Promises = []suite.Promise{{Says: "the moon is cheese", Check: func(suite.Results) error { return fmt.Errorf("rock") }}}
	case "unmeasurable":
		spec.Cases[0].On = deploy.Deployment{}
	}
	suite.Run(t, spec)
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module demo\n"), 0o644))
	folder := filepath.Join(dir, "suites", "demo")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	picture := filepath.Join(dir, "golden", "demo", "TestChild.txt")
	child := func(kind string, args ...string) (string, bool) {
		cmd := exec.Command(os.Args[0], append([]string{"-test.run=^TestChild$", "-test.v"}, args...)...)
		cmd.Env = append(os.Environ(), "SYMBIOTE_TEST_CHILD="+kind, "SYMBIOTE_TEST_DIR="+folder)
		out, err := cmd.CombinedOutput()
		return string(out), err == nil
	}
	out, ok := child("good")
	require.False(t, ok)
	require.Contains(t, out, "golden/demo/TestChild.txt does not exist; draw it with")

	out, ok = child("broken", "-update")
	require.False(t, ok, "redrawing the table cannot make a broken promise pass")
	require.Contains(t, out, "one: want that it fails with weights_do_not_fit: it starts")
	require.FileExists(t, picture)

	results := filepath.Join(dir, "out")
	out, ok = child("good", "-results="+results)
	require.True(t, ok, out)
	require.Contains(t, out, "=== ATTR  TestChild/one want completes every request")
	var doc suite.Document
	content, err := os.ReadFile(filepath.Join(results, "demo", "TestChild.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &doc))
	require.Contains(t, string(doc.Rows[0].Summary), `"completed": 10`)
	require.True(t, doc.Rows[0].Want.Kept)
	table, err := os.ReadFile(filepath.Join(results, "demo", "TestChild.txt"))
	require.NoError(t, err)
	drawn, err := os.ReadFile(picture)
	require.NoError(t, err)
	require.Equal(t, string(drawn), string(table))

	out, ok = child("promise")
	require.False(t, ok)
	require.Contains(t, out, "promised: the moon is cheese: rock")
	out, ok = child("unmeasurable")
	require.False(t, ok)
	require.Contains(t, out, "one: cannot be measured")

	require.NoError(t, os.WriteFile(picture, []byte(strings.Replace(string(drawn), "10", "11", 1)), 0o644))
	out, ok = child("good")
	require.False(t, ok)
	require.Contains(t, out, "differs:")
}

func BenchmarkMine(b *testing.B) {
	suite.Bench(b, suite.Spec{Cases: []suite.Case{one()}})
}

// TestColumns: each kind prints what its unit needs.
func TestColumns(t *testing.T) {
	rs, err := suite.Spec{Cases: []suite.Case{one()}}.Measure(t.Context())
	require.NoError(t, err)
	var table golden.Table
	require.NotPanics(t, func() {
		table = suite.Spec{Cases: []suite.Case{one()}, Columns: []suite.Column{
			suite.Memory("weights", "", func(r suite.Result) units.Bytes { return r.Plan.Weights }),
			{Name: "words", Text: func(suite.Result) string { return "some words" }},
			{Name: "silence", Text: func(suite.Result) string { return "" }},
			suite.Percentile("nothing", "", func(suite.Result) stats.Dist { return stats.Dist{} }, suite.P99),
			suite.Share("share", "", suite.Higher, func(suite.Result) float64 { return 0.5 }),
		}}.Table(rs)
	})
	require.Regexp(t, `^[0-9.]+GiB$`, table.Rows[0][1])
	require.Equal(t, golden.Row{"some words", "-", "-", "50.0%"}, table.Rows[0][2:])
}
