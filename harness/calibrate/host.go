package calibrate

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/steptime"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// turns are a group of turns of one run's core loop that make one observation: like ones, or those of one second of a
// log.
type turns struct {
	run    int
	some   []turn  // all of them, or a typical one
	ms     float64 // of one: the median, or of a second their mean
	weight float64 // all groups of a run weigh alike, and all runs of a server together as those of another
}

// turn is one turn of the core loop, without the time in which it waited for the GPU: it scheduled and launched next
// while the GPU computed done, whose output it then took.
type turn struct {
	done, next engine.Work
	ms         float64
}

// turnKind is what turns of one group share: the second of a log, or their composition to half a factor of two.
type turnKind struct {
	second          int
	prompts, graph  bool
	running, tokens int
}

// hostTurns groups the turns of the runs of a role. The time of a group is its median, and turns of more than longest are
// left out: those that the machine's other tenants, a garbage collection or a kernel's first compilation stretched say
// nothing of the next machine.
func hostTurns(runs []Run, role string) []turns {
	const least, longest = 8, 300 // turns of a group, ms
	var out []turns
	for k := range runs {
		r := &runs[k]
		if role != "" && r.Role != role {
			continue
		}
		groups := map[turnKind][]turn{}
		for i := 1; i+1 < len(r.Steps); i++ {
			last, c, next := r.Steps[i-1], r.Steps[i], r.Steps[i+1]
			ms := (c.At-last.At)*1e3 - c.Wait
			if ms > longest || ms <= 0 || next.PrefillTokens+next.Decodes == 0 {
				continue
			}
			done, coming := c.work(r), next.work(r)
			done.Finishing = max(0, c.Decodes+c.Prefills-next.Decodes)
			kind := kindOf(c, &coming)
			groups[kind] = append(groups[kind], turn{done, coming, ms})
		}
		first := len(out)
		for _, kind := range slices.SortedFunc(maps.Keys(groups), turnKind.compare) {
			if g := groups[kind]; len(g) >= least {
				out = append(out, observation(k, g, kind.second > 0))
			}
		}
		for i := first; i < len(out); i++ {
			out[i].weight = 1 / float64(len(out)-first)
		}
	}
	return evenByServer(out, runs)
}

func kindOf(done Step, coming *engine.Work) turnKind {
	if done.Second > 0 {
		return turnKind{second: done.Second}
	}
	half := func(n int) int { return int(math.Round(2 * math.Log2(float64(max(1, n))))) }
	k := turnKind{prompts: len(coming.Chunks) > 0, graph: coming.Tokens <= 512, running: half(coming.Running)}
	if !k.graph {
		k.tokens = half(int(coming.Tokens))
	}
	return k
}

func (k turnKind) compare(l turnKind) int {
	order := func(k turnKind) int {
		n := k.second<<24 | k.running<<8 | k.tokens<<2
		if k.prompts {
			n |= 2
		}
		if k.graph {
			n |= 1
		}
		return n
	}
	return cmp.Compare(order(k), order(l))
}

// evenByServer lets every server process weigh as one: how fast a host runs differs from one to the next, far more
// than between the runs of one.
func evenByServer(all []turns, runs []Run) []turns {
	sum := map[string]float64{}
	for _, t := range all {
		sum[runs[t.run].Tag] += t.weight
	}
	for i := range all {
		all[i].weight /= sum[runs[all[i].run].Tag]
	}
	return all
}

// observation is a group as one: every turn of a log's second, else the composition of the middle one by running
// requests, for all are alike.
func observation(run int, g []turn, every bool) turns {
	var times []float64
	sum, finishing := 0.0, 0
	for _, o := range g {
		times = append(times, o.ms)
		sum += o.ms
		finishing += o.done.Finishing
	}
	if every {
		return turns{run: run, some: g, ms: sum / float64(len(g))}
	}
	slices.SortStableFunc(g, func(a, b turn) int { return cmp.Compare(a.next.Running, b.next.Running) })
	middle := g[len(g)/2]
	middle.done.Finishing = (finishing + len(g)/2) / len(g)
	return turns{run: run, some: []turn{middle}, ms: median(times)}
}

// hostLoss is the root mean square log error of the core loop's time: its minimum lies in the middle of servers that
// differ, where that of absolute errors would be one of them.
func hostLoss(p *Profiles, runs []Run, f Fit) func() float64 {
	leaves := f.leaves(runs)
	obs := slices.DeleteFunc(hostTurns(runs, "calibration"), func(t turns) bool { return leaves(t.run) })
	return func() float64 {
		sum, weight := 0.0, 0.0
		for i := range obs {
			t := &obs[i]
			e := math.Log(hostTime(runs, p.Host, t) / t.ms)
			sum += float64(t.weight * e * e)
			weight += t.weight
		}
		return math.Sqrt(sum / max(weight, 1e-9))
	}
}

// hostTime is what a host profile says of an observation, in milliseconds.
func hostTime(runs []Run, h steptime.Host, o *turns) float64 {
	sum := units.Span(0)
	for i := range o.some {
		sum += steptime.HostTime(runs[o.run].Deployment, h, &o.some[i].done, &o.some[i].next)
	}
	return max(sum, units.Microsecond).Milliseconds() / float64(len(o.some))
}
