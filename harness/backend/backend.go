// Package backend is the contract of everything that can serve a workload: the simulator, a live endpoint, a Ray
// cluster.
package backend

import (
	"context"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// Backend serves w on d and returns what happened. A deployment that fails is recorded in the Run; an error means
// that nothing could be measured.
type Backend interface {
	Run(ctx context.Context, d deploy.Deployment, w workload.Workload) (*record.Run, error)
}
