package live

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/vllm"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// Cache is the state of the server's prefix cache that a measurement declares. What is declared is then checked
// against the server's own counters.
type Cache struct {
	warm bool
	hit  float64
}

// Cold sends prompts that no earlier run sent: what hits, hits because the workload's requests share text.
func Cold() Cache { return Cache{} }

// Warm sends every prompt once before it is measured.
func Warm() Cache { return Cache{warm: true} }

// Hit makes this leading share of every prompt hit, 0 < share < 1, whatever the workload shares.
func Hit(share float64) Cache { return Cache{warm: true, hit: share} }

func (c Cache) String() string {
	switch {
	case c.hit > 0:
		return fmt.Sprintf("hit=%g%%", 100*c.hit)
	case c.warm:
		return "warm"
	}
	return "cold"
}

// ParseCache reads cold, warm or hit=x%.
func ParseCache(text string) (Cache, error) {
	switch text {
	case "cold":
		return Cold(), nil
	case "warm":
		return Warm(), nil
	}
	if share, ok := strings.CutPrefix(text, "hit="); ok {
		v, err := strconv.ParseFloat(strings.TrimSuffix(share, "%"), 64)
		if err == nil && v > 0 && v < 100 {
			return Hit(v / 100), nil
		}
	}
	return Cache{}, fmt.Errorf("cache %q, want cold, warm or hit=50%%", text)
}

// CacheCheck holds the declared state against what the server counted.
type CacheCheck struct {
	Declared Cache
	Queries  units.Tokens // prompt tokens that were looked up
	Hits     units.Tokens
	Expected units.Tokens // hits that the declaration, or the simulator, gives
	From     string       // where Expected comes from; empty where nothing is expected
	Counted  bool         // the server has these counters
}

// tolerance is the share of the looked-up tokens by which hits may differ from what is declared: a request that is
// aborted after its look-up, or a block evicted too early.
const tolerance = 0.02

// off is by how many tokens the hits are beside what was expected, beyond the tolerance.
func (c CacheCheck) off() units.Tokens {
	d := c.Hits - c.Expected
	if float64(max(d, -d)) <= float64(tolerance*float64(c.Queries)) {
		return 0
	}
	return d
}

// Broken says that the cache was not in the declared state, so that what was measured is not what was meant. The
// simulator's expectation is not a declaration: a divergence from it is a warning.
func (c CacheCheck) Broken() error {
	if !c.Counted || c.From != declared || c.off() == 0 {
		return nil
	}
	return fmt.Errorf("the prefix cache was declared %v, so %d of %d prompt tokens should hit, but the server counted %d", c.Declared, c.Expected, c.Queries, c.Hits)
}

const (
	declared  = "the declared state"
	simulated = "the simulator"
)

func (c CacheCheck) String() string {
	if !c.Counted {
		return fmt.Sprintf("prefix cache declared %v; not verified: the server has no counters", c.Declared)
	}
	text := fmt.Sprintf("prefix cache declared %v; %d of %d prompt tokens hit", c.Declared, c.Hits, c.Queries)
	if c.From == "" {
		return text + "; nothing was expected: requests share text, and when they meet is timing"
	}
	return text + fmt.Sprintf(", %s expects %d", c.From, c.Expected)
}

// expect fills in what should hit.
func (c *CacheCheck) expect(requests []workload.Request, shared float64, block int) {
	sharing := false
	var hits units.Tokens
	for _, r := range requests {
		sharing = sharing || len(r.Shared) > 0
		share := r.Prompt
		if shared > 0 {
			share = units.Tokens(float64(r.Prompt) * shared)
		}
		if block > 0 {
			// The last token is always computed, and only whole blocks are kept.
			hits += min(share, r.Prompt-1) / units.Tokens(block) * units.Tokens(block)
		}
	}
	switch {
	case c.Declared.warm && block > 0:
		c.Expected, c.From = hits, declared
	case !c.Declared.warm && !sharing:
		c.Expected, c.From = 0, declared
	}
}

// warmUp brings the cache into the declared state: every prompt once, for one token, a few at a time, or the text that
// all prompts begin with.
func (m *measuring) warmUp(ctx context.Context, requests []workload.Request) error {
	own := m.write
	defer func() { m.write = own }()
	if m.Cache.hit > 0 {
		longest := units.Tokens(1)
		for _, r := range requests {
			longest = max(longest, units.Tokens(float64(r.Prompt)*m.Cache.hit))
		}
		requests = []workload.Request{{Prompt: longest}}
		m.write.shared = 1
	}
	for i := range requests {
		requests[i].Output, requests[i].At = 1, 0
	}
	t, _, err := m.send(ctx, &listPlayer{rest: requests}, Limits{InFlight: min(8, m.limits.InFlight), Timeout: m.limits.Timeout, Stall: m.limits.Stall}, nil, past{})
	if err != nil {
		return err
	}
	for _, r := range t.run.Requests {
		if !r.Completed() {
			return fmt.Errorf("request %d of the warm-up: %s: %s", r.ID, r.Outcome, r.Detail)
		}
	}
	return nil
}

// listPlayer sends a list as fast as it is taken.
type listPlayer struct{ rest []workload.Request }

func (p *listPlayer) Next() (units.Time, bool) { return 0, len(p.rest) > 0 }
func (p *listPlayer) Send() workload.Request {
	r := p.rest[0]
	p.rest = p.rest[1:]
	return r
}
func (p *listPlayer) Done(int, units.Time) {}

// counted are the counters of a run: the difference of two pages.
func counted(before, after vllm.Metrics) (queries, hits, prompts, preemptions float64) {
	return after.PrefixQueries - before.PrefixQueries, after.PrefixHits - before.PrefixHits,
		after.PromptTokens - before.PromptTokens, after.Preemptions - before.Preemptions
}
