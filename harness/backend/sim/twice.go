package sim

import (
	"context"
	"fmt"
	"hash/maphash"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// Twice runs everything in both ways in which the engine can advance. A run in which they differ in an event is an error.
type Twice struct{}

// Run plays w as Backend{} does.
func (Twice) Run(ctx context.Context, d deploy.Deployment, w workload.Workload) (*record.Run, error) {
	seed := maphash.MakeSeed()
	var one, other tally
	if _, err := (Backend{Reference: true, Watch: one.watch(seed)}).Run(ctx, d, w); err != nil {
		return nil, err
	}
	run, err := Backend{Watch: other.watch(seed)}.Run(ctx, d, w)
	if err != nil {
		return nil, err
	}
	return run, one.compare(&other)
}

// tally is what each replica's events come to: a running hash, noted at every tallied-th event.
type tally struct{ replicas []*sums }

type sums struct {
	n     int
	noted []uint64
	hash  maphash.Hash
}

const tallied = 64

func (t *tally) watch(seed maphash.Seed) func(int, []engine.Event) {
	return func(replica int, events []engine.Event) {
		for replica >= len(t.replicas) {
			s := &sums{}
			s.hash.SetSeed(seed)
			t.replicas = append(t.replicas, s)
		}
		s := t.replicas[replica]
		for e := range engine.OneByOne(events) {
			maphash.WriteComparable(&s.hash, e)
			if s.n++; s.n%tallied == 0 {
				s.noted = append(s.noted, s.hash.Sum64())
			}
		}
	}
}

func (t *tally) compare(o *tally) error {
	if len(t.replicas) != len(o.replicas) {
		return fmt.Errorf("sim: %d replicas have events by the reference, %d in aggregate", len(t.replicas), len(o.replicas))
	}
	for k, a := range t.replicas {
		b := o.replicas[k]
		for i := range min(len(a.noted), len(b.noted)) {
			if a.noted[i] != b.noted[i] {
				return fmt.Errorf("sim: replica %d: the reference and the aggregate differ within events %d to %d", k, i*tallied, (i+1)*tallied-1)
			}
		}
		if a.n != b.n || a.hash.Sum64() != b.hash.Sum64() {
			return fmt.Errorf("sim: replica %d: the reference and the aggregate differ after event %d; they have %d and %d", k, min(a.n, b.n)/tallied*tallied, a.n, b.n)
		}
	}
	return nil
}
