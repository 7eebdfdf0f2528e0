package steptime_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/steptime"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// steps are kinds of steps from one decode to a full budget of prompts.
func steps() []engine.Work {
	var all []engine.Work
	for _, n := range []int{1, 7, 64, 130, 256, 400, 512, 1000} {
		for _, context := range []int{1, 200, 4000} {
			all = append(all, *decodes(n, context))
		}
	}
	for _, tokens := range []units.Tokens{1, 16, 170, 512, 513, 2048, 8192} {
		for _, context := range []units.Tokens{0, 16, 8192} {
			w := *decodes(20, 300)
			w.Chunks = []engine.Chunk{{Tokens: tokens, Context: context}}
			w.Tokens += tokens
			w.Sampled++
			w.Running++
			all = append(all, w)
		}
	}
	return all
}

func cost(t steptime.Timer, w *engine.Work) (c engine.Cost) {
	t.Step(w, &c)
	return c
}

// deployments are every GPU of the fixtures with models of every kind.
func deployments(t *testing.T) []deploy.Deployment {
	var all []deploy.Deployment
	lib := fixtures.Library()
	for _, g := range lib.GPUs {
		if g.Bandwidth == 0 || g.PeakBF16 == 0 {
			continue
		}
		for _, name := range []string{"Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen3-30B-A3B"} {
			m, err := fixtures.Model(name)
			require.NoError(t, err)
			for _, quantization := range []string{"", "awq", "fp8"} {
				for _, tp := range []int{1, 2} {
					all = append(all, deploy.Deployment{Model: m, GPU: g, Engine: deploy.Engine{TensorParallelSize: tp, MaxNumSeqs: 1024,
						MaxNumBatchedTokens: 8192, DType: "bfloat16", Quantization: quantization}})
				}
			}
		}
	}
	return all
}

// No step is faster than the datasheet allows, on any GPU, measured or derived.
func TestNoStepBeatsThePhysics(t *testing.T) {
	for _, d := range deployments(t) {
		name := fmt.Sprintf("%s/%s/%s/tp=%d", d.GPU.ID, d.Model.ID, d.Engine.Quantization, d.Engine.TensorParallelSize)
		timer, err := steptime.For(d)
		require.NoError(t, err, name)
		for _, w := range steps() {
			mfu, share := timer.Utilization(&w)
			require.LessOrEqual(t, mfu, 1.0, "%s: MFU of %+v", name, w)
			require.LessOrEqual(t, share, 1.0, "%s: bandwidth share of %+v", name, w)
			require.Positive(t, mfu)
		}
	}
}

// The Timer's tables are the operators' times, rounded.
func TestTablesAgreeWithOperators(t *testing.T) {
	d := qwen7()
	fit, err := steptime.GPUProfile(d.GPU)
	require.NoError(t, err)
	timer, err := steptime.For(d)
	require.NoError(t, err)
	for _, w := range steps() {
		direct := steptime.GPUTime(d, fit, &w)
		require.InEpsilon(t, direct.Seconds(), timer.GPU(&w).Seconds(), 2e-3, "%+v", w)
	}
}

func TestMoreWorkTakesLonger(t *testing.T) {
	timer, err := steptime.For(qwen7())
	require.NoError(t, err)
	gpu := func(w *engine.Work) units.Span { return timer.GPU(w) }
	for n := 1; n < 1024; n++ { // a padded batch may take exactly as long as its neighbour
		require.GreaterOrEqual(t, gpu(decodes(n+1, 300)), gpu(decodes(n, 300))*99/100, "%d decodes", n+1)
	}
	for _, context := range []int{100, 1000, 10000} {
		require.Greater(t, gpu(decodes(64, 2*context)), gpu(decodes(64, context)))
	}
	prompt := func(n units.Tokens) *engine.Work {
		return &engine.Work{Chunks: []engine.Chunk{{Tokens: n}}, Tokens: n, Sampled: 1, Running: 1}
	}
	for n := units.Tokens(512); n < 8192; n += 512 {
		require.Greater(t, gpu(prompt(n+512)), gpu(prompt(n)))
	}
}

// What reads faster and computes faster is not slower, on any GPU and with any model.
func TestABetterDatasheetIsNeverSlower(t *testing.T) {
	for _, d := range deployments(t) {
		before, err := steptime.For(d)
		require.NoError(t, err)
		fit, err := steptime.GPUProfile(d.GPU)
		require.NoError(t, err)
		host, err := steptime.HostProfile(fit.DefaultHost)
		require.NoError(t, err)
		d.GPU.Bandwidth *= 1.5
		d.GPU.PeakBF16 *= 1.5
		d.GPU.PeakFP8 *= 1.5
		d.GPU.PeakINT8 *= 1.5
		after, err := steptime.New(d, fit, host)
		require.NoError(t, err)
		for _, w := range steps() {
			require.LessOrEqual(t, after.GPU(&w), before.GPU(&w), "%s: %+v", d.GPU.ID, w)
			a, b := cost(after, &w), cost(before, &w)
			require.Equal(t, b.Schedule+b.Launch+b.Update+b.Deliver, a.Schedule+a.Launch+a.Update+a.Deliver, "the host is the same")
		}
	}
}

// The engine is told all that the GPU computes, also where the host is slower.
func TestAStepHasAllOfItsParts(t *testing.T) {
	timer, err := steptime.For(qwen7())
	require.NoError(t, err)
	for _, w := range steps() {
		c := cost(timer, &w)
		require.Equal(t, timer.GPU(&w), c.GPU, "%+v", w)
		require.GreaterOrEqual(t, min(c.Schedule, c.Launch, c.Update, c.Deliver), units.Span(0))
	}
}

// What a step's cost says of the same step with more context and more ends is so, up to where it says; beyond, each token
// costs more.
func TestContextCostsWhatItSays(t *testing.T) {
	for _, d := range deployments(t) {
		timer, err := steptime.For(d)
		require.NoError(t, err)
		for _, w := range steps() {
			c := cost(timer, &w)
			for _, more := range []units.Tokens{1, 100, 10000} {
				w := w
				if w.DecodeContext += more; w.DecodeContext <= c.UpTo {
					require.Equal(t, c.GPU+c.PerContext*units.Span(more), timer.GPU(&w), "%s: %+v", d.GPU.ID, w)
				}
			}
		}
		for _, n := range []int{1, 2, 60, 61, 256, 1024} {
			for w := *decodes(n, 1); ; w.DecodeContext++ {
				c := cost(timer, &w)
				more := w
				upTo := min(c.UpTo, 1<<30)
				for more.Finishing, more.DecodeContext = range []units.Tokens{min(w.DecodeContext+1, upTo), (w.DecodeContext + upTo) / 2, upTo} {
					want := c
					want.Update += c.UpdateFinished * units.Span(more.Finishing)
					want.Deliver += c.DeliverFinished * units.Span(more.Finishing)
					want.GPU += c.PerContext * units.Span(more.DecodeContext-w.DecodeContext)
					require.Equal(t, want, cost(timer, &more), "%s: %d decodes, context %d and %d", d.GPU.ID, n, w.DecodeContext, more.DecodeContext)
				}
				if upTo < c.UpTo {
					break
				}
				w.DecodeContext = upTo
				beyond := w
				beyond.DecodeContext++
				require.Greater(t, timer.GPU(&beyond), timer.GPU(&w)+c.PerContext)
			}
		}
	}
}

func TestUnphysicalProfilesAreRefused(t *testing.T) {
	fit, err := steptime.GPUProfile(qwen7().GPU)
	require.NoError(t, err)
	fit.BF16.Efficiency = steptime.Curve{{1, 6.5}}
	require.ErrorContains(t, fit.Validate(), "a share of 6.5 of the physical limit")
	host, err := steptime.HostProfile("h100")
	require.NoError(t, err)
	host.Error = ""
	require.ErrorContains(t, host.Validate(), "error must all be stated")
}

// Pure decode of Qwen2.5-7B on an H100 as measured (median step, 128 tokens in, 64 out), milliseconds.
func TestDecodeLadderOfAnH100(t *testing.T) {
	timer, err := steptime.For(qwen7())
	require.NoError(t, err)
	for _, m := range []struct {
		n  int
		ms float64
	}{{1, 6.04}, {2, 6.05}, {4, 6.07}, {8, 6.15}, {16, 6.17}, {32, 6.23}, {64, 6.73}, {128, 7.38}, {256, 9.25}, {512, 15.8}} {
		require.InEpsilon(t, m.ms, timer.GPU(decodes(m.n, 158)).Milliseconds(), 0.031, "%d decodes", m.n)
	}
}
