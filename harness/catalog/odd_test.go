package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/catalog"
)

// Configs as they are published: nested, terse, null where nothing is meant, with every kind of rope.
func TestOddConfigs(t *testing.T) {
	for file, check := range map[string]func(*testing.T, catalog.Model){
		"nested-and-terse": func(t *testing.T, m catalog.Model) {
			require.Equal(t, []int{48, 16, 8, 256, 262208, 131072}, []int{m.Layers, m.Heads, m.KVHeads, m.HeadDim, m.VocabSize, m.MaxModelLen})
			require.Equal(t, 9*131072, m.RotaryPositions, "eight times the context, and the windowed layers' own")
			require.True(t, m.TieWordEmbeddings)
			require.Equal(t, &catalog.SlidingWindow{Window: 1024, Layers: 40}, m.SlidingWindow)
		},
		"rope-by-layer-kind": func(t *testing.T, m catalog.Model) {
			require.Equal(t, 2*32768, m.RotaryPositions)
			require.Equal(t, &catalog.SlidingWindow{Window: 512, Layers: 22}, m.SlidingWindow)
		},
		"no-head-dim": func(t *testing.T, m catalog.Model) {
			require.Equal(t, 128, m.HeadDim, "its class has 128, not 2560/32")
		},
		"no-kv-heads-no-tie": func(t *testing.T, m catalog.Model) {
			require.Equal(t, 32, m.KVHeads)
			require.False(t, m.TieWordEmbeddings)
		},
		"tied-by-default": func(t *testing.T, m catalog.Model) { require.True(t, m.TieWordEmbeddings) },
		"longrope": func(t *testing.T, m catalog.Model) {
			require.Equal(t, 131072, m.MaxModelLen)
			require.Equal(t, 131072+4096, m.RotaryPositions)
		},
		"dynamic-ntk": func(t *testing.T, m catalog.Model) { require.Equal(t, 65536, m.MaxModelLen) },
		"partial-rotary-yarn": func(t *testing.T, m catalog.Model) {
			require.Equal(t, 131072, m.MaxModelLen)
			require.Equal(t, 64, m.RotaryDim)
			require.Nil(t, m.SlidingWindow)
		},
		"tiled-fp8": func(t *testing.T, m catalog.Model) {
			require.Equal(t, &catalog.Quantization{Method: "fp8", Bits: 8, GroupSize: 128 * 128}, m.Quantization)
			require.Equal(t, 3, m.MoE.DenseLayers)
		},
		"modelopt-inside-text": func(t *testing.T, m catalog.Model) {
			require.Equal(t, &catalog.Quantization{Method: "nvfp4", Bits: 4, GroupSize: 16}, m.Quantization)
			require.Positive(t, m.VisionParams)
		},
	} {
		t.Run(file, func(t *testing.T) {
			m, err := catalog.Library{}.Model("testdata/odd/" + file + ".json")
			require.NoError(t, err)
			require.Equal(t, file, m.ID)
			check(t, m)
		})
	}
}
