package calibrate

import (
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/fixtures/calibration"
	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/steptime"
)

// shared is a folder of other people's and our own measurements beside the repository.
func shared(t *testing.T, folder string) string {
	dir := "../../../shared/groundtruth/" + folder
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no folder ../shared/groundtruth/%s beside the repository", folder)
	}
	return dir
}

func h100(t *testing.T) Profiles {
	gpu, err := steptime.GPUProfile(catalog.GPU{ID: "h100-sxm"})
	require.NoError(t, err)
	host, err := steptime.HostProfile("h100")
	require.NoError(t, err)
	return Profiles{gpu, host}
}

// A fit to GEMM times that follow the model finds the figures they were made with.
func TestGEMMFitFindsWhatMadeTheTimes(t *testing.T) {
	truth := steptime.GEMM{FixedUS: 3, Efficiency: steptime.Curve{{1, 0.8}, {128, 0.7}, {8192, 0.6}}}
	var rows []gemmRow
	for _, m := range rowNodes {
		for _, nk := range []float64{2048, 4096, 8192} {
			r := newGEMMRow(m, nk, nk, 2, 0, 3e12, 900e12)
			r.us = gemmTime(r, truth)
			rows = append(rows, r)
		}
	}
	var got steptime.GEMM
	rep := fitGEMMRows(rows, &got)
	require.Equal(t, 3.0, got.FixedUS)
	require.InDelta(t, 0.8, got.Efficiency.At(1), 0.01)
	require.InDelta(t, 0.6, got.Efficiency.At(8192), 0.01)
	require.Less(t, rep.MeanAbs, 1.0)
}

func TestSearchFindsAMinimum(t *testing.T) {
	x, least := search([]float64{1, 1}, func(x []float64) float64 { return math.Abs(math.Log(x[0]/3)) + math.Abs(math.Log(x[1]/0.2)) })
	require.Less(t, least, 0.1)
	require.InEpsilon(t, 3, x[0], 0.1)
}

func TestFreeFiguresAreFoundByName(t *testing.T) {
	p := h100(t)
	before := p.GPU.BF16.Efficiency.At(512)
	figures, err := freeFigures(&p, []string{"gpu.sustained", "host.connection_us", "gpu.gemm_bf16.efficiency@512", "gpu.all_reduce@4.skew_us", "gpu.gemm_int4.efficiency"})
	require.NoError(t, err)
	figures[0].set(0.5)
	figures[1].set(7)
	figures[2].set(0.25)
	figures[3].set(9)
	require.Equal(t, 0.5, p.GPU.Sustained)
	require.Equal(t, 7.0, p.Host.Connection)
	require.Equal(t, 0.25, p.GPU.BF16.Efficiency.At(512))
	require.Equal(t, 9.0, p.GPU.AllReduce[1].SkewUS)
	figures[4].set(100)
	require.Equal(t, 1.0, p.GPU.INT4.Efficiency[0][1], "a share of the roofline stays at most 1")
	require.InDelta(t, before, h100(t).GPU.BF16.Efficiency.At(512), 0, "the profile it was opened from is untouched")

	_, err = freeFigures(&p, []string{"gpu.speed"})
	require.ErrorContains(t, err, `free figure gpu.speed: no field "speed"`)
}

func TestShippedRecipeIsReadable(t *testing.T) {
	r, err := DecodeRecipe("recipe.json", calibration.Recipe())
	require.NoError(t, err)
	fitted := map[string]bool{}
	for _, f := range r {
		fitted[f.GPU], fitted[f.Host] = true, true
		p := h100(t)
		_, err := freeFigures(&p, f.Free)
		require.NoError(t, err)
	}
	require.True(t, r[len(r)-1].Derive)
	for _, id := range calibration.Hosts() {
		require.True(t, fitted[id], "profile %s comes from no fit", id)
	}
	for _, g := range fixtures.Library().GPUs {
		p, err := steptime.GPUProfile(g)
		require.NoError(t, err)
		require.Contains(t, calibration.GPUs(), g.ID)
		if !fitted[g.ID] {
			require.Equal(t, steptime.Sibling(g), p.Derived, g.ID)
			require.Contains(t, p.Error, "not measured", g.ID)
			require.Contains(t, p.Error, "25 %", "wider than any that was measured")
		}
	}
}

func TestKernelTablesBecomeAProfile(t *testing.T) {
	dir := shared(t, "kernels/aiconfigurator")
	p := h100(t)
	g := catalog.GPU{ID: "h100-sxm", Bandwidth: 3.35e12, PeakBF16: 989.4e12, PeakFP8: 1978.9e12, Interconnect: 450e9, L2: 50 << 20}
	got, reports, err := Kernels(g, p.GPU, dir, "h100_sxm_vllm0.24.0")
	require.NoError(t, err)
	require.NoError(t, got.Validate())
	require.Len(t, reports, 5)
	require.Less(t, reports[0].MeanAbs, 8.0, "bf16 matrices")
	require.Less(t, reports[2].MeanAbs, 5.0, "decode attention")

	_, _, err = Kernels(g, p.GPU, dir, "h101")
	require.ErrorContains(t, err, "no table named h101_gemm_bfloat16.csv.gz")
}

// The GPU's time of a step that it bounded is known to a few percent, on runs that nothing was fitted on too.
func TestStepsAreHeldOutByRun(t *testing.T) {
	runs, err := ReadRuns(shared(t, "h100"))
	require.NoError(t, err)
	live, err := Steps(runs, h100(t))
	require.NoError(t, err)
	require.Greater(t, live.GPUSteps, 20)
	require.Less(t, live.GPUError, 8.0)
	require.Less(t, live.HostError, 40.0)
	for _, name := range live.HeldOut {
		require.NotContains(t, live.FittedOn, name)
	}
	_, err = Steps(runs[:2], h100(t))
	require.ErrorContains(t, err, "want at least 3")
}

// What a profile without measurements of its own says of the GPU is nearer than it promises, on runs that are shipped.
func TestADerivedProfileKeepsWhatItSays(t *testing.T) {
	runs, err := ReadRuns("../../fixtures/calibration/h200")
	require.NoError(t, err)
	g, err := fixtures.GPU("h200-sxm")
	require.NoError(t, err)
	n, pct := gpuError(runs, h100(t).GPU.Derive(g))
	require.Greater(t, n, 200)
	require.Less(t, pct, 3.0, "the datasheet with the H100's shares")
	fitted, err := steptime.GPUProfile(g)
	require.NoError(t, err)
	_, pct = gpuError(runs, fitted)
	require.Less(t, pct, 1.5, "fitted on other servers")
}

func TestStepsSayWhatTheyComputed(t *testing.T) {
	r := Run{Blocks: 1000}
	r.Deployment.Engine.BlockSize = 16
	w := Step{Prefills: 2, PrefillTokens: 301, Decodes: 8, Usage: 0.05}.work(&r)
	require.Equal(t, []engine.Chunk{{Tokens: 150}, {Tokens: 151}}, w.Chunks)
	require.EqualValues(t, 309, w.Tokens)
	require.Equal(t, 10, w.Sampled)
}
