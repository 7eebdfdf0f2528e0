package gate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

var today = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const head = `goos: linux
goarch: amd64
pkg: example.com/suites/demo
cpu: one kind
Unit req/s better=higher assume=exact
Unit ttft-p99-ns better=lower assume=exact
Unit live-req/s better=higher
`

// virtual is one run of a benchmark with exact rows.
func virtual(rps, ttft float64) string {
	return fmt.Sprintf("BenchmarkDemo/case=a-8 \t 1\t %v req/s\t %v ttft-p99-ns\n", rps, ttft)
}

// timed is n runs of a benchmark that takes about ns, with the given noise in percent.
func timed(seed uint64, n int, ns, noise float64) string {
	rng := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "BenchmarkLoop-8 \t 100\t %.1f ns/op\t 1000 B/op\t 100 allocs/op\n", ns*(1+noise/100*rng.NormFloat64()))
	}
	return b.String()
}

func compare(t *testing.T, old, new string, o Options) Report {
	t.Helper()
	a, err := Read(strings.NewReader(old), "old.txt", "*")
	require.NoError(t, err)
	b, err := Read(strings.NewReader(new), "new.txt", "*")
	require.NoError(t, err)
	if o.Today.IsZero() {
		o.Today = today
	}
	return Compare(a, b, o)
}

func status(t *testing.T, r Report, unit string) Status {
	t.Helper()
	for _, row := range r.Rows {
		if row.Unit == unit {
			return row.Status
		}
	}
	t.Fatalf("no row of unit %s in %+v", unit, r)
	return ""
}

func TestVirtualRows(t *testing.T) {
	base := head + virtual(100, 2e6)
	for _, c := range []struct {
		name   string
		new    string
		o      Options
		code   int
		status Status
	}{
		{"the same", head + virtual(100, 2e6), Options{}, 0, Same},
		{"slower", head + virtual(99.9, 2e6), Options{}, 1, Regressed},
		{"20 % slower", head + virtual(80, 2e6), Options{}, 1, Regressed},
		{"faster, golden as it was", head + virtual(120, 2e6), Options{}, 1, Unexplained},
		{"faster, golden redrawn", head + virtual(120, 2e6), Options{Accepted: []string{"demo"}}, 0, Accepted},
		{"slower, golden redrawn", head + virtual(80, 2e6), Options{Accepted: []string{"demo"}}, 0, Accepted},
		{"slower, another golden redrawn", head + virtual(80, 2e6), Options{Accepted: []string{"other"}}, 1, Regressed},
		{"differs within itself", head + virtual(100, 2e6) + virtual(101, 2e6), Options{}, 1, Unstable},
		{"within a limit of its own", head + virtual(99, 2e6), Options{Thresholds: Thresholds{Rows: []Threshold{{Row: "Demo/* req/s", LimitPct: 2}}}}, 0, Same},
		{"waived", head + virtual(90, 2e6), Options{Waivers: []Waiver{{"Demo/case=a req/s", 12, "a reason", "2026-06-01"}}}, 0, Waived},
		{"above the waiver", head + virtual(80, 2e6), Options{Waivers: []Waiver{{"Demo/case=a req/s", 12, "a reason", "2026-06-01"}}}, 1, Regressed},
		{"the waiver expired", head + virtual(90, 2e6), Options{Waivers: []Waiver{{"Demo/case=a req/s", 12, "a reason", "2026-05-31"}}}, 1, Regressed},
		{"the waiver expired and nobody needs it", head + virtual(100, 2e6), Options{Waivers: []Waiver{{"Demo/case=a req/s", 12, "a reason", "2026-05-31"}}}, 1, Same},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := compare(t, base, c.new, c.o)
			require.Empty(t, r.Refusals)
			require.Equal(t, c.status, status(t, r, "req/s"))
			require.Equal(t, c.code, r.Code())
		})
	}
}

func TestRefusals(t *testing.T) {
	base := head + virtual(100, 2e6)
	for _, c := range []struct{ name, old, new, why string }{
		{"no rows", base, head, "new.txt: no benchmark results"},
		{"a missing row", base + "BenchmarkDemo/case=b-8 1 5 req/s\n", base, "Demo/case=b req/s: in old.txt and not in new.txt"},
		{"a new row", base, base + "BenchmarkDemo/case=b-8 1 5 req/s\n", "Demo/case=b req/s: in new.txt and not in old.txt"},
		{"NaN", base, head + "BenchmarkDemo/case=a-8 1 NaN req/s 2000000 ttft-p99-ns\n", "Demo/case=a req/s is NaN"},
		{"infinite", base, head + "BenchmarkDemo/case=a-8 1 +Inf req/s 2000000 ttft-p99-ns\n", "Demo/case=a req/s is +Inf"},
		{"a failed test", base, base + "--- FAIL: TestDemo (0.00s)\nFAIL\n", "new.txt:9: --- FAIL: TestDemo"},
		{"a skipped suite", base, base + "--- SKIP: BenchmarkOther\n", "new.txt:9: --- SKIP: BenchmarkOther"},
		{"does not build", base, base + "FAIL\texample.com/suites/other [build failed]\n", "[build failed]"},
		{"a torn line", base, base + "BenchmarkDemo/case=b-8 1 5\n", "new.txt:9: missing units"},
		{"no direction", base + "BenchmarkDemo/case=a-8 1 5 mfu-%\n", base + "BenchmarkDemo/case=a-8 1 5 mfu-%\n", "nobody says which direction is better"},
		{"directions that conflict", base, strings.Replace(base, "req/s better=higher", "req/s better=lower", 1), "unit req/s: new.txt declares better=lower"},
		{"a direction that conflicts within a file", base, base + "Unit req/s better=lower\n", "new.txt:9:"},
		{"another seed", "seed: 1\n" + base, "seed: 2\n" + base, `seed: "1" in old.txt, "2" in new.txt`},
		{"another machine", base + timed(1, 10, 1000, 1), strings.Replace(base, "one kind", "another", 1) + timed(2, 10, 1000, 1), "cpu:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := compare(t, c.old, c.new, Options{})
			require.Contains(t, strings.Join(r.Refusals, "\n"), c.why)
			require.Equal(t, 2, r.Code())
		})
	}
}

func TestAnotherMachineDoesNotMatterToExactRows(t *testing.T) {
	base := head + virtual(100, 2e6)
	r := compare(t, base, strings.Replace(base, "one kind", "another", 1), Options{})
	require.Equal(t, 0, r.Code())
	require.Equal(t, []Change{{"cpu", "one kind", "another"}}, r.Inputs)
}

func TestListedRowsMayComeAndGo(t *testing.T) {
	base := head + virtual(100, 2e6)
	more := base + "BenchmarkDemo/case=b-8 1 5 req/s\n"
	listed := Options{Thresholds: Thresholds{New: []string{"Demo/case=b *"}, Gone: []string{"Demo/case=b *"}}}
	for _, o := range []Options{listed, {Accepted: []string{"demo"}}} {
		require.Equal(t, 0, compare(t, base, more, o).Code())
		require.Equal(t, 0, compare(t, more, base, o).Code())
	}
}

// TestZeroKeepsItsUnit: a value of zero is read with its unit as it was written, and must not look like another row.
func TestZeroKeepsItsUnit(t *testing.T) {
	r := compare(t, head+virtual(100, 0), head+virtual(100, 5), Options{})
	require.Empty(t, r.Refusals)
	require.Equal(t, Regressed, status(t, r, "ttft-p99-sec"))
}

func TestTimeRows(t *testing.T) {
	floor := Options{Thresholds: Thresholds{Rows: []Threshold{{Row: "Loop sec/op", FloorPct: 12}}}}
	for _, c := range []struct {
		name     string
		old, new string
		o        Options
		code     int
		status   Status
	}{
		{"the same", timed(1, 10, 1000, 2), timed(2, 10, 1000, 2), Options{}, 0, Same},
		{"20 % slower", timed(1, 10, 1000, 2), timed(2, 10, 1200, 2), Options{}, 1, Regressed},
		{"20 % slower, below twice the noise floor", timed(1, 10, 1000, 2), timed(2, 10, 1200, 2), floor, 0, Same},
		{"20 % faster", timed(1, 10, 1200, 2), timed(2, 10, 960, 2), Options{}, 0, Improved},
		{"5 % slower", timed(1, 20, 1000, 0.5), timed(2, 20, 1050, 0.5), Options{}, 0, Same},
		{"noisy", timed(1, 10, 1000, 40), timed(2, 10, 1500, 40), Options{}, 0, Unmeasurable},
		{"too few", timed(1, 4, 1000, 1), timed(2, 4, 1500, 1), Options{}, 0, Unmeasurable},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := compare(t, head+c.old, head+c.new, c.o)
			require.Empty(t, r.Refusals)
			require.Equal(t, c.status, status(t, r, "sec/op"))
			require.Equal(t, c.code, r.Code())
		})
	}
}

func TestAllocationRows(t *testing.T) {
	more := func(bytes, allocs string) string {
		s := timed(2, 10, 1000, 2)
		return strings.ReplaceAll(strings.ReplaceAll(s, "1000 B/op", bytes+" B/op"), "100 allocs/op", allocs+" allocs/op")
	}
	for _, c := range []struct {
		name          string
		bytes, allocs string
		status        Status
	}{
		{"the same", "1000", "100", Same},
		{"one more", "1000", "101", Same},
		{"ten more", "1000", "110", Regressed},
		{"ten fewer", "1000", "90", Improved},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := compare(t, head+timed(1, 10, 1000, 2), head+more(c.bytes, c.allocs), Options{})
			require.Equal(t, c.status, status(t, r, "allocs/op"))
		})
	}
}

func TestLiveRows(t *testing.T) {
	live := func(seed uint64, n int, rps float64) string {
		rng := rand.New(rand.NewPCG(seed, 2))
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, "BenchmarkDemo-8 1 %.2f live-req/s\n", rps*(1+0.01*rng.NormFloat64()))
		}
		return head + b.String()
	}
	require.Equal(t, Regressed, status(t, compare(t, live(1, 8, 100), live(2, 8, 90), Options{}), "live-req/s"))
	require.Equal(t, Same, status(t, compare(t, live(1, 8, 100), live(2, 8, 100), Options{}), "live-req/s"))
	require.Equal(t, Unmeasurable, status(t, compare(t, live(1, 5, 100), live(2, 5, 90), Options{}), "live-req/s"))
	limited := compare(t, live(1, 8, 100), "client-limited: yes\n"+live(2, 8, 90), Options{})
	require.Equal(t, 2, limited.Code())
}

// TestFalseAlarms compares a benchmark with itself 200 times, 20 rows each: not one may be red, and when every row
// is 20 % slower, none may be missed.
func TestFalseAlarms(t *testing.T) {
	rows := func(seed uint64, ns float64) string {
		var b strings.Builder
		for row := range 20 {
			b.WriteString(strings.ReplaceAll(timed(seed*100+uint64(row), 10, ns, 3), "BenchmarkLoop", fmt.Sprintf("BenchmarkLoop/row=%d", row)))
		}
		return head + b.String()
	}
	false_, missed := 0, 0
	for seed := range uint64(200) {
		old := rows(2*seed, 1000)
		if compare(t, old, rows(2*seed+1, 1000), Options{}).Code() != 0 {
			false_++
		}
		if r := compare(t, old, rows(2*seed+1, 1200), Options{}); r.Count(Regressed) < 20 {
			missed++
		}
	}
	require.LessOrEqual(t, false_, 1, "false alarms of 200")
	require.LessOrEqual(t, missed, 1, "slowdowns missed of 200")
}

func TestHolm(t *testing.T) {
	rows := []Row{{Class: Time, P: 0.01}, {Class: Virtual}, {Class: Time, P: 0.04}, {Class: Live, P: 0.03}, {Class: Time, P: 0.5, Status: Unmeasurable}}
	holm(rows)
	require.InDelta(t, 0.03, rows[0].P, 1e-12)
	require.InDelta(t, 0.06, rows[2].P, 1e-12)
	require.InDelta(t, 0.06, rows[3].P, 1e-12)
	require.Equal(t, 0.5, rows[4].P)
}

func TestFilter(t *testing.T) {
	side, err := Read(strings.NewReader(head+virtual(1, 2)), "x", ".unit:req/s")
	require.NoError(t, err)
	require.Len(t, side.order, 1)
	_, err = Read(strings.NewReader(""), "x", ".name:(")
	require.ErrorContains(t, err, `filter ".name:("`)
}

func TestFiles(t *testing.T) {
	ws, err := ParseWaivers([]byte("# none yet\n"), "w.yaml")
	require.NoError(t, err)
	require.Empty(t, ws)
	ws, err = ParseWaivers([]byte("- row: Demo/case=a req/s\n  ceiling_pct: 12\n  reason: a bigger batch\n  expires: 2026-12-31\n"), "w.yaml")
	require.NoError(t, err)
	require.Equal(t, []Waiver{{"Demo/case=a req/s", 12, "a bigger batch", "2026-12-31"}}, ws)
	for _, c := range []struct{ content, want string }{
		{"- row: a\n  ceiling: 12\n", "ceiling"},
		{"- row: a\n  ceiling_pct: 12\n  reason: x\n  expires: soon\n", "expires as 2026-12-31"},
		{"- row: a\n  ceiling_pct: 0\n  reason: x\n  expires: 2026-12-31\n", "ceiling_pct > 0"},
		{"- row: a\n  ceiling_pct: 1\n  expires: 2026-12-31\n", "a reason"},
	} {
		_, err := ParseWaivers([]byte(c.content), "w.yaml")
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, "w.yaml")
	}
	_, err = ParseThresholds([]byte("rows: [{row: a, limit_pct: -1}]"), "t.yaml")
	require.ErrorContains(t, err, "limit_pct")
	_, err = ParseThresholds([]byte("row: []"), "t.yaml")
	require.ErrorContains(t, err, "row")
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"a b", "a b", true}, {"a b", "a bc", false}, {"*", "anything", true}, {"a*", "abc", true}, {"*c", "abc", true},
		{"a*c", "ac", true}, {"a*c*e", "abcde", true}, {"a*c*e", "abde", false}, {"ab*b", "ab", false},
	} {
		require.Equal(t, c.want, match(c.pattern, c.s), "%s ~ %s", c.pattern, c.s)
	}
}

func TestReports(t *testing.T) {
	r := compare(t, head+virtual(100, 2e6), head+strings.ReplaceAll(virtual(80, 0), "case=a", "case=<b>|@all"), Options{
		Thresholds: Thresholds{New: []string{"*"}, Gone: []string{"*"}}})
	require.Equal(t, 0, r.Code())
	r = compare(t, head+virtual(100, 2e6), head+virtual(80, 2e6), Options{})
	r.Rows[0].Name = "Demo/case=<script>|@all"
	heading := Heading{Base: "aaa", Head: "bbb", Reproduce: "make bench-compare BASE=aaa"}

	var text, md, page, doc bytes.Buffer
	require.NoError(t, r.Text(&text))
	require.Contains(t, text.String(), "1 regression · 1 unchanged\n")
	require.Contains(t, text.String(), "-20% exact")
	require.NoError(t, r.Markdown(&md, heading))
	require.Contains(t, md.String(), Marker+"\n## 🔴 1 regression")
	require.Contains(t, md.String(), "| 🔴 | Demo/case=&lt;script&gt;\\|@\u200ball | req/s | 100.0 | 80.00 | -20% exact | 0% | regressed |")
	require.Contains(t, md.String(), "make bench-compare BASE=aaa")
	require.NoError(t, r.HTML(&page, heading))
	require.NotContains(t, page.String(), "<script>")
	require.Contains(t, page.String(), `<tr class="regressed">`)
	require.NoError(t, json.NewEncoder(&doc).Encode(r))
	require.Contains(t, doc.String(), `"status":"regressed"`)
}

func TestTooFewSamplesCanStillBeWritten(t *testing.T) {
	r := compare(t, head+timed(1, 3, 1000, 1), head+timed(2, 3, 1000, 1), Options{})
	require.NoError(t, json.NewEncoder(&bytes.Buffer{}).Encode(r.Document()))
	require.NotContains(t, string(r.Floor()), "row:")
}

// TestTheNoiseFloorIsAThresholdsFile: what a comparison of the same code writes is read back as limits.
func TestTheNoiseFloorIsAThresholdsFile(t *testing.T) {
	r := compare(t, head+timed(1, 10, 1000, 5), head+timed(2, 10, 1000, 5), Options{})
	th, err := ParseThresholds(r.Floor(), "floor.yaml")
	require.NoError(t, err)
	require.Len(t, th.Rows, 1)
	require.Equal(t, "Loop sec/op", th.Rows[0].Row)
	require.InDelta(t, 3, th.Rows[0].FloorPct, 3)
}

func TestACommentHasRoomForItself(t *testing.T) {
	var old, new strings.Builder
	for i := range 1000 {
		name := strings.ReplaceAll(virtual(100, 2e6), "case=a", fmt.Sprintf("case=%060d", i))
		old.WriteString(name)
		new.WriteString(strings.Replace(name, "100 req/s", "90 req/s", 1))
	}
	r := compare(t, head+old.String(), head+new.String(), Options{})
	r.Explain(fstest.MapFS{}, fstest.MapFS{})
	var md bytes.Buffer
	require.NoError(t, r.Markdown(&md, Heading{}))
	require.Less(t, md.Len(), 60_000)
	require.Contains(t, md.String(), "970 more are in report.html.")
	require.Contains(t, md.String(), "990 more are in report.html")
}

// FuzzRead: whatever an output holds, it is read or refused, and a comparison with itself is never a regression
// unless one of its exact rows contradicts itself.
func FuzzRead(f *testing.F) {
	f.Add(head + virtual(100, 2e6))
	f.Add(head + timed(1, 6, 1000, 2))
	f.Add("Unit a b=c\nBenchmarkX 1 NaN a\n--- FAIL: x\n")
	f.Fuzz(func(t *testing.T, output string) {
		side, err := Read(strings.NewReader(output), "x", "*")
		if err != nil {
			return
		}
		r := Compare(side, side, Options{Today: today})
		for _, row := range r.Rows {
			if row.Status.Fails() && row.Status != Unstable {
				t.Fatalf("%+v", row)
			}
		}
		if err := json.NewEncoder(&bytes.Buffer{}).Encode(r.Document()); err != nil {
			t.Fatal(err)
		}
	})
}
