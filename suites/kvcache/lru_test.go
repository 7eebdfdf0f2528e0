package kvcache

import (
	"container/list"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/backend/sim"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// Real conversations one after the other: what the cache hits is known without any engine, from a plain list of the
// trace's 512-token blocks, the least recently used of which goes.
func TestHitsOfARealTraceAreThoseOfAnLRUList(t *testing.T) {
	const file = "../../../shared/traces/mooncake_conversation.csv.gz"
	if _, err := os.Stat(file); err != nil {
		t.Skip("no public traces: ../shared/traces is not beside the repository")
	}
	trace, err := workload.ReadTrace(file, workload.TraceOptions{HashBlockTokens: 512})
	require.NoError(t, err)
	play := trace.Head(2500).At(workload.Closed{InFlight: 1})
	for _, blocks := range []int{100_000, 3000} {
		t.Run(fmt.Sprintf("blocks=%d", blocks), func(t *testing.T) {
			d := suite.On("meta-llama/Llama-3.1-8B-Instruct", "h200-sxm")
			d.Engine.MaxModelLen = 131_072
			run, err := sim.Backend{NumBlocks: units.Blocks(32*blocks + 1)}.Run(t.Context(), d, play)
			require.NoError(t, err)
			require.Nil(t, run.Failure)
			require.InEpsilon(t, int(lruHits(play.Play(), blocks)), int(run.Engine.Hits), 0.03)
		})
	}
}

// lruHits are the tokens of leading blocks that were used before and not forgotten since.
func lruHits(p workload.Player, capacity int) (hits units.Tokens) {
	order := list.New() // texts, the most recently used in front
	at := map[uint64]*list.Element{}
	for {
		if _, ok := p.Next(); !ok {
			return hits
		}
		r := p.Send()
		leading := true
		for _, s := range r.Shared {
			e, known := at[s.Source]
			if leading = leading && known; leading {
				hits += s.Len
			}
			if known {
				order.MoveToFront(e)
				continue
			}
			at[s.Source] = order.PushFront(s.Source)
			if order.Len() > capacity {
				delete(at, order.Remove(order.Back()).(uint64))
			}
		}
		p.Done(r.ID, r.At)
	}
}
