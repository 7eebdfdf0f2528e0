package serve

import (
	"sync"
	"time"
)

// httpMetrics are the series of the HTTP instrumentation in front of vLLM: per route template, method and class of
// status, in the order in which they were first seen.
type httpMetrics struct {
	mu        sync.Mutex
	requests  []requestSeries
	sizes     []sizeSeries
	durations []durationSeries
	all       histogram
}

type requestSeries struct {
	handler, method, status string
	count                   uint64
	created                 float64
}

type sizeSeries struct {
	handler           string
	count             uint64
	request, response uint64 // bytes
	created           float64
}

type durationSeries struct {
	handler, method string
	h               histogram
	created         float64
}

// The bounds of the two duration histograms. Neither is written to.
var (
	fineBounds   = []float64{.01, .025, .05, .075, .1, .25, .5, .75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60}
	coarseBounds = []float64{.1, .5, 1}
)

// observe counts one answered request. Sizes are those of the content-length headers.
func (m *httpMetrics) observe(handler, method string, status, requestSize, responseSize int, took time.Duration) {
	class := [...]string{"", "1xx", "2xx", "3xx", "4xx", "5xx"}[status/100]
	seconds := took.Seconds()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all.observe(seconds)
	r := find(&m.requests, func(s *requestSeries) bool {
		return s.handler == handler && s.method == method && s.status == class
	})
	if r.count == 0 {
		*r = requestSeries{handler: handler, method: method, status: class, created: unixSeconds(time.Now())}
	}
	r.count++
	z := find(&m.sizes, func(s *sizeSeries) bool { return s.handler == handler })
	if z.count == 0 {
		*z = sizeSeries{handler: handler, created: unixSeconds(time.Now())}
	}
	z.count++
	z.request += uint64(requestSize)
	z.response += uint64(responseSize)
	d := find(&m.durations, func(s *durationSeries) bool { return s.handler == handler && s.method == method })
	if d.h.counts == nil {
		*d = durationSeries{handler: handler, method: method, h: newHistogram(coarseBounds), created: unixSeconds(time.Now())}
	}
	d.h.observe(seconds)
}

// find returns the element that matches, a new one at the end if none does.
func find[T any](all *[]T, match func(*T) bool) *T {
	for i := range *all {
		if match(&(*all)[i]) {
			return &(*all)[i]
		}
	}
	var zero T
	*all = append(*all, zero)
	return &(*all)[len(*all)-1]
}

func (m *httpMetrics) write(x *exposition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var requests, counts, in, out []series
	for _, r := range m.requests {
		requests = append(requests, series{`handler="` + r.handler + `",method="` + r.method + `",status="` + r.status + `"`, float64(r.count), r.created})
	}
	for _, z := range m.sizes {
		labels := `handler="` + z.handler + `"`
		counts = append(counts, series{labels, float64(z.count), z.created})
		in = append(in, series{labels, float64(z.request), 0})
		out = append(out, series{labels, float64(z.response), 0})
	}
	x.counter("http_requests", "Total number of requests by method, status and handler.", requests...)
	x.summary("http_request_size_bytes", "Content length of incoming requests by handler. Only value of header is respected. Otherwise ignored. No percentile calculated. ", counts, in)
	x.summary("http_response_size_bytes", "Content length of outgoing responses by handler. Only value of header is respected. Otherwise ignored. No percentile calculated. ", counts, out)
	x.histogram("http_request_duration_highr_seconds", "Latency with many buckets but no API specific labels. Made for more accurate percentile calculations. ", histogramSeries{h: &m.all})
	var durations []histogramSeries
	for i := range m.durations {
		d := &m.durations[i]
		durations = append(durations, histogramSeries{`handler="` + d.handler + `"`, `method="` + d.method + `"`, &d.h, d.created})
	}
	x.histogram("http_request_duration_seconds", "Latency with only few buckets by handler. Made to be only used if aggregation by handler is important. ", durations...)
}
