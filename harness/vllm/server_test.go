package vllm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/testing-symbiote/symbiote/harness/failure"
)

// TestMain lets this test binary play the server: a process that behaves as vLLM does in one way or another.
func TestMain(m *testing.M) {
	if act := os.Getenv("SYMBIOTE_TEST_SERVER"); act != "" {
		os.Exit(play(act, os.Args))
	}
	goleak.VerifyTestMain(m)
}

func play(act string, args []string) int {
	fmt.Println("INFO 11-24 14:00:00 [x.py:1] key is", os.Getenv("VLLM_API_KEY"))
	if act == "fail" {
		fmt.Println("vllm: error: unrecognized arguments: --no-such-flag 3")
		return 2
	}
	if act == "hang" || act == "serve-and-hang" {
		signal.Ignore(syscall.SIGTERM) // requests in flight: vLLM waits for its clients, whatever signal comes
	}
	if act == "hang" {
		select {}
	}
	addr := args[len(args)-3] + ":" + args[len(args)-1]
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(http.ResponseWriter, *http.Request) {})
	fmt.Println("INFO:     Application startup complete.")
	fmt.Println(http.ListenAndServe(addr, mux))
	return 1
}

func start(t *testing.T, act string) *Server {
	t.Helper()
	s, err := Start(Command{
		Argv:   []string{os.Args[0], "serve", "m"},
		Env:    []string{"SYMBIOTE_TEST_SERVER=" + act},
		APIKey: "marker-key",
	})
	require.NoError(t, err)
	t.Cleanup(func() { s.Stop(0) })
	return s
}

func TestServerComesUpAndStops(t *testing.T) {
	s := start(t, "serve")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, s.Ready(ctx))
	require.Contains(t, s.Log(), "key is ***")
	require.NotContains(t, s.Log(), "marker-key")
	stopped := s.Stop(20 * time.Second)
	require.False(t, stopped.Killed, stopped)
	require.NotContains(t, strings.Join(s.cmd.Args, " "), "marker-key")
	s.Stop(0) // twice is harmless
}

func TestServerThatFailsIsDiagnosed(t *testing.T) {
	s := start(t, "fail")
	err := s.Ready(t.Context())
	require.Equal(t, failure.BadArguments, failure.Classify(err))
	require.ErrorContains(t, err, "--no-such-flag 3")
}

func TestServerThatNeverAnswers(t *testing.T) {
	s := start(t, "hang")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("300ms were given"))
	defer cancel()
	err := s.Ready(ctx)
	require.Equal(t, failure.NeverReady, failure.Classify(err))
	require.ErrorContains(t, err, "300ms were given")
}

func TestServerThatIgnoresSIGTERMIsKilledWithItsGroupAlone(t *testing.T) {
	s, bystander := start(t, "serve-and-hang"), start(t, "serve")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, s.Ready(ctx))
	require.NoError(t, bystander.Ready(ctx))
	stopped := s.Stop(100 * time.Millisecond)
	require.True(t, stopped.Killed)
	require.Contains(t, stopped.String(), "SIGTERM did not end it")
	require.True(t, bystander.healthy(ctx))
}

func TestLogBufferKeepsBothEnds(t *testing.T) {
	b := &logBuffer{secret: "marker-key"}
	fmt.Fprintln(b, "first words marker-key")
	for range 4 * keep / 1024 {
		fmt.Fprint(b, strings.Repeat("x", 1024))
	}
	fmt.Fprintln(b, "last words")
	require.True(t, strings.HasPrefix(b.text(), "first words ***\n"))
	require.True(t, strings.HasSuffix(b.text(), "last words\n"))
	require.Contains(t, b.text(), "left out")
	require.Less(t, len(b.text()), 4*keep)
}
