package record

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/units"
)

func sampleRun() *Run {
	run := &Run{
		Requests: []Record{
			{ID: 0, Intended: 1, Sent: 2, Admitted: 3, First: 5, Last: 8, Prompt: 7, Output: 4, Cached: 16, Preemptions: 1, Recomputed: 9, LongestGap: 2},
			{ID: 1, Stage: 2, Replica: 1, Intended: 4, Sent: 4, Admitted: units.Never, First: units.Never, Last: units.Never, Prompt: 9000, Outcome: failure.Rejected, Detail: "too long"},
		},
		Samples: []Sample{{At: 6, Running: 2, Waiting: 1, Usage: 0.1 + 0.2}},
		Start:   1, End: 9007199254740993, // more than a float64 holds
		Engine:     Engine{NumBlocks: 8, Steps: 3, UsagePeak: 0.3, BusyTime: 5},
		Provenance: Provenance{Backend: "sim", Seed: 7, Notes: []string{"a note"}},
		Warnings:   []string{"a doubt"},
	}
	run.Gaps.Add(3, 2)
	run.Gaps.Add(4, 1)
	return run
}

func TestARunIsReadBackAsItWasWritten(t *testing.T) {
	run := sampleRun()
	var out bytes.Buffer
	require.NoError(t, Write(&out, run))
	require.Equal(t, 4, strings.Count(out.String(), "\n"), "two requests, a sample, the run")
	back, err := Read(bytes.NewReader(out.Bytes()))
	require.NoError(t, err)
	require.Equal(t, run, back)

	var streamed bytes.Buffer // as a run that keeps no requests is written
	w := NewWriter(&streamed)
	for i := range run.Requests {
		w.Request(&run.Requests[i])
	}
	rest := *run
	rest.Requests = nil
	require.NoError(t, w.Close(&rest))
	require.Equal(t, out.String(), streamed.String())

	refused := &Run{Failure: &failure.Error{Class: failure.WeightsDoNotFit, Message: "too heavy"}}
	out.Reset()
	require.NoError(t, Write(&out, refused))
	back, err = Read(&out)
	require.NoError(t, err)
	require.Equal(t, refused, back)
}

func TestARecordThatIsBrokenSaysWhere(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Write(&out, sampleRun()))
	whole := out.String()
	for _, c := range []struct{ content, err string }{
		{"", "line 1: the file ends before the run's own line; it was cut short"},
		{whole[:len(whole)-1], "line 4: the file ends before"},
		{strings.Replace(whole, `"stage"`, `"staeg"`, 1), `line 2: json: unknown field "staeg"`},
		{strings.Replace(whole, `"form":1`, `"form":2`, 1), "line 4: form = 2, want 1"},
		{"{}\n", "line 1: neither a request, nor a sample, nor the run"},
	} {
		_, err := Read(strings.NewReader(c.content))
		require.ErrorContains(t, err, c.err)
	}
	part, err := Read(strings.NewReader(whole[:len(whole)-1]))
	require.Error(t, err)
	require.Len(t, part.Requests, 2, "what is there is not lost")
}
