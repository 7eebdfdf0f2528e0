package backtest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/backtest"
)

// Start-ups of vLLM on one H100 that this project measured.
const h100Starts = `tag,model,quant,gpu,vllm,runner,tp,max_num_seqs,max_num_batched_tokens,max_model_len,gpu_memory_utilization,enforce_eager,total_gib,weights_gib,kv_gib,kv_tokens,num_gpu_blocks
q05,Qwen2.5-0.5B,bf16,H100-SXM-80GB,0.26.0,V2,1,1024,8192,32768,0.92,0,79.18,0.93,71.35,6234416,389651
q7,Qwen2.5-7B,bf16,H100-SXM-80GB,0.26.0,V2,1,1024,8192,32768,0.92,0,79.18,14.29,57.21,1071136,66946
q7_eager,Qwen2.5-7B,bf16,H100-SXM-80GB,0.26.0,V2,1,1024,8192,4096,0.92,1,79.18,14.29,57.21,1071264,66954
q7_t2048,Qwen2.5-7B,bf16,H100-SXM-80GB,0.26.0,V2,1,256,2048,32768,0.92,0,79.18,14.29,57.29,1072672,67042
q14,Qwen2.5-14B,bf16,H100-SXM-80GB,0.26.0,V2,1,1024,8192,32768,0.92,0,79.18,27.57,43.44,237248,14828
7b_awq,Qwen2.5-7B,awq,H100-SXM-80GB,0.26.0,V2,1,1024,8192,4096,0.92,0,79.18,5.38,66.12,1238032,77377
`

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestMemoryOfOwnStarts(t *testing.T) {
	rep, err := backtest.Memory(write(t, "starts.csv", h100Starts))
	require.NoError(t, err)
	require.Equal(t, 6, rep.Predicted)
	require.Equal(t, 6, rep.Right)
	require.LessOrEqual(t, rep.KVError.Max, 0.03)
	require.True(t, rep.Inside(0.03))
	require.False(t, rep.Inside(0.001))
	for _, o := range rep.PerCase {
		require.InEpsilon(t, *o.TokensPrinted, o.TokensPredicted, 0.001, o.ID)
	}
}

func TestMemoryOfPublishedStarts(t *testing.T) {
	const file = "../../../shared/memory/cases.csv"
	if _, err := os.Stat(file); err != nil {
		t.Skip("needs ../shared/memory/cases.csv")
	}
	rep, err := backtest.Memory(file)
	require.NoError(t, err)
	require.Equal(t, rep.Cases, rep.Predicted+len(rep.Skipped))
	require.GreaterOrEqual(t, rep.Predicted, 115)
	require.LessOrEqual(t, rep.KVError.P90, 0.15)
	require.LessOrEqual(t, rep.KVError.Mean, 0.075)
	require.LessOrEqual(t, rep.KVErrorCached.Mean, 0.05)
	require.LessOrEqual(t, rep.KVErrorOthers.Mean, 0.125)
	require.LessOrEqual(t, rep.LeftOut.Mean, 0.14)
	require.LessOrEqual(t, rep.Wrong, 1)
	for _, s := range rep.Skipped {
		require.NotEmpty(t, s.Why, s.ID)
	}
}

// What a row says besides its arguments: a warm compile cache, a card under WSL, arguments as Python spells them, and
// a verdict in words of its own, which counts nowhere.
func TestWhatRowsSay(t *testing.T) {
	header := "case_id,model,model_key,gpu,gpu_total_gib,tensor_parallel_size,gpu_memory_utilization,max_model_len_tokens,vllm_version,engine,kv_cache_available_gib,verdict,quote,notes\n"
	plan := func(quote, notes string) backtest.MemoryOutcome {
		row := "r,Qwen/Qwen2.5-7B-Instruct-AWQ,,RTX 5070 Ti 16GB,,1,0.9,4096,0.20.0,V1,6,perhaps," + quote + "," + notes + "\n"
		rep, err := backtest.Memory(write(t, "f.csv", "\ufeff"+header+row))
		require.NoError(t, err)
		require.Equal(t, 1, rep.Predicted, "%v", rep.Skipped)
		require.Zero(t, rep.Right+rep.Wrong)
		return rep.PerCase[0]
	}
	plain := plan("", "").KVPredicted
	require.InDelta(t, plain+0.49, plan("", "warm torch.compile cache").KVPredicted, 0.02)
	require.InDelta(t, plain+0.9*(16303.0/1024-15.47), plan("", "WSL2").KVPredicted, 0.001)
	require.InDelta(t, plain+1.042-1.1, plan(`"(enforce_eager=True, max_model_len=4096)"`, "").KVPredicted, 0.15, "8,192 tokens a step")
}

func TestMemoryRefusesFiles(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"empty", "", "no header"},
		{"other columns", "a,b\n1,2\n", `column "case_id" is missing`},
		{"no rows", strings.SplitAfter(h100Starts, "\n")[0], "no start-up"},
		{"text for a number", strings.Replace(h100Starts, "1,1024,8192,32768", "1,many,8192,32768", 1), `max_num_seqs = "many", want a number`},
		{"ragged", h100Starts + "x,y\n", "wrong number of fields"},
		{"no number", strings.Replace(h100Starts, ",79.18,", ",NaN,", 1), `total_gib = "NaN", want a number`},
		{"no memory", strings.Replace(h100Starts, ",79.18,", ",0,", 1), "total_gib = 0, want more than 0"},
		{"fewer than no ranks", strings.Replace(h100Starts, "V2,1,", "V2,-1,", 1), "tp = -1, want a whole number ≥ 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := backtest.Memory(write(t, "f.csv", c.content))
			require.ErrorContains(t, err, c.want)
		})
	}
}
