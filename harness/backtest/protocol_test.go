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
	for _, c := range []struct {
		dir                string
		exchanges, skipped int
		known              map[string]string
	}{
		{"testdata/http", 181, 4, knownDifferences()},
		{"testdata/http-more", 543, 0, knownFurtherDifferences()},
	} {
		t.Run(c.dir, func(t *testing.T) {
			rep, err := backtest.Protocol(c.dir, "")
			require.NoError(t, err)
			require.Equal(t, c.exchanges, rep.Exchanges)
			require.Equal(t, c.skipped, rep.Skipped)
			onlyKnown(t, rep, c.known)
		})
	}
}

func onlyKnown(t *testing.T, rep *backtest.ProtocolReport, known map[string]string) {
	t.Helper()
	for _, d := range rep.Different {
		if known[d.File] == "" {
			t.Errorf("%s: %s\n want %s\n  got %s", d.File, d.Where, d.Want, d.Got)
		}
	}
	require.LessOrEqual(t, len(rep.Different), len(known))
}

func knownFurtherDifferences() map[string]string {
	return map[string]string{
		"c-structured_outputs-1.json": "a regular expression that the real grammar compiler takes and its engine then fails on",
		"h-messages-16.json":          "a page of errors of pydantic's iterator over the parts of a message's content",
		"h-nomax.json":                "the real model stops at a token that it happens to sample",
		"r-17.json":                   "the documentation's page is not served",
		"r-18.json":                   "the API's description is not served",
		"r-27.json":                   "the stand-in has no Python garbage collector to count",
	}
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
