package failure_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/failure"
)

func TestClassify(t *testing.T) {
	require.Equal(t, failure.None, failure.Classify(nil))
	require.Equal(t, failure.Unknown, failure.Classify(errors.New("anything")))
	oom := &failure.Error{Class: failure.OutOfMemory, Message: "CUDA out of memory"}
	require.Equal(t, failure.OutOfMemory, failure.Classify(fmt.Errorf("case 7: %w", oom)))
	require.Equal(t, "out_of_memory: CUDA out of memory", oom.Error())
}

func TestEveryClassHasAMode(t *testing.T) {
	for class, want := range map[failure.Class]failure.Mode{
		failure.WeightsDoNotFit: failure.MemoryExhaustion,
		failure.ContextTooLong:  failure.MemoryExhaustion,
		failure.BadArguments:    failure.ConfigurationValidation,
		failure.Rejected:        failure.ConfigurationValidation,
		failure.TimedOut:        failure.PerformanceTimeout,
		failure.Overloaded:      failure.PerformanceTimeout,
		failure.EngineDied:      failure.UnknownMode,
	} {
		require.Equal(t, want, class.Mode(), class)
	}
}
