// Package ray hides how a Ray cluster is made to run a pipeline and to tell what became of each row: Ray's Jobs REST
// interface on this side, the script pipe.py on the other.
//
//	b := ray.Backend{Cluster: ray.Cluster{Dashboard: "http://127.0.0.1:8265"}, Endpoint: "http://127.0.0.1:8000/v1"}
//	run, err := b.Run(ctx, d, workload.Pipeline{Rows: rows, Kind: workload.HTTP, BatchSize: 64, Blocks: 16, MaxActors: 2})
//
// Nothing is started or installed here: the cluster is whoever's it is, and only jobs that this package submitted are
// ever stopped. Every wait is bounded (Limits), and a job that is no longer waited for is stopped first.
//
// Read backend.go (what a run is), follow.go (the life of a job), jobs.go (the REST calls), rows.go (one outcome a
// row), pipe.py (the other side).
//
// # Decisions
//
// Ray Data's own stages run unmodified. Instants are noted where Ray lets a user's code stand: in the HTTP stage's
// session, in a subclass of the vLLM stage. A small actor outside the pool keeps account of what was sent, since an
// actor that dies takes its own account with it.
//
// The results come by the job's log, because it is the one thing that REST gives back; it survives a driver that is
// killed.
package ray
