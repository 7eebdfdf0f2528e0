package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// interrupted is a context that ends when somebody has looked at it so often.
type interrupted struct {
	context.Context
	looks *int
}

func (c interrupted) Err() error {
	if *c.looks--; *c.looks < 0 {
		return context.Canceled
	}
	return nil
}

// Ctrl-C prints what was measured so far and says that it is a part.
func TestSimulateInterruptedSaysThatItIsPartial(t *testing.T) {
	const args = "-model Qwen/Qwen2.5-7B-Instruct -gpu h100-sxm -rate 40 -requests 20000 -json"
	var whole, part struct {
		Requests, Completed int
		Warnings            []string
		Duration            float64            `json:"duration_s"`
		TTFT                map[string]float64 `json:"ttft_ms"`
	}
	var out, err bytes.Buffer
	require.Equal(t, 0, simulate(context.Background(), strings.Fields(args), &out, &err), err.String())
	require.NoError(t, json.Unmarshal(out.Bytes(), &whole))
	require.Equal(t, 20000, whole.Completed)
	require.NotContains(t, strings.Join(whole.Warnings, "; "), "interrupted")

	out.Reset()
	looks := 3
	require.Equal(t, 0, simulate(interrupted{context.Background(), &looks}, strings.Fields(args), &out, &err), err.String())
	require.NoError(t, json.Unmarshal(out.Bytes(), &part))
	require.Positive(t, part.Completed)
	require.Less(t, part.Completed, 20000)
	require.Equal(t, part.Completed, part.Requests, "those in flight are left out")
	require.InDelta(t, whole.Duration*float64(part.Completed)/20000, part.Duration, whole.Duration/50)
	require.Positive(t, part.TTFT["p99"])
	require.Contains(t, strings.Join(part.Warnings, "; "), fmt.Sprintf("interrupted: the figures are of the first %d requests to end", part.Completed))

	out.Reset()
	err.Reset()
	looks = 3
	require.Equal(t, 0, simulate(interrupted{context.Background(), &looks}, strings.Fields(strings.TrimSuffix(args, " -json")), &out, &err))
	require.Contains(t, out.String(), fmt.Sprintf("requests %d,", part.Requests))
	require.Contains(t, err.String(), "warning: interrupted")
}

func TestProgressSaysHowFarAndHowLong(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	line := progress(&out, 1000, func() time.Time { return now })
	line(0, 10, 1) // at once: nothing
	now = now.Add(10 * time.Second)
	line(units.Time(90*units.Second), 300, 250)
	line(units.Time(91*units.Second), 300, 251) // too soon
	require.Equal(t, "\r 25%  simulated 1m30s, 250 of 1000 done, 30s left   ", out.String())
}
