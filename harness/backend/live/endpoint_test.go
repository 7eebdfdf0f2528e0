//go:build gpu

package live_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/backend/backendtest"
	"github.com/testing-symbiote/symbiote/harness/backend/live"
	"github.com/testing-symbiote/symbiote/harness/deploy"
)

// Whatever server is there, of any model on any hardware, every law of a backend holds on it, in each state of its
// prefix cache that can be declared.
func TestEndpoint(t *testing.T) {
	endpoint := os.Getenv("SYMBIOTE_ENDPOINT")
	if endpoint == "" {
		t.Skip("SYMBIOTE_ENDPOINT is not set: no server to hold to the laws")
	}
	for _, cache := range []live.Cache{live.Cold(), live.Warm(), live.Hit(0.95)} {
		for _, l := range backendtest.Small() {
			t.Run("cache="+cache.String()+"/load="+l.Name, func(t *testing.T) {
				m, err := live.Backend{Endpoint: endpoint, Cache: cache}.Measure(t.Context(), deploy.Deployment{}, l.Play)
				require.NoError(t, err)
				require.Nil(t, m.Run.Failure)
				backendtest.Check(t, m.Run, l)
				require.NoError(t, m.Cache.Broken())
				require.Equal(t, "server", m.Tokens)
				for _, line := range append(m.Run.Provenance.Notes, m.Run.Warnings...) {
					t.Log(line)
				}
			})
		}
	}
}
