package engine

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// A backlog gives back what it was given, in order, ordinary requests and others, whoever leaves in between.
func TestBacklogKeepsRequestsInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	type sent struct {
		r  Request
		at units.Time
	}
	var q backlog
	var want []sent
	for i := range 20_000 {
		switch {
		case len(want) > 0 && r.IntN(3) == 0:
			got, at := q.pop()
			require.Equal(t, want[0], sent{got, at})
			want = want[1:]
		case len(want) > 0 && r.IntN(50) == 0:
			k := r.IntN(len(want))
			require.True(t, q.remove(want[k].r.ID))
			want = slices.Delete(want, k, k+1)
			require.False(t, q.remove(-1))
		default:
			x := sent{Request{ID: RequestID(i), Prompt: 1 + units.Tokens(r.IntN(1000)), MaxTokens: 1 + units.Tokens(r.IntN(1000))}, units.Time(i)}
			switch r.IntN(5) {
			case 0:
				x.r.StopAt = 3
			case 1:
				x.r.Shared = []units.Segment{{Source: uint64(i), Len: 1}}
			case 2:
				x.r.MaxTokens = 1 << 40
			}
			q.push(x.r, x.at)
			want = append(want, x)
		}
		require.Equal(t, len(want), q.len())
	}
}
