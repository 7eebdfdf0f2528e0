package live

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// A client that is gone in the middle of a run leaves a journal; another one goes on, and every request ends once.
func TestAJournalSurvivesItsWriterAndIsGoneOnWith(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.jsonl")
	w := rows(20, 32, 4).At(workload.Constant{Rate: 10})
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := f.start(t)
		b.Journal.Path = path
		ctx, cancel := context.WithTimeout(t.Context(), 1030*time.Millisecond) // ten were sent, nine have ended
		defer cancel()
		_, err := b.Measure(ctx, deploy.Deployment{}, w)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	// A kill leaves half a line, too.
	require.NoError(t, os.WriteFile(path, []byte(readFile(t, path)+`{"id":9,"se`), 0o600))

	run, err := ReadJournal(path)
	require.NoError(t, err)
	require.Len(t, run.Requests, 10)
	require.Equal(t, failure.Aborted, run.Requests[9].Outcome)
	require.Contains(t, run.Warnings[0], "1 requests were on their way")

	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := f.start(t)
		b.Journal = Journal{Path: path}
		_, err := b.Measure(t.Context(), deploy.Deployment{}, w)
		require.ErrorContains(t, err, "exists", "a journal is evidence")
		b.Journal.Resume = true
		m := measured(t, b, w)
		require.Len(t, m.Run.Requests, 20)
		require.Len(t, f.seen, 11, "only what had not ended is sent")
		for _, r := range m.Run.Requests {
			require.Equal(t, failure.None, r.Outcome)
		}
		require.EqualValues(t, 60, m.Run.Gaps.Count)
		require.True(t, warned(m, "resumed: 9 of the requests"), m.Run.Warnings)
		_, err = b.Measure(t.Context(), deploy.Deployment{}, rows(3, 1, 1).At(workload.AllAtOnce{}))
		require.ErrorContains(t, err, "is of 20 rows")
	})
	run, err = ReadJournal(path)
	require.NoError(t, err)
	require.Len(t, run.Requests, 20)
	require.Empty(t, run.Warnings)
}

func TestReadJournalRefusesWhatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for text, want := range map[string]string{"": "is empty", "{}\n": "not the head", "hello\n": "not the head"} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := ReadJournal(path)
		require.ErrorContains(t, err, want)
	}
}
