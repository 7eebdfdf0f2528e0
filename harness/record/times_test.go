package record

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/units"
)

func TestWritePerRequest(t *testing.T) {
	ms := units.Time(units.Millisecond)
	run := &Run{Requests: []Record{
		{ID: 0, Intended: 100 * ms, Sent: 101 * ms, First: 120 * ms, Last: 150 * ms, Prompt: 7, Output: 4, Cached: 16, Preemptions: 1},
		{ID: 1, Intended: 200 * ms, Sent: 200 * ms, First: 220 * ms, Last: 220 * ms, Prompt: 7, Output: 1},
		{ID: 2, Intended: 300 * ms, First: units.Never, Last: units.Never, Prompt: 9000, Outcome: failure.Rejected},
	}}
	var out bytes.Buffer
	require.NoError(t, WritePerRequest(&out, run))
	require.Equal(t, `id,arrival_s,ttft_ms,tpot_ms,e2el_ms,prompt_tokens,output_tokens,cached_tokens,preemptions,outcome
0,0.100000000,20.000000,10.000000,50.000000,7,4,16,1,completed
1,0.200000000,20.000000,,20.000000,7,1,0,0,completed
2,0.300000000,,,,9000,0,0,0,rejected
`, out.String())
}
