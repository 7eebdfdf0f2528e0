// Package record is what a run leaves behind: one Record a request, Samples over time, and where it all came from.
package record

import (
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// Record is the life of one request. Instants are on the client's clock, Never where it was not reached.
type Record struct {
	ID      int
	Stage   int
	Replica int

	Intended units.Time // when the schedule wanted it sent
	Sent     units.Time // when it was sent: latencies count from Intended, lag is Sent − Intended
	Admitted units.Time // first scheduled by the engine; Never where the backend cannot see it
	First    units.Time // first token
	Last     units.Time // last token

	Prompt      units.Tokens
	Output      units.Tokens // tokens received
	Cached      units.Tokens // prompt tokens that were prefix-cache hits at first admission
	Preemptions int
	Recomputed  units.Tokens // tokens computed again after preemptions
	LongestGap  units.Span   // between two tokens; 0 where the backend does not track it a request

	Outcome failure.Class // None = complete
	Detail  string        // the error text of a failure
}

// Sample is the state of one engine at an instant.
type Sample struct {
	At      units.Time `json:"at_ps"`
	Replica int        `json:"replica"`
	Running int        `json:"running"`
	Waiting int        `json:"waiting"`
	Usage   float64    `json:"kv_usage"` // of the KV cache, 0..1, as vLLM reports it
}

// Run is everything that one run of a workload on a deployment left behind.
type Run struct {
	Requests []Record // in the order in which they were sent
	Samples  []Sample // engine state over time, thinned to a bound; empty where the backend cannot see it
	Gaps     Gaps     // every gap between two tokens of one request, pooled: the inter-token latencies

	Start, End units.Time     // first intended send, last token
	Failure    *failure.Error // the deployment did not start, or its engine died; nil otherwise
	Engine     Engine
	Provenance Provenance
	Warnings   []string
}

// Engine is what the engine counted over the run, replicas summed.
type Engine struct {
	NumBlocks   units.Blocks `json:"num_gpu_blocks"` // the null block included, as vLLM prints it; of one replica
	Steps       int          `json:"steps"`
	Preemptions int          `json:"preemptions"`
	Recomputed  units.Tokens `json:"recomputed_tokens"`
	Queries     units.Tokens `json:"prefix_queries"` // prefix cache
	Hits        units.Tokens `json:"prefix_hits"`
	Evictions   int          `json:"evictions"` // blocks that were handed out while they were cached
	UsagePeak   float64      `json:"kv_usage_peak"`
	RunningPeak int          `json:"running_peak"`
	WaitingPeak int          `json:"waiting_peak"`
	RunningMean float64      `json:"running_mean"` // over time
	WaitingMean float64      `json:"waiting_mean"`
	UsageMean   float64      `json:"kv_usage_mean"`
	BusyTime    units.Span   `json:"busy_ps"` // the GPU computed
}

// Provenance says where the numbers of a run come from.
type Provenance struct {
	Backend     string // sim, live, ray
	Seed        uint64
	VLLMVersion string
	Host        string // host profile
	ModelError  string // the model's measured error, in words, for a simulated run
	Notes       []string
}
