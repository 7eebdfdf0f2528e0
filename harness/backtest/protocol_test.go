package backtest_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/backtest"
)

// What differs, and why it will: both scrapes count requests that were not recorded, or that raced.
func knownDifferences() map[string]string {
	return map[string]string{
		"disconnect-metrics-after.json":   "of a refused list of prompts, two had reached the real scheduler before they were taken back; here none does",
		"metrics-idle-after-streams.json": "659 requests that were not recorded came before the scrape",
	}
}

func TestProtocol(t *testing.T) {
	rep, err := backtest.Protocol("testdata/http", "")
	require.NoError(t, err)
	require.Equal(t, 181, rep.Exchanges)
	require.Equal(t, 4, rep.Skipped)
	known := knownDifferences()
	for _, d := range rep.Different {
		if known[d.File] == "" {
			t.Errorf("%s: %s\n want %s\n  got %s", d.File, d.Where, d.Want, d.Got)
		}
	}
	require.LessOrEqual(t, len(rep.Different), len(known))
}

// The folder beside the repository, where there is one, may hold more than the repository's copy.
func TestProtocolSharedFolder(t *testing.T) {
	const dir = "../../../shared/groundtruth/http"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no folder ../shared/groundtruth/http beside the repository")
	}
	rep, err := backtest.Protocol(dir, "")
	require.NoError(t, err)
	require.GreaterOrEqual(t, float64(rep.Same), 0.95*float64(rep.Exchanges))
}

func TestProtocolSaysWhatItCannotRead(t *testing.T) {
	_, err := backtest.Protocol(t.TempDir(), "")
	require.ErrorContains(t, err, "no exchange")
	_, err = backtest.Protocol("testdata/none", "")
	require.Error(t, err)
}
