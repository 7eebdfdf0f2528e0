//go:build gpu && !ray

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
	backendName = "live"
)

// serving is the live backend: a running server, or a command that starts one for each deployment.
func serving() (backend.Backend, error) {
	endpoint, command := os.Getenv("SYMBIOTE_ENDPOINT"), os.Getenv("SYMBIOTE_VLLM")
	if endpoint == "" && command == "" {
		return nil, errors.New("suite: -tags gpu drives a live vLLM: set SYMBIOTE_ENDPOINT to the address of a running server, or SYMBIOTE_VLLM to a command that starts one, such as vllm")
	}
	return nil, errors.New("suite: SYMBIOTE_ENDPOINT and SYMBIOTE_VLLM: this build holds no live backend")
}

func (c Case) writeEvents(context.Context, io.Writer, Result) error { return nil }
