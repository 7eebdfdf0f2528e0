package live

import (
	"context"
	"fmt"
	"math"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// Repeat measures n times on one server, each time with other prompts and from the next seed: what differs between the
// runs is what a next run may differ by.
func (b Backend) Repeat(ctx context.Context, d deploy.Deployment, w func(seed uint64) workload.Workload, seed uint64, n int) ([]*Measurement, error) {
	var all []*Measurement
	if n > 1 && b.Server == nil && b.Endpoint == "" {
		launched, refused, err := b.started(ctx, d)
		if refused != nil {
			return append(all, refused), nil
		}
		if err != nil {
			return nil, err
		}
		defer launched.Stop(b.Limits.orDefault().Stop)
		b.Server = launched
	}
	for i := range n {
		one := b
		if i > 0 && b.Journal.Path != "" {
			one.Journal.Path = fmt.Sprintf("%s.%d", b.Journal.Path, i+1)
		}
		m, err := one.Measure(ctx, d, w(seed+uint64(i)))
		if err != nil && i > 0 {
			return nil, fmt.Errorf("repeat %d: %w", i+1, err)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, m)
		if m.Run.Failure != nil {
			break // a server that is gone is not asked again
		}
	}
	return all, nil
}

// Interval is a mean and the half width of its 95 % confidence interval.
type Interval struct{ Mean, Half float64 }

// Mean is Student's interval of the mean; of fewer than two figures it is infinitely wide.
func Mean(figures []float64) Interval {
	n := float64(len(figures))
	sum := 0.0
	for _, x := range figures {
		sum += x
	}
	mean := sum / n
	if len(figures) < 2 {
		return Interval{mean, math.Inf(1)}
	}
	squares := 0.0
	for _, x := range figures {
		squares += float64((x - mean) * (x - mean))
	}
	return Interval{mean, student(len(figures)-1) * math.Sqrt(squares/(n-1)/n)}
}

// student is the two-sided 95 % point of Student's t.
func student(freedom int) float64 {
	table := []float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086}
	if freedom <= len(table) {
		return table[freedom-1]
	}
	return 1.96 + 2.5/float64(freedom) // within 0.3 % above 20
}

func (i Interval) String() string {
	if math.IsInf(i.Half, 1) {
		return fmt.Sprintf("%.4g", i.Mean)
	}
	return fmt.Sprintf("%.4g ± %.2g", i.Mean, i.Half)
}

// Definition says what a metric is.
type Definition struct {
	Metric  string `json:"metric"`
	Formula string `json:"formula"`
	Others  string `json:"others,omitempty"` // where well-known tools differ
}

// Definitions are printed beside the figures: two tools that give different numbers often measure different things.
func Definitions() []Definition {
	return []Definition{
		{"ttft", "first token − intended send", "vllm bench serve: first event − actual send, after its concurrency semaphore"},
		{"itl", "gap between two tokens; a chunk of k tokens after dt is k gaps of dt/k", "vllm bench serve: gap between two events, whatever they carry"},
		{"icl", "gap between two chunks that carry tokens", "what vllm bench serve calls itl"},
		{"tpot", "(last token − first token) ÷ (output tokens − 1), of one request; undefined for one token", "guidellm includes TTFT: (last token − send) ÷ output tokens"},
		{"e2el", "last token − intended send", "vllm bench serve: last event − actual send"},
		{"lag", "actual send − intended send", "most tools do not have it"},
		{"request_throughput", "completed requests ÷ (last token − first intended send)", "vllm bench serve: ÷ (end of the last answer − start of the dispatch)"},
		{"output_throughput", "output tokens of completed requests ÷ the same time", ""},
		{"steady", "the same between the completion of the first tenth and of nine tenths of the requests", ""},
		{"goodput", "completed requests that met every given SLO ÷ the same time; an SLO on an undefined metric counts as met", ""},
		{"arrivals", "gaps as they are drawn: their mean is 1 ÷ rate, the run's own rate is printed", "vllm bench serve: rescaled so that the last request falls at requests ÷ rate"},
		{"percentile", "nearest rank on all samples; of itl and icl on a histogram of three digits", "vllm bench serve: linear interpolation, population standard deviation"},
	}
}
