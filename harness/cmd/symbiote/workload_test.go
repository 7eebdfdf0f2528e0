package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWorkloadFlags(t *testing.T) {
	dir := t.TempDir()
	trace := filepath.Join(dir, "t.csv")
	require.NoError(t, os.WriteFile(trace, []byte("arrival_s,prompt_tokens,output_tokens\n0,1,2\n1,3,4\n"), 0o600))
	file := filepath.Join(dir, "w.yaml")
	require.NoError(t, os.WriteFile(file, []byte("{arrivals: {kind: all}, requests: 3, prompt_tokens: 5, output_tokens: 6, seed: 9}"), 0o600))

	for _, c := range []struct {
		args    []string
		batches bool
		want    string // the workload, or
		err     string
	}{
		{args: []string{"-rate", "8", "-requests", "10", "-prompt-tokens", "lognormal:170,80,16,1024", "-seed", "4"},
			want: "10 rows prompt lognormal:170,80,16,1024 output 128 · poisson 8/s · seed 4"},
		{args: []string{"-closed-loop", "16", "-shared-prefix-tokens", "64", "-prefix-groups", "3"},
			want: "1000 rows prompt 512 output 128 shared prefix 64 in 3 groups · closed loop of 16 · seed 0"},
		{args: []string{"-trace", trace, "-rate-scale", "2"}, want: "2 rows of t.csv · replay ×2 · seed 0"},
		{args: []string{"-trace", trace, "-requests", "1", "-closed-loop", "2"}, want: "1 rows of t.csv · closed loop of 2 · seed 0"},
		{args: []string{"-workload", file}, want: "3 rows prompt 5 output 6 · all at once · seed 9"},
		{args: []string{"-workload", file, "-seed", "2"}, want: "3 rows prompt 5 output 6 · all at once · seed 2"},
		{args: []string{"-requests", "3"}, batches: true, want: "3 rows prompt 512 output 128 · all at once · seed 0"},
		{args: nil, err: "no workload"},
		{args: []string{"-rate", "8", "-closed-loop", "2"}, err: "-closed-loop and -rate are given together"},
		{args: []string{"-rate", "8"}, batches: true, err: "-rate is given, but with -pipeline"},
		{args: []string{"-rate", "-8"}, err: "rate = -8, want > 0"},
		{args: []string{"-rate", "NaN"}, err: "rate = NaN, want > 0"},
		{args: []string{"-rate", "8", "-requests", "0"}, err: "-requests = 0, want > 0"},
		{args: []string{"-rate", "8", "-prompt-tokens", "1.5"}, err: `-prompt-tokens: length "1.5", want a whole number`},
		{args: []string{"-rate", "8", "-prefix-groups", "2"}, err: "prefix groups = 2 without a shared prefix"},
		{args: []string{"-rate", "8", "-rate-scale", "2"}, err: "-rate-scale is given without -trace"},
		{args: []string{"-trace", trace, "-rate-scale", "0"}, err: "-rate-scale = 0, want > 0"},
		{args: []string{"-trace", trace, "-prompt-tokens", "5"}, err: "-prompt-tokens is given, but the -trace file says that"},
		{args: []string{"-workload", file, "-requests", "5"}, err: "-requests is given, but the -workload file says that"},
		{args: []string{"-trace", filepath.Join(dir, "absent.csv")}, err: "no such file"},
	} {
		set := flag.NewFlagSet("simulate", flag.ContinueOnError)
		f := addWorkloadFlags(set)
		require.NoError(t, set.Parse(c.args), c.args)
		l, _, err := f.load(c.batches)
		if c.err != "" {
			require.ErrorContains(t, err, c.err, c.args)
			continue
		}
		require.NoError(t, err, c.args)
		require.Equal(t, c.want, l.String(), c.args)
	}
}
