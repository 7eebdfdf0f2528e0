package ray

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWorkersThatSend(t *testing.T) {
	program := filepath.Join(t.TempDir(), "symbiote")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755))
	args := [][]string{{"load", "-rate", "2"}, {"load", "-rate", "3"}}
	logged := func(lines string) *fake {
		return &fake{runs: 5 * time.Second, cpus: 4, log: func(time.Duration, map[string]any) string { return lines }}
	}
	synctest.Test(t, func(t *testing.T) {
		f := logged(`TS_JOURNAL {"worker":0,"line":"{\"a\":1}"}
TS_WORKER {"worker":0,"code":0,"stderr":"","begun":1795539419.25,"node":"one"}
TS_JOURNAL {"worker":1,"line":"{\"b\":1}"}
TS_JOURNAL {"worker":1,"line":"{\"b\":2}"}
TS_JOURNAL {"worker":7,"line":"nobody's"}
TS_WORKER {"worker":1,"code":2,"stderr":"no such server","begun":1795539419.5,"node":"two"}
`)
		sent, err := f.backend().FanOut(t.Context(), program, args)
		require.NoError(t, err)
		require.Equal(t, "{\"a\":1}\n", string(sent[0].Journal))
		require.Equal(t, "{\"b\":1}\n{\"b\":2}\n", string(sent[1].Journal))
		require.Equal(t, 250*time.Millisecond, sent[1].Begun.Sub(sent[0].Begun))
		require.Equal(t, Sent{Code: 2, Stderr: "no such server", Node: "two", Begun: sent[1].Begun, Journal: sent[1].Journal}, sent[1])
	})
	synctest.Test(t, func(t *testing.T) {
		_, err := logged(`TS_WORKER {"worker":0,"code":0,"begun":1,"node":"one"}`+"\n").backend().FanOut(t.Context(), program, args)
		require.ErrorContains(t, err, "worker 2 of 2 did not report, the job SUCCEEDED")
	})
	synctest.Test(t, func(t *testing.T) {
		f := logged("")
		_, err := f.backend().FanOut(t.Context(), program, [][]string{{}, {}, {}, {}, {}})
		require.ErrorIs(t, err, ErrResources)
		require.Zero(t, f.submitted)
	})
}
