package gate

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// logs is one side's folder with one event log; each line is "ms request did tokens".
func logs(t *testing.T, calibration, preemptions string, events ...string) fs.FS {
	t.Helper()
	var b bytes.Buffer
	l := NewEventLog(&b)
	l.Input("deployment", "7b on\n  one gpu")
	l.Input("calibration", calibration)
	for _, e := range events {
		f := strings.Fields(e)
		ms := map[string]float64{"1ms": 1, "2ms": 2, "3ms": 3}[f[0]]
		l.Event(units.Time(units.Milliseconds(ms)), int(f[1][0]-'0'), f[2], 7)
	}
	l.Counter("preemptions", preemptions)
	require.NoError(t, l.Close())
	return fstest.MapFS{"Demo/case=a.events.gz": {Data: b.Bytes()}}
}

func TestTheCauseOfAMovedRow(t *testing.T) {
	base := []string{"1ms 1 admitted", "1ms 2 admitted", "2ms 1 finished"}
	for _, c := range []struct {
		name        string
		calibration string
		preemptions string
		events      []string
		want        string
	}{
		{"another order", "x", "3", []string{"1ms 2 admitted", "1ms 1 admitted", "2ms 1 finished"},
			"first divergent event (number 1): t=1ms request 1 admitted (7 tokens), now t=1ms request 2 admitted (7 tokens)"},
		{"later, then otherwise", "x", "41", []string{"2ms 1 admitted", "2ms 1 preempted", "3ms 1 finished"},
			"first event at another time (number 1): t=1ms request 1 admitted (7 tokens), now t=2ms request 1 admitted (7 tokens)\n" +
				"first divergent event (number 2): t=1ms request 2 admitted (7 tokens), now t=2ms request 1 preempted (7 tokens)\n" +
				"preemptions 3 → 41"},
		{"later alone", "y", "3", []string{"1ms 1 admitted", "1ms 2 admitted", "3ms 1 finished"},
			"given otherwise: calibration: x → y\n" +
				"first event at another time (number 3): t=2ms request 1 finished (7 tokens), now t=3ms request 1 finished (7 tokens)\n" +
				"no decision differs: steps take another time"},
		{"shorter", "x", "3", base[:2],
			"first divergent event (number 3): t=2ms request 1 finished (7 tokens), now nothing more"},
		{"nothing", "x", "3", base,
			"every event is the same: what moved is how the metric is worked out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := compare(t, head+virtual(100, 2e6), head+virtual(80, 2e6), Options{})
			r.Explain(logs(t, "x", "3", base...), logs(t, c.calibration, c.preemptions, c.events...))
			require.Len(t, r.Causes, 1, "one for the benchmark, not one for each unit")
			require.Equal(t, "Demo/case=a", r.Causes[0].Case)
			require.Equal(t, c.want, strings.Join(r.Causes[0].Lines(), "\n"))
		})
	}
}

func TestACauseThatCannotBeGiven(t *testing.T) {
	r := compare(t, head+virtual(100, 2e6), head+virtual(80, 2e6), Options{})
	r.Explain(fstest.MapFS{}, logs(t, "x", "3"))
	require.Contains(t, r.Causes[0].Lines()[0], "no event log of the old side")

	r.Causes = nil
	torn := fstest.MapFS{"Demo/case=a.events.gz": {Data: []byte("text")}}
	r.Explain(torn, logs(t, "x", "3"))
	require.Contains(t, r.Causes[0].Lines()[0], "old side: Demo/case=a.events.gz")
}
