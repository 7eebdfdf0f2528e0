package kvcache

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// talks are conversations of five turns: each prompt is all that was said before, answers included, and 128 tokens more.
func talks(count int) workload.Sessions {
	return workload.Sessions{Count: count, Starts: workload.Poisson{Rate: 0.5}, Turns: workload.Fixed(5), System: 256,
		New: workload.Fixed(128), Output: workload.Fixed(100), Think: 10 * time.Second}
}

// A later turn hits whole blocks of everything before it but the last token of the last answer, which nobody computed.
func TestAConversationHitsItsAnswers(t *testing.T) {
	run, err := sim.Backend{}.Run(t.Context(), server(), talks(1))
	require.NoError(t, err)
	require.Len(t, run.Requests, 5)
	for i, r := range run.Requests {
		said := units.Tokens(256 + 228*i)
		require.Equal(t, said+128, r.Prompt)
		if i > 0 {
			require.Equal(t, (said-1)/16*16, r.Cached, "turn %d", i+1)
		}
	}
}
