package gate_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/gate"
)

var slow = flag.Bool("slow", false, "also measure host times: how many of 12 slowdowns are found, and how many false alarms there are")

// A change replaces one line of one file of the engine, compiled in beside the tree as it is.
type change struct {
	file, old, new string
}

// lastComeFirstServed admits the request that came last.
var lastComeFirstServed = change{
	file: "harness/engine/aggregate.go",
	old:  "func (a *aggregate) add(q Request) { a.queued.push(q, 0) }\n",
	new:  "func (a *aggregate) add(q Request) { a.waiting.pushFront(a.member(q)) }\n",
}

// aFifthSlower computes something useless each time that the engine moves, about a fifth of a case's time in all. It
// counts turns and not time, so that a busy machine does not make it slower still.
var aFifthSlower = change{
	file: "harness/engine/engine.go",
	old:  "func (e *Engine) run(to units.Time, untilAnswer bool) {\n",
	new: "var useless int\n\nfunc (e *Engine) run(to units.Time, untilAnswer bool) {\n" +
		"\tfor i := range 300 {\n\t\tuseless += i\n\t}\n",
}

// build compiles the configuration matrix, with a change or as it is.
func build(t *testing.T, changes ...change) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir := t.TempDir()
	args := []string{"test", "-c", "-o", filepath.Join(dir, "suite.test")}
	replace := map[string]string{}
	for _, c := range changes {
		content, err := os.ReadFile(filepath.Join(root, c.file))
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(content), c.old), "%s no longer holds the line that the self-test changes: %q", c.file, c.old)
		text := strings.Replace(string(content), c.old, c.new, 1)
		patched := filepath.Join(dir, filepath.Base(c.file))
		require.NoError(t, os.WriteFile(patched, []byte(text), 0o644))
		replace[filepath.Join(root, c.file)] = patched
	}
	if len(replace) > 0 {
		overlay, err := json.Marshal(map[string]any{"Replace": replace})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o644))
		args = append(args, "-overlay", filepath.Join(dir, "overlay.json"))
	}
	cmd := exec.Command("go", append(args, "./suites/configmatrix")...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return filepath.Join(dir, "suite.test")
}

// bench runs benchmarks of a compiled suite; events is the folder of its event logs, or empty.
func bench(t *testing.T, binary, cases string, times int, events string) string {
	t.Helper()
	cmd := exec.Command(binary, "-test.run=^$", "-test.bench="+cases, "-test.benchtime="+strconv.Itoa(times)+"x", "-events="+events)
	cmd.Dir = "../../suites/configmatrix"
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func judge(t *testing.T, old, new string) gate.Report {
	t.Helper()
	a, err := gate.Read(strings.NewReader(old), "old", "*")
	require.NoError(t, err)
	b, err := gate.Read(strings.NewReader(new), "new", "*")
	require.NoError(t, err)
	return gate.Compare(a, b, gate.Options{Today: time.Unix(0, 0)})
}

const quick = "ConfigMatrix/(baseline|large)"

func TestTheSameCodeIsGreen(t *testing.T) {
	binary := build(t)
	first := bench(t, binary, quick, 1, "")
	for range 10 {
		r := judge(t, first, bench(t, binary, quick, 1, ""))
		require.Equal(t, 0, r.Code(), r.Verdict())
		require.Positive(t, r.Count(gate.Same))
	}
}

// TestAnotherAdmissionOrderIsRedAndNamed changes one line of the scheduler: the gate must say where the two parted.
func TestAnotherAdmissionOrderIsRedAndNamed(t *testing.T) {
	oldEvents, newEvents := t.TempDir(), t.TempDir()
	old := bench(t, build(t), quick, 1, oldEvents)
	new := bench(t, build(t, lastComeFirstServed), quick, 1, newEvents)
	r := judge(t, old, new)
	require.Equal(t, 1, r.Code(), r.Verdict())
	r.Explain(os.DirFS(oldEvents), os.DirFS(newEvents))
	var text bytes.Buffer
	require.NoError(t, r.Text(&text))
	require.NotEmpty(t, r.Causes)
	for _, c := range r.Causes {
		require.Empty(t, c.Unknown)
		require.Empty(t, c.Inputs, "nothing but the code changed")
		require.NotNil(t, c.First)
		was, is := strings.Fields(c.First.Old), strings.Fields(c.First.New)
		require.Equal(t, was[0], is[0], "they part at one instant: %s", &text)
		require.Equal(t, "admitted", was[3], c.First.Old)
		require.Equal(t, "admitted", is[3], c.First.New)
		first, err := strconv.Atoi(was[2])
		require.NoError(t, err)
		last, err := strconv.Atoi(is[2])
		require.NoError(t, err)
		require.Greater(t, last, first, "the one that came last is admitted instead: %s", &text)
	}
}

// TestASlowerSimulatorIsFound is a trial of the rule for host times: 12 rounds with a slowdown, 12 without, each ten
// interleaved pairs of runs.
func TestASlowerSimulatorIsFound(t *testing.T) {
	if !*slow {
		t.Skip("takes a minute; run it with -slow")
	}
	base, slower := build(t), build(t, aFifthSlower)
	const cases = "ConfigMatrix/stress_0.5b_512_8"
	found, false_ := 0, 0
	for i := range 12 {
		hit, control := pairs(t, base, slower, cases, 5), pairs(t, base, base, cases, 5)
		if hit.Code() == 1 {
			found++
		}
		if control.Code() != 0 {
			false_++
		}
		t.Logf("round %d: slower: %s %s; control: %s %s", i+1, hit.Verdict(), hostTime(hit), control.Verdict(), hostTime(control))
	}
	require.GreaterOrEqual(t, found, 11, "of 12 slowdowns found")
	require.Zero(t, false_, "false alarms of 12")
}

// TestTheSameCodeRaisesNoAlarm compares this code's host times with themselves 200 times: 20 rounds of ten interleaved
// pairs, five cases, two clocks.
func TestTheSameCodeRaisesNoAlarm(t *testing.T) {
	if !*slow {
		t.Skip("takes minutes; run it with -slow")
	}
	binary := build(t)
	red, unmeasurable, compared := 0, 0, 0
	for i := range 20 {
		r := pairs(t, binary, binary, quick, 30)
		for _, row := range r.Rows {
			if row.Class != gate.Time {
				continue
			}
			compared++
			switch row.Status {
			case gate.Regressed:
				red++
				t.Logf("round %d: false alarm: %s %+.1f%%", i+1, row.Key, row.Delta)
			case gate.Unmeasurable:
				unmeasurable++
			}
		}
	}
	t.Logf("%d comparisons: %d false alarms, %d said to be unmeasurable", compared, red, unmeasurable)
	require.GreaterOrEqual(t, compared, 200)
	require.LessOrEqual(t, red, 1)
}

// pairs runs two binaries ten times each, old new, new old, …, and judges them.
func pairs(t *testing.T, a, b, cases string, times int) gate.Report {
	t.Helper()
	var old, new strings.Builder
	for i := range 10 {
		if i%2 == 0 {
			old.WriteString(bench(t, a, cases, times, ""))
			new.WriteString(bench(t, b, cases, times, ""))
		} else {
			new.WriteString(bench(t, b, cases, times, ""))
			old.WriteString(bench(t, a, cases, times, ""))
		}
	}
	return judge(t, old.String(), new.String())
}

// hostTime says how the time of a report's one benchmark moved.
func hostTime(r gate.Report) string {
	for _, row := range r.Rows {
		if row.Unit == "cpu-sec/op" {
			return strconv.FormatFloat(row.Delta, 'f', 1, 64) + "% " + row.Why
		}
	}
	return "no time"
}
