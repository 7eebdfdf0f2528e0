package golden

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNumbersHaveThreeDigitsAndAUnit(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Number(7.934, "/s"), "7.93/s"},
		{Number(12345, "/s"), "12.3k/s"},
		{Number(9994, ""), "9990"},
		{Number(9996, ""), "10.0k"},
		{Number(1000, ""), "1000"},
		{Number(0, "/s"), "0/s"},
		{Number(-0.01234, ""), "-0.0123"},
		{Number(1.5e12, "B"), "1500GB"},
		{Number(math.NaN(), "/s"), "NaN/s"},
		{Number(math.Inf(1), ""), "+Inf"},
		{Seconds(0.0203), "20.3ms"},
		{Seconds(0.99951), "1.00s"},
		{Seconds(0.00083), "830µs"},
		{Seconds(0), "0s"},
		{Seconds(750), "12.5min"},
		{Seconds(50400), "14.0h"},
		{Percent(0.9917), "99.2%"},
		{Percent(1), "100%"},
		{GiB(15 << 30), "15.0GiB"},
		{Count(118304), "118304"},
		{three(1e-120), "0." + fmt.Sprintf("%0119d", 0) + "100"},
	} {
		require.Equal(t, c.want, c.got)
	}
}

func TestDrawAndReadBack(t *testing.T) {
	table := Table{
		Notes:   []string{"How fast?"},
		Columns: []string{"case", "ok", "TTFT99"},
		Rows:    []Row{{"arrivals=poisson", "600", "347ms"}, {"b", "", "a  cell"}},
	}
	want := "# How fast?\n" +
		"case               ok  TTFT99\n" +
		"arrivals=poisson  600   347ms\n" +
		"b                   -  a cell\n"
	require.Equal(t, want, table.String())
	require.Equal(t, want, parse(want).String())
}

func TestDiffShowsOldAboveNewInTheColumnsThatMoved(t *testing.T) {
	table := func(rows ...Row) string {
		return Table{Columns: []string{"case", "ok", "TTFT99"}, Rows: rows}.String()
	}
	was := table(Row{"a", "1", "10ms"}, Row{"b", "2", "20ms"}, Row{"c", "3", "30ms"})
	for _, c := range []struct{ name, is, want string }{
		{"a cell", table(Row{"a", "1", "10ms"}, Row{"b", "2", "21ms"}, Row{"c", "3", "30ms"}), "" +
			"case  TTFT99\n- b     20ms\n+ b     21ms\n"},
		{"a row is gone", table(Row{"a", "1", "10ms"}, Row{"c", "3", "30ms"}), "" +
			"case  ok  TTFT99\n- b    2    20ms\n"},
		{"a row is new", was + "d      4    40ms\n", "" +
			"case  ok  TTFT99\n+ d    4    40ms\n"},
		{"the order", table(Row{"b", "2", "20ms"}, Row{"a", "1", "10ms"}, Row{"c", "3", "30ms"}), "" +
			"the order of rows or columns, or the spacing\n"},
		{"a note", "# why\n" + was, "- # \n+ # why\n"},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, Diff(was, c.is)) })
	}
}

// recorder is a test that notes its failures.
type recorder struct {
	testing.TB
	name   string
	failed string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Name() string              { return r.name }
func (r *recorder) Errorf(f string, a ...any) { r.failed += fmt.Sprintf(f, a...) }
func (r *recorder) Fatalf(f string, a ...any) { r.failed += fmt.Sprintf(f, a...) }

func TestCheck(t *testing.T) {
	root := t.TempDir()
	suite := filepath.Join(root, "suites", "demo")
	require.NoError(t, os.MkdirAll(suite, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.mod"), []byte("module demo\n"), 0o644))
	t.Chdir(suite)
	table := Table{Columns: []string{"case", "ok"}, Rows: []Row{{"a", "1"}}}

	missing := &recorder{TB: t, name: "TestDemo"}
	Check(missing, table)
	require.Contains(t, missing.failed, "does not exist; draw it with: go test -run '^TestDemo$' . -update")

	require.NoError(t, write(filepath.Join(root, "golden", "demo", "TestDemo.txt"), table.String()))
	same := &recorder{TB: t, name: "TestDemo"}
	Check(same, table)
	require.Empty(t, same.failed)

	table.Rows[0][1] = "2"
	moved := &recorder{TB: t, name: "TestDemo"}
	Check(moved, table)
	require.Contains(t, moved.failed, "- a    1\n+ a    2\n")
}
