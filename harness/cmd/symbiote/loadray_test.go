package main

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
)

func TestSharesOfALoadAddUp(t *testing.T) {
	f := newLoadFlags(io.Discard)
	require.NoError(t, f.set.Parse(strings.Fields("-endpoint http://e -ray http://r -ray-workers 3 -rate 9 -requests 100 -seed 5 -json -prompt-tokens 64")))
	shares, err := f.shares()
	require.NoError(t, err)
	require.Equal(t, []string{
		"load -repeats 1 -endpoint=http://e -prompt-tokens=64 -requests 33 -seed 5 -rate 3",
		"load -repeats 1 -endpoint=http://e -prompt-tokens=64 -requests 33 -seed 6 -rate 3",
		"load -repeats 1 -endpoint=http://e -prompt-tokens=64 -requests 34 -seed 7 -rate 3",
	}, []string{strings.Join(shares[0], " "), strings.Join(shares[1], " "), strings.Join(shares[2], " ")})

	for args, why := range map[string]string{
		"-trace x.csv":           "-ray divides a -rate",
		"-rate 1 -requests 2":    "want at most the requests",
		"-closed-loop 2":         "those of -closed-loop",
		"-rate 1 -ray-workers 0": "-ray-workers = 0",
		"-rate 1 -journal j":     "stay on this machine",
	} {
		f := newLoadFlags(io.Discard)
		require.NoError(t, f.set.Parse(strings.Fields("-endpoint http://e -ray http://r -ray-workers 3 "+args)))
		_, err := f.shares()
		require.ErrorContains(t, err, why, args)
	}
}

func TestMergedRunsCountEveryRequestAndGap(t *testing.T) {
	run := func(n int) *record.Run {
		r := &record.Run{Start: 0, End: units.Time(units.Second)}
		for i := range n {
			r.Requests = append(r.Requests, record.Record{ID: i, Sent: 1, Last: units.Time(units.Second), First: units.Never})
		}
		r.Gaps.Add(units.Millisecond, int64(n))
		return r
	}
	all := &record.Run{Start: units.Never}
	appendRun(all, run(3), 0, 0)
	appendRun(all, run(4), 2*units.Second, 1)
	all.Gaps.Settle()
	require.Len(t, all.Requests, 7)
	require.Equal(t, 6, all.Requests[6].ID)
	require.Equal(t, units.Time(3*units.Second), all.Requests[6].Last)
	require.Equal(t, units.Never, all.Requests[6].First)
	require.Equal(t, units.Time(3*units.Second), all.End)
	require.EqualValues(t, 7, all.Gaps.Count)
}
