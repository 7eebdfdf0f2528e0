package memory

import (
	"fmt"
	"math"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Host is the memory of the machine beside its GPUs, and what a row of the data set takes of it.
type Host struct {
	RAM         units.Bytes
	ObjectStore units.Bytes // 0 = Ray's default
	Row         units.Bytes // one row with its prompt and answer, as Arrow holds it
}

// HostPlan holds the rows in flight against Ray's object store.
type HostPlan struct {
	RAM         units.Bytes
	ObjectStore units.Bytes
	Rows        int // in blocks that Ray must hold at once
	Demand      units.Bytes
	Fits        bool
	Reason      string
}

const (
	objectStoreShare = 0.3                    // ray: DEFAULT_OBJECT_STORE_MEMORY_PROPORTION
	objectStoreLimit = 200 * units.Bytes(1e9) // ray: DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES
	blocksHeld       = 3                      // a batch's input block, and two output blocks that wait to be taken
)

// ForHost is the second budget of a batch job: every batch in flight keeps its input block, and up to two finished
// blocks wait for the next operator. What does not fit is spilled to disk, which stalls the engine rather than
// stopping it.
func ForHost(d deploy.Deployment, h Host) HostPlan {
	p := HostPlan{RAM: h.RAM, ObjectStore: h.ObjectStore}
	if p.ObjectStore == 0 {
		p.ObjectStore = min(scaled(h.RAM, objectStoreShare), objectStoreLimit)
	}
	pipe := d.Pipeline
	p.Rows = max(1, pipe.BatchSize) * max(1, pipe.Concurrency) * max(1, pipe.Replicas) * blocksHeld
	p.Demand = units.Bytes(p.Rows) * h.Row
	p.Fits = p.Demand <= p.ObjectStore
	word := "fit into"
	if !p.Fits {
		word = "exceed"
	}
	p.Reason = fmt.Sprintf("%d rows in flight and in finished blocks, %v each, are %v: they %s the object store of %v", p.Rows, h.Row, p.Demand, word, p.ObjectStore)
	return p
}

// scaled is n × factor; the rounding keeps it the same on every machine.
func scaled(n units.Bytes, factor float64) units.Bytes {
	return units.Bytes(math.Round(float64(n) * factor))
}
