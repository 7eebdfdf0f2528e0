package kvcache

import (
	"strings"

	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// twin is the same load on a cache that is an eighth, or eight times, as large. Where the prefixes decide, it is they that
// are not found, or few enough to be.
func twin(c suite.Case) suite.Twin {
	off := false
	twin := suite.Twin{Case: c}
	switch holds := !strings.Contains(c.Want.Says, "breaks"); {
	case holds && shares(suite.Result{Case: c}):
		twin.Is, twin.On.Engine.EnablePrefixCaching = "prefix=off", &off
	case holds:
		twin.Is, twin.On.Engine.NumGPUBlocksOverride = "cache=1/8", c.On.Engine.NumGPUBlocksOverride/8
	case c.Name == "kv_thrash":
		load := c.Play.(workload.Load)
		rows := load.Rows.(workload.Rows)
		rows.Groups = 4
		twin.Is, twin.Play = "groups=4", rows.At(load.Arrivals)
	default:
		twin.Is, twin.On.Engine.NumGPUBlocksOverride = "cache=8x", c.On.Engine.NumGPUBlocksOverride*8
	}
	return twin
}
