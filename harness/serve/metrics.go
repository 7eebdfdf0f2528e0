package serve

import (
	"sort"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// A histogram counts as Prometheus does: a value belongs to the first bucket that is not below it.
type histogram struct {
	bounds []float64
	counts []uint64 // one more than bounds: what is beyond the last
	count  uint64
	sum    float64
}

func newHistogram(bounds []float64) histogram {
	return histogram{bounds: bounds, counts: make([]uint64, len(bounds)+1)}
}

func (h *histogram) observe(x float64) {
	h.counts[sort.SearchFloat64s(h.bounds, x)]++
	h.count++
	h.sum += x
}

func (h *histogram) observeSpan(s units.Span) { h.observe(s.Seconds()) }

// The bucket bounds of vLLM's histograms. None is written to.
var (
	ttftBounds      = []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560}
	itlBounds       = []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}
	latencyBounds   = []float64{.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
	iterationBounds = []float64{1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}
	countBounds     = []float64{1, 2, 5, 10, 20}
	preemptedBounds = []float64{1, 2, 3, 4, 5, 10, 20}
)

// tokenBounds are 1, 2, 5, 10, 20, 50, … up to the largest that max-model-len reaches.
func tokenBounds(maxModelLen int) (bounds []float64) {
	for decade := 1; ; decade *= 10 {
		for _, digit := range [...]int{1, 2, 5} {
			if digit*decade > maxModelLen {
				return bounds
			}
			bounds = append(bounds, float64(digit*decade))
		}
	}
}

// engineMetrics are the series of one engine. Times are the engine's: at another speed than 1 they are not the
// scraper's.
type engineMetrics struct {
	preemptions              int
	promptTokens, cached     units.Tokens
	generated                int
	ends                     [4]int // by finish
	promptLen, generatedLen  histogram
	iteration                histogram
	maxGenerated, n          histogram
	maxTokens                histogram
	ttft, itl, perToken      histogram
	e2e, queue, inference    histogram
	prefill, decode          histogram
	requestPreempted, prefix histogram
}

func newEngineMetrics(maxModelLen int) engineMetrics {
	tokens := tokenBounds(maxModelLen)
	return engineMetrics{
		promptLen: newHistogram(tokens), generatedLen: newHistogram(tokens), iteration: newHistogram(iterationBounds),
		maxGenerated: newHistogram(tokens), n: newHistogram(countBounds), maxTokens: newHistogram(tokens),
		ttft: newHistogram(ttftBounds), itl: newHistogram(itlBounds), perToken: newHistogram(itlBounds),
		e2e: newHistogram(latencyBounds), queue: newHistogram(latencyBounds), inference: newHistogram(latencyBounds),
		prefill: newHistogram(latencyBounds), decode: newHistogram(latencyBounds),
		requestPreempted: newHistogram(preemptedBounds), prefix: newHistogram(tokens),
	}
}

// step is told after the tokens of one processed step.
func (m *engineMetrics) step(tokens units.Tokens) {
	if tokens > 0 {
		m.iteration.observe(float64(tokens))
	}
}

// firstToken counts a prompt, whole, when its first token is out.
func (m *engineMetrics) firstToken(q *sequence, seen units.Time) {
	m.promptTokens += units.Tokens(len(q.prompt.ids))
	m.cached += q.hits
	m.generated++
	m.ttft.observeSpan(seen.Sub(q.arrival))
}

func (m *engineMetrics) nextToken(gap units.Span) {
	m.generated++
	m.itl.observeSpan(gap)
}

// finished observes what vLLM observes of a request at its end.
func (m *engineMetrics) finished(q *sequence, seen units.Time) {
	m.ends[q.finish]++
	prompt := len(q.prompt.ids)
	m.promptLen.observe(float64(prompt))
	m.generatedLen.observe(float64(q.tokens))
	m.maxTokens.observe(float64(q.prompt.maxTokens))
	m.e2e.observeSpan(seen.Sub(q.arrival))
	m.queue.observeSpan(q.since(q.scheduled, q.queued))
	m.prefill.observeSpan(q.since(q.first, q.scheduled))
	m.decode.observeSpan(q.since(q.last, q.first))
	m.inference.observeSpan(q.since(q.last, q.scheduled))
	perToken := 0.0
	if q.tokens > 1 {
		perToken = q.last.Sub(q.first).Seconds() / float64(q.tokens-1)
	}
	m.perToken.observe(perToken)
	m.requestPreempted.observe(float64(q.preempted))
	m.prefix.observe(float64(prompt - int(q.hits)))
	g := &q.call.groups[q.index/q.call.g.n]
	g.open--
	g.longest = max(g.longest, q.tokens)
	if g.open == 0 {
		m.maxGenerated.observe(float64(g.longest))
		m.n.observe(float64(q.call.g.n))
	}
}

// since is the span between two stamps, 0 if the sequence was ended before the first of them.
func (q *sequence) since(at, before units.Time) units.Span {
	if at < before || !q.started {
		return 0
	}
	return at.Sub(before)
}
