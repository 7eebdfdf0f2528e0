package calibrate

import (
	"maps"
	"math"
	"regexp"
	"slices"

	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/steptime"
)

// turn is a group of like turns of one run's core loop that the host bounded: it scheduled and launched next while the
// GPU computed done, whose output it then took without having to wait.
type turn struct {
	run        int
	done, next engine.Work
	ms         float64
	weight     float64 // all groups of one run weigh alike, all runs of one server as one
}

type turnKind struct {
	prompts, graph bool
	size           int // log2 of the running requests
}

// hostBound finds the turns whose time is the host's. Turns of one kind in one run are one observation.
func hostBound(runs []Run, role string, gpu steptime.GPU) []turn {
	const least, waited = 5, 0.3 // turns of a group; ms that the core waited at most
	var out []turn
	for k := range runs {
		r := &runs[k]
		if role != "" && r.Role != role {
			continue
		}
		groups := map[turnKind][]turn{}
		for i := 1; i+1 < len(r.Steps); i++ {
			last, c, next := r.Steps[i-1], r.Steps[i], r.Steps[i+1]
			ms := (c.At - last.At) * 1e3
			done, coming := c.work(r), next.work(r)
			if c.Wait > waited || last.Wait > waited || ms > 300 || ms < 1.3*steptime.GPUTime(r.Deployment, gpu, &done).Milliseconds() {
				continue
			}
			done.Finishing = max(0, c.Decodes+c.Prefills-next.Decodes)
			kind := turnKind{next.Prefills > 0, int(coming.Tokens) <= 512, int(math.Log2(float64(max(1, coming.Running))))}
			groups[kind] = append(groups[kind], turn{run: k, done: done, next: coming, ms: ms})
		}
		kinds := slices.SortedFunc(maps.Keys(groups), func(a, b turnKind) int { return a.order() - b.order() })
		first := len(out)
		for _, kind := range kinds {
			if g := groups[kind]; len(g) >= least {
				out = append(out, typical(g))
			}
		}
		for i := first; i < len(out); i++ {
			out[i].weight = 1 / float64(len(out)-first)
		}
	}
	return evenByServer(out, runs)
}

// evenByServer lets every server process weigh as one: how fast a host runs differs from one to the next, far more
// than between the runs of one.
func evenByServer(turns []turn, runs []Run) []turn {
	sum := map[string]float64{}
	for _, t := range turns {
		sum[runs[t.run].Tag] += t.weight
	}
	for i := range turns {
		turns[i].weight /= sum[runs[turns[i].run].Tag]
	}
	return turns
}

func (k turnKind) order() int {
	n := 4 * k.size
	if k.prompts {
		n += 2
	}
	if k.graph {
		n++
	}
	return n
}

// typical keeps the composition of the group's middle turn, by running requests, and the median of the times: a turn
// that the machine's other tenants or a garbage collection stretched says nothing of the next machine.
func typical(g []turn) turn {
	var times []float64
	for _, t := range g {
		times = append(times, t.ms)
	}
	slices.SortStableFunc(g, func(a, b turn) int { return a.next.Running - b.next.Running })
	t := g[len(g)/2]
	t.ms = median(times)
	return t
}

// hostLoss is the root mean square log error of the core loop's time over the turns that the host bounded: its
// minimum lies in the middle of servers that differ, where that of absolute errors would be one of them.
func hostLoss(p *Profiles, runs []Run, f Fit, gpu steptime.GPU) func() float64 {
	filter := regexp.MustCompile(f.Filter)
	var obs []turn
	for _, t := range hostBound(runs, "calibration", gpu) {
		if r := &runs[t.run]; filter.MatchString(r.Tag + "/" + r.Name) {
			obs = append(obs, t)
		}
	}
	return func() float64 {
		sum, weight := 0.0, 0.0
		for i := range obs {
			t := &obs[i]
			got := steptime.HostTime(runs[t.run].Deployment, p.Host, &t.done, &t.next).Milliseconds()
			e := math.Log(got / t.ms)
			sum += float64(t.weight * e * e)
			weight += t.weight
		}
		return math.Sqrt(sum / max(weight, 1e-9))
	}
}
