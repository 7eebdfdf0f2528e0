package live

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/units"
)

func TestOfferLacks(t *testing.T) {
	d := deploy.Deployment{
		Model:  catalog.Model{ID: "Qwen/Qwen2.5-7B-Instruct"},
		GPU:    catalog.GPU{ID: "h100-sxm", Memory: units.Gibibytes(79.18)},
		Engine: deploy.Engine{MaxModelLen: 8192, TensorParallelSize: 2},
	}
	at := func(model, root string, length, blocks int) Offer {
		return Offer{Server: Server{URL: "http://x", Model: model, Root: root, MaxModelLen: length}, NumBlocks: blocks}
	}
	for _, c := range []struct {
		o    Offer
		want string
	}{
		{at("qwen", "/models/qwen2.5-7b-instruct", 8192, 1000), ""},
		{at("Qwen2.5-7B-Instruct", "", 0, 0), ""},
		{at("tiny", "/models/tiny", 8192, 1000), "serves tiny"},
		{at("Qwen2.5-7B-Instruct", "", 4096, 1000), "--max-model-len 4096"},
		{at("Qwen2.5-7B-Instruct", "", 8192, 300), "300 KV blocks"},
		{Offer{}, "no NVIDIA GPU"},
		{parseGPUs("NVIDIA H100 80GB HBM3, 81559\nNVIDIA H100 80GB HBM3, 81559\n"), ""},
		{parseGPUs("NVIDIA H100 80GB HBM3, 81559\n"), "1 GPUs, the case needs 2"},
		{parseGPUs("NVIDIA L4, 23034\nNVIDIA L4, 23034\n"), "NVIDIA L4 with 22.49GiB"},
	} {
		got := c.o.Lacks(d, 1000)
		if c.want == "" {
			require.Empty(t, got)
		} else {
			require.Contains(t, got, c.want)
		}
	}
}
