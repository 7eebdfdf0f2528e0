//go:build gpu && !ray

package suite

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/backend"
	"github.com/testing-symbiote/symbiote/harness/backend/live"
	"github.com/testing-symbiote/symbiote/harness/backend/sim"
)

const (
	exact       = false
	backendName = "live"
)

// serving is the live backend: a running server, or a command that starts one for each deployment.
func serving() (backend.Backend, error) {
	endpoint, command := os.Getenv("SYMBIOTE_ENDPOINT"), os.Getenv("SYMBIOTE_VLLM")
	if endpoint == "" && command == "" {
		return nil, errors.New("suite: -tags gpu drives a live vLLM: set SYMBIOTE_ENDPOINT to the address of a running server, or SYMBIOTE_VLLM to a command that starts one, such as vllm")
	}
	return live.Backend{Endpoint: endpoint, Launch: strings.Fields(command), Beside: sim.Backend{}, Log: os.Stderr}, nil
}

func (c Case) writeEvents(context.Context, io.Writer, Result) error { return nil }
