//go:build ray

package suite

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/testing-symbiote/symbiote/harness/backend"
)

const (
	exact       = false
	backendName = "ray"
)

// serving is the Ray backend: a cluster whose dashboard accepts jobs.
func serving() (backend.Backend, error) {
	address := os.Getenv("SYMBIOTE_RAY")
	if address == "" {
		return nil, errors.New("suite: -tags ray drives Ray Data on a cluster: set SYMBIOTE_RAY to the address of its dashboard, such as http://127.0.0.1:8265")
	}
	return nil, errors.New("suite: SYMBIOTE_RAY: this build holds no Ray backend")
}

func (c Case) writeEvents(context.Context, io.Writer, Result) error { return nil }
