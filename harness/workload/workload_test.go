package workload

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
)

// play sends everything against a server that answers each request after service.
func play(t *testing.T, p Player, service units.Span) []Request {
	t.Helper()
	type answer struct {
		id int
		at units.Time
	}
	var sent []Request
	var pending []answer // service is constant, so answers come in the order of sending
	now := units.Time(0)
	for {
		at, ok := p.Next()
		if ok {
			at = max(at, now)
		}
		if len(pending) > 0 && (!ok || pending[0].at <= at) {
			now = pending[0].at
			p.Done(pending[0].id, now)
			pending = pending[1:]
			continue
		}
		if !ok {
			return sent
		}
		now = at
		r := p.Send()
		require.LessOrEqual(t, r.At, now)
		sent = append(sent, r)
		pending = append(pending, answer{r.ID, now.Add(service)})
	}
}

func TestPortableFunctions(t *testing.T) {
	for _, x := range []float64{1e-300, 1e-9, 0.1, 0.5, 0.70710678, 1, 1.0000001, 2, 3.7, 1e6, 1e300} {
		require.InEpsilon(t, 1+math.Abs(math.Log(x)), 1+math.Abs(ln(x)), 1e-15, "ln(%g)", x)
	}
	for x := -40.0; x < 40; x += 0.37 {
		require.InEpsilon(t, math.Exp(x), exp(x), 1e-14, "exp(%g)", x)
	}
	require.Zero(t, exp(-1e6))
}

// moments draws n numbers and returns their mean and standard deviation.
func moments(n int, f func() float64) (mean, sd float64) {
	var s, q float64
	for range n {
		x := f()
		s += x
		q += x * x
	}
	mean = s / float64(n)
	return mean, math.Sqrt(q/float64(n) - mean*mean)
}

func TestDrawsHaveTheirMoments(t *testing.T) {
	d := newDraw(1, 1)
	mean, sd := moments(200_000, d.exp)
	require.InDelta(t, 1, mean, 0.01)
	require.InDelta(t, 1, sd, 0.01)
	mean, sd = moments(200_000, d.normal)
	require.InDelta(t, 0, mean, 0.01)
	require.InDelta(t, 1, sd, 0.01)
	for _, cv := range []float64{0.5, 1, 2, 3.5} {
		mean, sd = moments(400_000, func() float64 { return d.gamma(1 / (cv * cv)) })
		require.InDelta(t, 1, mean, 0.02*cv, "cv %g", cv)
		require.InDelta(t, cv, sd, 0.03*cv, "cv %g", cv)
	}
	l := BatchChat(1).Prompt
	mean, sd = moments(200_000, func() float64 { return float64(l.draw(d)) })
	require.InDelta(t, 170, mean, 1)
	require.InDelta(t, 80, sd, 2)
}

func TestArrivalsReachTheirRate(t *testing.T) {
	rows := Rows{Count: 20_000, Prompt: Fixed(8), Output: Fixed(4)}
	for _, c := range []struct {
		a        Arrivals
		rate, cv float64
		print    string
	}{
		{Constant{50}, 50, 0, "constant 50/s"},
		{Poisson{50}, 50, 1, "poisson 50/s"},
		{Gamma{50, 2}, 50, 2, "gamma 50/s cv=2"},
		{Gamma{50, 0.5}, 50, 0.5, "gamma 50/s cv=0.5"},
		{Steps(10, Point{1000, 5}, Point{1000, 5}), 50, 1, "profile 0s:50 1000s:50 1000s:50 2000s:50"},
		{Steps(10, Point{1000, 5}).Burst(2), 50, 2, "profile 0s:50 1000s:50 cv=2"},
	} {
		t.Run(c.print, func(t *testing.T) {
			require.Equal(t, c.print, c.a.String())
			sent := play(t, rows.At(c.a).Play(), 0)
			require.Len(t, sent, 20_000)
			last := units.Time(0)
			i := 0
			mean, sd := moments(len(sent), func() float64 {
				gap := sent[i].At.Sub(last)
				require.GreaterOrEqual(t, gap, units.Span(0))
				last = sent[i].At
				i++
				return gap.Seconds()
			})
			require.InEpsilon(t, c.rate, 1/mean, 0.04*max(1, c.cv))
			require.InDelta(t, c.cv, sd/mean, 0.06*max(1, c.cv))
		})
	}
}

func TestProfileFollowsItsShape(t *testing.T) {
	count := func(l Load, from, to float64) (n float64) {
		for _, r := range play(t, l.Play(), 0) {
			if s := r.At.Seconds(); s >= from && s < to {
				n++
			}
		}
		return n
	}
	rows := Rows{Prompt: Fixed(8), Output: Fixed(4)}
	spike := rows.At(Steps(100, Point{30, 1}, Point{10, 5}, Point{60, 1}))
	require.InEpsilon(t, 3000, count(spike, 0, 30), 0.06)
	require.InEpsilon(t, 5000, count(spike, 30, 40), 0.06)
	require.InEpsilon(t, 6000, count(spike, 40, 100), 0.06)
	require.Zero(t, count(spike, 100, 1000))

	ramp := rows.At(Ramp(100, 1, 4, time.Minute))
	require.InEpsilon(t, 15000, count(ramp, 0, 60), 0.03)
	require.InEpsilon(t, 100*(30+30*30*3.0/60/2), count(ramp, 0, 30), 0.04)

	sine := rows.At(Sine(100, 0.5, 3, 20*time.Second, 5))
	require.InEpsilon(t, 175*100, count(sine, 0, 100), 0.03)
	require.Greater(t, count(sine, 0, 10), 2*count(sine, 10, 20))
	require.InDelta(t, 175, sine.Arrivals.(Profile).MeanRate(), 0.1)

	held := Rows{Count: 500, Prompt: Fixed(8), Output: Fixed(4)}.At(Steps(1, Point{1, 10}))
	require.Len(t, play(t, held.Play(), 0), 500, "a bounded number of requests goes on at the last rate")
}

func TestOnOffIsSilentWhileOff(t *testing.T) {
	l := Rows{Count: 30_000, Prompt: Fixed(8), Output: Fixed(4)}.At(OnOff{On: 10 * time.Second, Off: 30 * time.Second, OnRate: 40})
	sent := play(t, l.Play(), 0)
	require.InEpsilon(t, 10, 30_000/sent[len(sent)-1].At.Seconds(), 0.2)
	require.InDelta(t, 5, CodeOnOff(5).OnRate*15.5/(15.5+CodeOnOff(5).Off.Seconds()), 0.001)
}

func TestClosedLoopKeepsItsSeatsTaken(t *testing.T) {
	l := Rows{Count: 10, Prompt: Fixed(8), Output: Fixed(4)}.At(Closed{3})
	sent := play(t, l.Play(), units.Second)
	require.Len(t, sent, 10)
	for i, r := range sent {
		require.Equal(t, i, r.ID)
		require.Equal(t, units.Time(i/3)*units.Time(units.Second), r.At, "request %d", i)
	}
}

func TestSameSeedSameRequests(t *testing.T) {
	l := BatchChat(300).At(Gamma{20, 3}).Seeded(7)
	require.Equal(t, play(t, l.Play(), 0), play(t, l.Play(), 0))
	require.NotEqual(t, play(t, l.Play(), 0), play(t, l.Seeded(8).Play(), 0))
	a, b := play(t, l.Play(), 0), play(t, BatchChat(300).At(Closed{1}).Seeded(7).Play(), units.Second)
	for i := range a {
		require.Equal(t, a[i].Prompt, b[i].Prompt, "the arrivals do not change what is asked")
		require.Equal(t, a[i].Output, b[i].Output)
	}
}

func TestSharedPrefixesAreEqualSegments(t *testing.T) {
	l := Rows{Count: 1000, Prompt: Uniform{400, 600}, Output: Fixed(4), SharedPrefix: 512, Groups: 4}.At(nil)
	groups := map[uint64]int{}
	for _, r := range play(t, l.Play(), 0) {
		require.Len(t, r.Shared, 1)
		require.Equal(t, min(512, r.Prompt), r.Shared[0].Len)
		groups[r.Shared[0].Source]++
	}
	require.Len(t, groups, 4)
	for g, n := range groups {
		require.InDelta(t, 250, n, 60, "group %d", g)
	}
}

func TestParseLengths(t *testing.T) {
	for _, s := range []string{"512", "lognormal:170,80,16,1024", "uniform:10,20"} {
		l, err := ParseLengths(s)
		require.NoError(t, err)
		require.Equal(t, s, l.String())
	}
	for _, s := range []string{"", "0", "-1", "1.5", "abc", "lognormal:1,2,3", "lognormal:0,1,1,2", "lognormal:5,1,9,2",
		"uniform:0,3", "uniform:1.5,3", "poisson:3", "lognormal:NaN,1,1,2", "9999999999999"} {
		_, err := ParseLengths(s)
		require.Error(t, err, s)
	}
}

func TestDecode(t *testing.T) {
	l, err := Decode("w.yaml", []byte("arrivals: {kind: gamma, rate: 8, cv: 3}\nrequests: 600\nprompt_tokens: lognormal:170,80,16,1024\noutput_tokens: 100\nshared_prefix_tokens: 64\nprefix_groups: 5\nseed: 3\n"))
	require.NoError(t, err)
	require.Equal(t, "600 rows prompt lognormal:170,80,16,1024 output 100 shared prefix 64 in 5 groups · gamma 8/s cv=3 · seed 3", l.String())

	for _, c := range []struct{ file, want string }{
		{"", "w.yaml: the file is empty"},
		{"arrivals: {kind: poisson, rate: 8}\nrequest: 3\n", `w.yaml:2:1: field "request" is not known`},
		{"arrivals: {kind: poisson, rate: -8}\nrequests: 3\nprompt_tokens: 1\noutput_tokens: 1", "w.yaml:1:33: -8, want ≥ 0"},
		{"arrivals: {kind: poisson}\nrequests: 3\nprompt_tokens: 1\noutput_tokens: 1", "rate = 0, want > 0"},
		{"arrivals: {kind: poisson, rate: 8, inflight: 3}\nrequests: 3\nprompt_tokens: 1\noutput_tokens: 1", "kind poisson has no inflight"},
		{"arrivals: {kind: bursty, rate: 8}\nrequests: 3\nprompt_tokens: 1\noutput_tokens: 1", `kind "bursty", want constant`},
		{"arrivals: {kind: all}\nrequests: 1.5\nprompt_tokens: 1\noutput_tokens: 1", `w.yaml:2:11: "1.5", want a whole number`},
		{"arrivals: {kind: all}\nrequests: [3]\nprompt_tokens: 1\noutput_tokens: 1", `want a whole number`},
		{"arrivals: {kind: all}\nprompt_tokens: 1\noutput_tokens: 1", `requests = 0, want > 0`},
		{"arrivals: {kind: all}\nrequests: 3\nprompt_tokens: many\noutput_tokens: 1", `w.yaml:3:16: length "many"`},
		{"arrivals: {kind: all}\nrequests: 3\noutput_tokens: 1", `prompt_tokens is missing`},
		{"requests: 3\nprompt_tokens: 1\noutput_tokens: 1", `arrivals are missing`},
		{"arrivals: {kind: all}\nrequests: 3\nrequests: 3\n", `twice`},
		{"arrivals: {kind: all}\n---\narrivals: {kind: all}\n", `second YAML document`},
		{"arrivals: {kind: profile}\nrequests: 3\nprompt_tokens: 1\noutput_tokens: 1", `profile has 0 points`},
		{"arrivals: {kind: profile, stages: [[1, 2], [3]]}\n", `w.yaml:1:44: a stage, want [seconds, rate]`},
		{"arrivals: {kind: poisson, rate: 1e-9}\nrequests: 3\nprompt_tokens: 1\noutput_tokens: 1", `take longer than 52 days`},
		{"arrivals: {kind: onoff, stages: [[1e-9, 1], [1e-9, 0]]}\nrequests: 3\nprompt_tokens: 1\noutput_tokens: 1", `less than one request in 1,000 periods`},
		{"[1, 2]\n", `want a mapping`},
		{"a: [", `w.yaml`},
	} {
		_, err := Decode("w.yaml", []byte(c.file))
		require.ErrorContains(t, err, c.want, c.file)
	}
}

func TestDecodeTrace(t *testing.T) {
	tr, err := DecodeTrace("dir/t.csv", strings.NewReader("arrival_s,prompt_tokens,output_tokens,client,hash_ids\n0,100,5,a,7;8\n1.5,40,1,b,7\n1.5,64,1,b,9\n2,0,0,b,9\n"), TraceOptions{HashBlockTokens: 64})
	require.NoError(t, err)
	require.Equal(t, []string{`t.csv: column "client" is not known and is ignored`, "t.csv: 1 rows of 0 tokens are left out: they failed where they were recorded"}, tr.Warnings)
	sent := play(t, Load{Rows: tr}.Play(), 0)
	require.Len(t, sent, 3)
	require.Equal(t, Request{ID: 0, Prompt: 100, Output: 5, Shared: []units.Segment{{Source: blockText, Len: 64}, {Source: blockText | 1, Len: 36}}}, sent[0])
	require.Equal(t, units.Time(1_500_000_000_000), sent[1].At)
	require.Equal(t, []units.Segment{{Source: blockText, Len: 40}}, sent[1].Shared)

	tr, err = DecodeTrace("t.csv", strings.NewReader("arrival_s,prompt_tokens,output_tokens,prompt_id,cached_tokens,stage\n0,100,5,x,64,0\n1,90,5,x,,1\n"), TraceOptions{PrefixTokens: 80})
	require.NoError(t, err)
	sent = play(t, tr.At(Replay{RateScale: 2}).Play(), 0)
	require.Equal(t, Request{ID: 0, Prompt: 100, Output: 5, Cached: 64, Shared: []units.Segment{{Source: promptText, Len: 80}}}, sent[0])
	require.Equal(t, Request{ID: 1, At: units.Time(units.Second / 2), Stage: 1, Prompt: 90, Output: 5, Shared: []units.Segment{{Source: promptText, Len: 80}}}, sent[1])
}

func TestDecodeTraceErrors(t *testing.T) {
	const head = "arrival_s,prompt_tokens,output_tokens\n"
	for _, c := range []struct {
		file string
		o    TraceOptions
		want string
	}{
		{"", TraceOptions{}, "t.csv: the trace is empty, want a header"},
		{head, TraceOptions{}, "t.csv: the trace is empty, want at least one request"},
		{"arrival_s,prompt_tokens\n1,2\n", TraceOptions{}, `t.csv:1: column "output_tokens" is missing`},
		{"arrival_s,prompt_tokens,output_tokens,stage,stage\n", TraceOptions{}, `t.csv:1:45: column "stage" is there twice`},
		{head + "0,1,1\n-1,1,1\n", TraceOptions{}, `t.csv:3:1: arrival_s "-1"`},
		{head + "1,1,1\n0.5,1,1\n", TraceOptions{}, `t.csv:3:1: arrival_s 0.5 is before 1 of the row above: sort`},
		{head + "1,1.5,1\n", TraceOptions{}, `t.csv:2:3: prompt_tokens "1.5", want a whole number`},
		{head + "1,1,x\n", TraceOptions{}, `t.csv:2:5: output_tokens "x"`},
		{head + "1,1\n", TraceOptions{}, `t.csv:2:1: wrong number of fields`},
		{head + "NaN,1,1\n", TraceOptions{}, `arrival_s "NaN"`},
		{head + "1e300,1,1\n", TraceOptions{}, `arrival_s "1e300"`},
		{head + "1,1,1\n", TraceOptions{HashBlockTokens: 16}, `column "hash_ids" is missing`},
		{head + "1,1,1\n", TraceOptions{HashBlockTokens: -1}, `-hash-block-tokens = -1`},
		{"arrival_s,prompt_tokens,output_tokens,hash_ids\n0,5,5,1;;2\n", TraceOptions{HashBlockTokens: 16}, `t.csv:2:7: hash_ids "1;;2" has an empty hash`},
		{"arrival_s,prompt_tokens,output_tokens,cached_tokens\n0,5,5,6\n", TraceOptions{}, `cached_tokens = 6, want at most prompt_tokens = 5`},
	} {
		_, err := DecodeTrace("t.csv", strings.NewReader(c.file), c.o)
		require.ErrorContains(t, err, c.want, c.file)
	}
}

func TestJitterKeepsTheOrder(t *testing.T) {
	at := func(s float64) units.Time { return units.Time(units.Seconds(s)) }
	recorded := []units.Time{at(0), at(0), at(0), at(3), at(3), at(6)}
	got := Replay{Jitter: 3 * time.Second}.times(recorded, 1)
	for i := range got {
		require.GreaterOrEqual(t, got[i], recorded[i])
		require.Less(t, got[i], recorded[i]+at(3))
		require.True(t, i == 0 || got[i] >= got[i-1])
	}
	require.Equal(t, recorded, Replay{}.times(recorded, 1))
	require.Equal(t, at(1.5), Replay{RateScale: 2}.times(recorded, 1)[3])
}
