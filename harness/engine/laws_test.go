package engine_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/engine"
	"github.com/testing-symbiote/symbiote/harness/engine/enginetest"
	"github.com/testing-symbiote/symbiote/harness/units"
)

// play runs a load on a server under the Validator and returns all events.
func play(t testing.TB, cfg engine.Config, load []enginetest.Sent, timer engine.StepTimer) []engine.Event {
	t.Helper()
	all, _ := playGauged(t, cfg, load, timer)
	return all
}

// playGauged also returns the gauge after every move of the clock.
func playGauged(t testing.TB, cfg engine.Config, load []enginetest.Sent, timer engine.StepTimer) ([]engine.Event, []engine.Gauge) {
	t.Helper()
	e, err := engine.New(cfg, timer)
	require.NoError(t, err)
	v := enginetest.NewValidator(cfg)
	var all []engine.Event
	var gauges []engine.Gauge
	advance := func(to units.Time) {
		evs := slices.Collect(engine.OneByOne(e.Advance(to)))
		v.Saw(evs)
		g := e.Gauge()
		v.Gauge(g)
		gauges = append(gauges, g)
		all = append(all, evs...)
	}
	type gone struct {
		at units.Time
		id engine.RequestID
	}
	var leaves []gone
	for _, s := range load {
		if s.Cancel != units.Never {
			leaves = append(leaves, gone{s.Cancel, s.ID})
		}
	}
	slices.SortStableFunc(leaves, func(a, b gone) int { return int(min(1, max(-1, a.at-b.at))) })
	for len(load)+len(leaves) > 0 {
		if len(load) > 0 && (len(leaves) == 0 || load[0].At <= leaves[0].at) {
			s := load[0]
			load = load[1:]
			advance(s.At)
			if err := e.Submit(s.At, s.Request); err == nil {
				v.Submitted(s.At, s.Request)
			}
			continue
		}
		advance(leaves[0].at)
		e.Cancel(leaves[0].at, leaves[0].id)
		leaves = leaves[1:]
	}
	for turns := 0; ; turns++ {
		now, ok := e.Next()
		if !ok {
			break
		}
		require.Less(t, turns, 200_000, "the engine does not come to rest")
		if turns%2 == 0 {
			now = now.Add(50 * units.Millisecond) // by leaps as well as step by step
		}
		advance(now)
	}
	v.Idle(e.Gauge())
	require.NoError(t, v.Err())
	return all, gauges
}

func timerOf(seed uint64) enginetest.Linear {
	l := enginetest.Linear{Base: 2 * units.Millisecond, PerToken: 10 * units.Microsecond, Schedule: units.Microsecond * units.Span(seed%5*300),
		Update: 200 * units.Microsecond, Deliver: 50 * units.Microsecond, IntakeFor: 100 * units.Microsecond}
	l.Launch = units.Millisecond * units.Span(seed%3*2) // none, hidden by the GPU, longer than it
	if seed%7 == 0 {
		l.Deliver, l.IntakeFor, l.Update = 0, 0, 0
	}
	l.Finished = units.Microsecond * units.Span(seed%2*70)
	if seed%4 != 0 { // steps of growing length
		l.PerContext, l.Bend = units.Nanosecond*units.Span(seed%11*100), units.Tokens(seed%13*200)
	}
	if seed%3 == 0 { // a front end that falls behind
		l.WriteToken, l.Awaits = 300*units.Microsecond, int(seed%5)
	}
	return l
}

var seeds = flag.Uint64("seeds", 500, "how many random servers TestLaws looks at")

func TestLaws(t *testing.T) {
	for seed := range *seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { checkLaws(t, seed) })
	}
}

// FuzzLaws goes on where TestLaws ends: go test -fuzz Laws -fuzztime 10m.
func FuzzLaws(f *testing.F) {
	f.Add(uint64(500))
	f.Fuzz(checkLaws)
}

func checkLaws(t *testing.T, seed uint64) {
	cfg := enginetest.RandomServer(seed)
	play(t, cfg, enginetest.RandomLoad(seed, cfg), timerOf(seed))
}

// Decodes held in aggregate and decodes looked at one by one are the same server: every event, every gauge.
func TestAggregateAgreesWithReference(t *testing.T) {
	for seed := range max(*seeds/2, 200) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { checkAgreement(t, seed) })
	}
}

// FuzzAggregateAgreesWithReference goes on where the test ends.
func FuzzAggregateAgreesWithReference(f *testing.F) {
	f.Add(uint64(200))
	f.Fuzz(checkAgreement)
}

func checkAgreement(t *testing.T, seed uint64) {
	cfg := enginetest.RandomServer(seed)
	load := enginetest.RandomLoad(seed, cfg)
	if seed%3 != 0 {
		load = enginetest.Entangle(seed, cfg, load)
	}
	if seed%8 != 0 { // most seeds where the aggregate serves
		cfg.Policy, cfg.LongPrefillTokenThreshold, cfg.LongPrefillTokenThresholdAdaptive = engine.FCFS, 0, false
		cfg.PrefillScheduleInterval, cfg.PipelineParallelSize = 0, 0
	}
	cfg.EveryToken = false
	cfg.Reference = true
	want, wantGauges := playGauged(t, cfg, load, timerOf(seed))
	cfg.Reference = false
	got, gotGauges := playGauged(t, cfg, load, timerOf(seed))
	for i := range min(len(want), len(got)) {
		require.Equal(t, want[i], got[i], "event %d", i)
	}
	require.Equal(t, len(want), len(got))
	require.Equal(t, wantGauges, gotGauges)
}

// Where nothing changes, steps cost nothing: an answer of 1,000 tokens is told in a handful of events.
func TestStepsThatAreAlikeAreOne(t *testing.T) {
	for _, async := range []bool{false, true} {
		e, err := engine.New(engine.Config{NumBlocks: 200, BlockSize: 16, MaxModelLen: 2000, MaxNumSeqs: 8, MaxNumBatchedTokens: 256, AsyncScheduling: async},
			enginetest.Linear{Base: units.Millisecond, PerContext: 10 * units.Nanosecond, Bend: 500, Update: units.Microsecond})
		require.NoError(t, err)
		require.NoError(t, e.Submit(0, engine.Request{ID: 1, Prompt: 100, MaxTokens: 1000}))
		events := e.Advance(units.Never)
		require.Less(t, len(events), 16)
		steps := 0
		for ev := range engine.OneByOne(events) {
			steps += int(ev.Steps)
		}
		require.Equal(t, 1000, steps)
	}
}

// A conversation goes on after an answer is complete: its next prompt is all that was said, so the answer's blocks are hit
// too. Both ways of advancing must find the same of them.
func TestConversationsHitTheirOwnAnswers(t *testing.T) {
	hits := units.Tokens(0)
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 9))
		cfg := engine.Config{NumBlocks: 60 + units.Blocks(r.IntN(200)), BlockSize: units.Tokens(1 + r.IntN(16)), MaxModelLen: 400, MaxNumSeqs: 1 + r.IntN(8),
			MaxNumBatchedTokens: 256, EnablePrefixCaching: true, EnableChunkedPrefill: true, SchedulerReserveFullISL: true, AsyncScheduling: seed%2 == 0}
		if fit := units.Blocks(cfg.MaxModelLen / cfg.BlockSize); cfg.NumBlocks < fit+3 {
			cfg.NumBlocks = fit + 3
		}
		type said struct {
			shared []units.Segment
			tokens units.Tokens
		}
		talks := make([]said, 5)
		var load []enginetest.Sent
		for turn := range 4 {
			for i := range talks {
				id := engine.RequestID(len(load))
				talk := &talks[i]
				q := engine.Request{ID: id, Prompt: talk.tokens + 1 + units.Tokens(r.IntN(40)), MaxTokens: 1 + units.Tokens(r.IntN(40)), Shared: talk.shared, Open: true}
				at := units.Time(units.Span(turn)*1000*units.Second + units.Span(i)*units.Millisecond)
				load = append(load, enginetest.Sent{Request: q, At: at, Cancel: units.Never})
				all := q.Prompt + q.MaxTokens
				next := append(slices.Clone(talk.shared), units.Segment{Source: engine.OwnText(id), From: talk.tokens, Len: all - talk.tokens})
				*talk = said{next, all}
			}
		}
		cfg.Reference = true
		want, wantGauges := playGauged(t, cfg, load, timerOf(seed))
		cfg.Reference = false
		got, gotGauges := playGauged(t, cfg, load, timerOf(seed))
		require.Equal(t, want, got, "seed %d", seed)
		require.Equal(t, wantGauges, gotGauges, "seed %d", seed)
		hits += gotGauges[len(gotGauges)-1].Hits
	}
	require.Greater(t, hits, units.Tokens(10_000))
}

// All times doubled, all instants doubled: nothing in the engine has a scale of its own but the idle sleep, which this
// server never enters.
func TestTwiceAsSlowIsTwiceAsLate(t *testing.T) {
	cfg := engine.Config{NumBlocks: 200, BlockSize: 16, MaxModelLen: 500, MaxNumSeqs: 8, MaxNumBatchedTokens: 256,
		EnablePrefixCaching: true, EnableChunkedPrefill: true, EveryToken: true}
	load := enginetest.RandomLoad(3, cfg)
	once := play(t, cfg, load, enginetest.Linear{Base: units.Millisecond, PerToken: units.Microsecond})
	for i := range load {
		load[i].At *= 2
		if load[i].Cancel != units.Never {
			load[i].Cancel *= 2
		}
	}
	twice := play(t, cfg, load, enginetest.Linear{Base: 2 * units.Millisecond, PerToken: 2 * units.Microsecond})
	require.Equal(t, len(once), len(twice))
	for i, e := range once {
		e.At, e.Seen, e.Gap = 2*e.At, 2*e.Seen, 2*e.Gap
		require.Equal(t, e, twice[i])
	}
}

// What is sent after the last answer changes nothing before it.
func TestTheFutureChangesNothing(t *testing.T) {
	cfg := enginetest.RandomServer(11)
	load := enginetest.RandomLoad(11, cfg)
	before := play(t, cfg, load, timerOf(11))
	end := before[len(before)-1].Seen.Add(units.Second)
	load = append(load, enginetest.Sent{Request: engine.Request{ID: 9999, Prompt: 10, MaxTokens: 3}, At: end, Cancel: units.Never})
	after := play(t, cfg, load, timerOf(11))
	require.Equal(t, before, after[:len(before)])
}

// A request alone whose prompt fits the budget runs the same with any larger budget.
func TestAloneAnyBudget(t *testing.T) {
	cfg := engine.Config{NumBlocks: 200, BlockSize: 16, MaxModelLen: 1000, MaxNumSeqs: 8, MaxNumBatchedTokens: 300,
		EnablePrefixCaching: true, EnableChunkedPrefill: true, AsyncScheduling: true, EveryToken: true}
	load := []enginetest.Sent{{Request: engine.Request{ID: 1, Prompt: 300, MaxTokens: 50}, Cancel: units.Never}}
	want := play(t, cfg, load, timerOf(1))
	for _, budget := range []units.Tokens{301, 512, 8192} {
		cfg.MaxNumBatchedTokens = budget
		require.Equal(t, want, play(t, cfg, load, timerOf(1)))
	}
}

// The Validator must be able to say no: each of these histories breaks a law.
func TestValidatorFindsBrokenLaws(t *testing.T) {
	cfg := engine.Config{NumBlocks: 10, BlockSize: 4, MaxModelLen: 64, MaxNumSeqs: 1, MaxNumBatchedTokens: 8}
	req := engine.Request{ID: 1, Prompt: 4, MaxTokens: 2}
	queued, admitted := engine.Event{Kind: engine.Queued, Request: 1}, engine.Event{Kind: engine.Admitted, Request: 1}
	first := engine.Event{Kind: engine.First, Request: 1, Tokens: 1, At: 5, Seen: 5}
	finished := engine.Event{Kind: engine.Finished, Request: 1, Tokens: 2, At: 6, Seen: 6, Reason: engine.Length}
	for name, events := range map[string][]engine.Event{
		"never submitted":     {{Kind: engine.Queued, Request: 7}},
		"admitted unqueued":   {admitted},
		"clock goes back":     {queued, admitted, first, {Kind: engine.Step, At: 4}},
		"second token first":  {queued, admitted, {Kind: engine.First, Request: 1, Tokens: 2}},
		"too many tokens":     {queued, admitted, first, {Kind: engine.Finished, Request: 1, Tokens: 3, At: 6, Seen: 6, Reason: engine.Length}},
		"after the end":       {queued, admitted, first, finished, finished},
		"budget":              {{Kind: engine.Step, Tokens: 9}},
		"hits not in blocks":  {queued, {Kind: engine.Admitted, Request: 1, Tokens: 3}},
		"resumed unpreempted": {queued, {Kind: engine.Resumed, Request: 1}},
		"seats":               {queued, admitted, {Kind: engine.Queued, Request: 2}, {Kind: engine.Admitted, Request: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			v := enginetest.NewValidator(cfg)
			v.Submitted(0, req)
			v.Submitted(0, engine.Request{ID: 2, Prompt: 4, MaxTokens: 2})
			v.Saw(events)
			require.Error(t, v.Err())
		})
	}
	v := enginetest.NewValidator(cfg)
	v.Submitted(0, req)
	v.Saw([]engine.Event{queued, admitted, first, finished})
	require.NoError(t, v.Err())
	v.Gauge(engine.Gauge{Used: engine.Meter{Now: 1}, Total: 9})
	require.ErrorContains(t, v.Err(), "used while nothing runs")
	v = enginetest.NewValidator(cfg)
	v.Submitted(0, req)
	v.Idle(engine.Gauge{Total: 9, Waiting: engine.Meter{Now: 1}})
	require.ErrorContains(t, v.Err(), "no end")
}
