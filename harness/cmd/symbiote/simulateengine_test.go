package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAdviceForAnEngineIsTried(t *testing.T) {
	t.Chdir(written(t, map[string]string{"d.yaml": "model: Qwen/Qwen2.5-0.5B-Instruct\ngpu: a100-40gb-sxm\nengine: {max_num_seqs: 16}\n"}))
	var out, err bytes.Buffer
	const load = "simulate -deployment d.yaml -rate 80 -requests 2000 -prompt-tokens 170 -output-tokens 100 -slo-ttft-ms 1000 -slo-tpot-ms 50 -advise"
	require.Equal(t, 1, run(strings.Fields(load), &out, &err), "the SLO is missed: %s", err.String())
	require.Regexp(t, `advice: raise --max-num-seqs from 16 to 64: .* Before: [\d.]+% met the SLO, goodput [\d.]+/s. After: [\d.]+% met`, out.String())
	require.Contains(t, out.String(), "tried in vain: raise --max-num-batched-tokens")

	out.Reset()
	require.Equal(t, 1, run(strings.Fields("simulate -model Qwen/Qwen2.5-14B-Instruct -gpu rtx-4090 -rate 1 -requests 10 -prompt-tokens 100 -output-tokens 10 -advise"), &out, &err))
	require.Contains(t, out.String(), "advice: use gptq-int4 weights", "a deployment that does not start is advised, too")
}
