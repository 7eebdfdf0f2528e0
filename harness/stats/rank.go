package stats

import (
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// place reorders items so that the values at the given ranks (rising, from 0, counted by weight) can be read, and returns
// them. It looks only where a rank falls, so it is linear where a sort is not.
func place(items []record.GapCount, ranks []int64) []units.Span {
	out := make([]units.Span, len(ranks))
	descend(items, 0, ranks, out)
	return out
}

// descend finds the ranks among items, before which there are base values.
func descend(items []record.GapCount, base int64, ranks []int64, out []units.Span) {
	for len(ranks) > 0 {
		if len(items) <= 12 {
			insertion(items)
			n := base
			for i := 0; len(ranks) > 0; i++ {
				for n += items[i].N; len(ranks) > 0 && ranks[0] < n; ranks, out = ranks[1:], out[1:] {
					out[0] = items[i].Gap
				}
			}
			return
		}
		pivot := median(items[0].Gap, items[len(items)/2].Gap, items[len(items)-1].Gap)
		lt, gt, below, same := split(items, pivot)
		left := 0
		for left < len(ranks) && ranks[left] < base+below {
			left++
		}
		descend(items[:lt], base, ranks[:left], out[:left])
		ranks, out = ranks[left:], out[left:]
		for len(ranks) > 0 && ranks[0] < base+below+same {
			out[0] = pivot
			ranks, out = ranks[1:], out[1:]
		}
		items, base = items[gt:], base+below+same
	}
}

// split puts what is smaller than pivot before lt, what is larger from gt on, and counts the others.
func split(items []record.GapCount, pivot units.Span) (lt, gt int, below, same int64) {
	gt = len(items)
	for i := 0; i < gt; {
		switch k := items[i].Gap; {
		case k < pivot:
			below += items[i].N
			items[lt], items[i] = items[i], items[lt]
			lt++
			i++
		case k > pivot:
			gt--
			items[gt], items[i] = items[i], items[gt]
		default:
			same += items[i].N
			i++
		}
	}
	return lt, gt, below, same
}

func median(a, b, c units.Span) units.Span { return max(min(a, b), min(max(a, b), c)) }

func insertion(items []record.GapCount) {
	for i := 1; i < len(items); i++ {
		for k := i; k > 0 && items[k].Gap < items[k-1].Gap; k-- {
			items[k], items[k-1] = items[k-1], items[k]
		}
	}
}
