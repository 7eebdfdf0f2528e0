package workload

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const trace = "arrival_s,prompt_tokens,output_tokens,hash_ids,stage\n0,100,5,7;8,0\n1.5,40,1,7,1\n1.5,0,1,7,1\n1.5,64,1,9,0\n2,64,0,9,0\n7,65,3,7;9,2\n"

// A trace that stays in its file is the trace that was read into memory.
func TestTraceFileIsTheTrace(t *testing.T) {
	name := filepath.Join(t.TempDir(), "t.csv")
	for _, text := range []string{trace, "arrival_s,prompt_tokens,output_tokens,prompt_id,cached_tokens\n0,100,5,x,64\n1,90,5,x,\n1,90,5,y,8\n"} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
		for _, o := range []TraceOptions{{}, {HashBlockTokens: 64}, {PrefixTokens: 30}, {Reuse: ReuseNone}} {
			read, err := ReadTrace(name, o)
			stays, fileErr := OpenTrace(name, o)
			require.Equal(t, err, fileErr)
			if err != nil {
				continue
			}
			require.Equal(t, read.Warnings, stays.Warnings)
			for _, n := range []int{1, 2, 100} {
				a, b := read.Head(n), stays.Head(n)
				require.Equal(t, a.String(), b.String())
				for range 2 {
					for _, arrivals := range []Arrivals{nil, Replay{RateScale: 3}, Poisson{Rate: 5}, AllAtOnce{}} {
						require.Equal(t, play(t, Load{Rows: a, Arrivals: arrivals}.Play(), 0), play(t, Load{Rows: b, Arrivals: arrivals}.Play(), 0))
					}
				}
				require.NoError(t, b.Err())
			}
		}
	}
	stays, err := OpenTrace(name, TraceOptions{})
	require.NoError(t, err)
	require.ErrorContains(t, Load{Rows: stays, Arrivals: Replay{Jitter: time.Second}}.Validate(), "jitter")
	require.NoError(t, os.WriteFile(name, []byte("arrival_s,prompt_tokens,output_tokens\n0,1,1\n"), 0o644))
	require.Len(t, play(t, Load{Rows: stays}.Play(), 0), 1)
	require.ErrorContains(t, stays.Err(), "the file ends after 1 rows, it had 3")
}
