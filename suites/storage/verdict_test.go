package storage

import (
	"fmt"

	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/units"
)

const (
	production = "production"
	tight      = "tight"
	no         = "does not fit"
)

// need is the KV cache of the load, in blocks and bytes on one GPU.
func need(p memory.Plan) (int, units.Bytes) {
	blocks := sequences * units.CeilDiv(tokens, max(1, p.Deployment.Engine.BlockSize))
	return blocks, units.Bytes(blocks) * p.BlockBytes
}

// holds says whether the load finds its blocks; the null block is never given out.
func holds(p memory.Plan) bool {
	blocks, _ := need(p)
	return int(p.NumBlocks)-1 >= blocks
}

// used is the share of the budget that is in use under the load.
func used(r suite.Result) float64 {
	p := r.Plan
	_, kv := need(p)
	return float64(p.Budget-p.KVCache+kv) / float64(p.Budget)
}

func verdict(r suite.Result) string {
	switch {
	case r.Failure != nil || !holds(r.Plan):
		return no
	case used(r) <= 0.85:
		return production
	}
	return tight
}

func is(want string) suite.Want {
	return suite.Want{Says: "is " + want, Check: func(r suite.Result) error {
		if got := verdict(r); got != want {
			return fmt.Errorf("it is %s: %.1f%% of the budget in use", got, 100*used(r))
		}
		if want == no {
			return nil
		}
		return suite.Completes().Check(r)
	}}
}

// missing is what the load lacks on each GPU.
func missing(r suite.Result) units.Bytes {
	_, kv := need(r.Plan)
	return max(0, kv-r.Plan.KVCache)
}

// smallest is the smallest single change under which the load fits, found by planning it.
func smallest(r suite.Result) string {
	if verdict(r) != no {
		return ""
	}
	if c, ok := memory.Smallest(r.Case.On, holds); ok {
		return c.String()
	}
	return "none"
}
