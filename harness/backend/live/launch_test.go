package live

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/serve"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// playServer lets this test binary play a vLLM that was launched: "serve MODEL flags… --host H --port P". It leaves a line
// in the file that the variable names, and refuses to start with too little memory, as vLLM does.
func playServer(starts string, args []string) int {
	f, err := os.OpenFile(starts, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 3
	}
	fmt.Fprintln(f, strings.Join(args[1:], " "))
	f.Close()
	model, err := fixtures.Model(args[2])
	if err != nil {
		return 3
	}
	gpu, err := fixtures.GPU("h100-sxm")
	if err != nil {
		return 3
	}
	d := deploy.Deployment{Model: model, GPU: gpu}
	if strings.Contains(f.Name(), "small") {
		d.Engine.GPUMemoryUtilization = 0.04
	}
	s, err := serve.New(serve.Config{Deployments: []deploy.Deployment{d}})
	var refused *failure.Error
	if errors.As(err, &refused) {
		serve.LogFailure(os.Stdout, refused)
		return 1
	}
	if err != nil {
		return 3
	}
	l, err := net.Listen("tcp", args[len(args)-3]+":"+args[len(args)-1])
	if err != nil {
		return 3
	}
	fmt.Println(s.Serve(l))
	return 0
}

const playing = "SYMBIOTE_TEST_STARTS"

// launching is a Backend that launches this binary, and how often it did.
func launching(t *testing.T, file string) (Backend, func() int) {
	path := t.TempDir() + "/" + file
	t.Setenv(playing, path)
	return Backend{Launch: []string{os.Args[0]}, Limits: Limits{Sample: -1}}, func() int {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		return strings.Count(string(data), "\n")
	}
}

func launchable(t *testing.T) deploy.Deployment {
	model, err := fixtures.Model("Qwen/Qwen2.5-0.5B-Instruct")
	require.NoError(t, err)
	return deploy.Deployment{Model: model}
}

// A start takes a minute on a GPU: repeats share one server, and so does who asks for it.
func TestOneServerServesAllRepeats(t *testing.T) {
	b, starts := launching(t, "starts")
	few := func(uint64) workload.Workload { return rows(4, 10, 4).At(workload.AllAtOnce{}) }
	all, err := b.Repeat(t.Context(), launchable(t), few, 0, 3)
	require.NoError(t, err)
	require.Len(t, all, 3)
	for _, m := range all {
		require.Nil(t, m.Run.Failure)
		require.NoError(t, m.Cache.Broken())
	}
	require.Equal(t, 1, starts())

	b.Server, err = b.Start(t.Context(), launchable(t))
	require.NoError(t, err)
	for range 2 {
		m, err := b.Measure(t.Context(), launchable(t), few(0))
		require.NoError(t, err)
		require.Nil(t, m.Run.Failure)
	}
	b.Server.Stop(20 * time.Second)
	require.Equal(t, 2, starts())
}

// A server that does not come up is a result, with what it said.
func TestAServerThatDoesNotComeUpIsAResult(t *testing.T) {
	b, starts := launching(t, "small")
	few := func(uint64) workload.Workload { return rows(4, 10, 4).At(workload.AllAtOnce{}) }
	for n := 1; n <= 2; n++ {
		all, err := b.Repeat(t.Context(), launchable(t), few, 0, n)
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, failure.NoRoomForKV, all[0].Run.Failure.Class, all[0].Run.Failure)
		require.Equal(t, n, starts())
	}
	_, err := b.Start(t.Context(), launchable(t))
	require.Equal(t, failure.NoRoomForKV, failure.Classify(err))
}

// A server stays up for whoever asks for the same arguments, and is asked once if it does not come up with them.
func TestAServerIsKept(t *testing.T) {
	b, starts := launching(t, "starts")
	d, other := launchable(t), launchable(t)
	other.Engine.MaxModelLen = 4096
	var k Keeper
	first, err := k.Up(t.Context(), b, d)
	require.NoError(t, err)
	again, err := k.Up(t.Context(), b, d)
	require.NoError(t, err)
	require.Same(t, first, again)
	changed, err := k.Up(t.Context(), b, other)
	require.NoError(t, err)
	require.True(t, first.gone())
	require.Equal(t, 2, starts())
	changed.Stop(0) // it dies
	_, err = k.Up(t.Context(), b, other)
	require.NoError(t, err)
	k.Down(20 * time.Second)
	require.Equal(t, 3, starts())

	b, starts = launching(t, "small")
	for range 2 {
		_, err = k.Up(t.Context(), b, d)
		require.Equal(t, failure.NoRoomForKV, failure.Classify(err))
	}
	require.Equal(t, 1, starts())
	k.Down(0)
}
