package claims

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func nothing(string, string) []Figure { return nil }

func rulings(t *testing.T, f Figures) map[string]Ruling {
	t.Helper()
	all, err := Judge(f)
	require.NoError(t, err)
	byID := map[string]Ruling{}
	for _, r := range all {
		byID[r.ID] = r
	}
	return byID
}

func TestEveryClaimStandsInItsDocument(t *testing.T) {
	all := Ledger()
	require.GreaterOrEqual(t, len(all), 90)
	seen := map[string]bool{}
	places := map[string]string{}
	for _, c := range all {
		require.False(t, seen[c.ID], "two claims are named %s", c.ID)
		seen[c.ID] = true
		_, err := c.Line()
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(c.Quote, "«"), "%s marks one number", c.ID)
		require.True(t, c.Own != "" || c.Ours != "" || c.Why != "", "%s: how is it checked?", c.ID)
		require.NotEmpty(t, c.Unit, c.ID)
		before, _, _ := strings.Cut(c.Quote, "«")
		place := c.In + c.After + c.Plain() + before
		require.Empty(t, places[place], "%s asserts what %s asserts", c.ID, places[place])
		places[place] = c.ID
	}
}

// TestQuotesAreUnique: without a line to look after, a quote must stand in its document once.
func TestQuotesAreUnique(t *testing.T) {
	texts := map[string]string{}
	for _, d := range Documents() {
		texts[d.Name] = d.Text
	}
	for _, c := range Ledger() {
		if c.After == "" {
			require.Equal(t, 1, strings.Count(texts[c.In], c.Plain()), "%s: %q", c.ID, c.Plain())
		}
	}
}

// TestKnownContradictions: what a careful reader finds with a pocket calculator, the ledger finds without our figures.
func TestKnownContradictions(t *testing.T) {
	got := rulings(t, nothing)
	for id, found := range map[string]float64{
		"fixes.minutes_sla": 8.25, "fixes.minutes_100k": 8.25, "fixes.margin_sla": 99.3, "fixes.margin_100k": 99.4,
		"fixes.slower_7b": 8.21, "fixes.slower_13b": 26.9, "fixes.linear": 1.57, "fixes.linear_batch": 2.61,
		"fixes.hours_1m": 1.375, "fixes.hours_10m": 13.75, "fixes.hours_17m": 23.38,
		"fixes.margin_1m": 94.3, "fixes.margin_10m": 42.7, "fixes.margin_17m": 2.6, "fixes.gain_256": 62.4,
		"fixes.applied_memory_to": 8, "fixes.production_memory": 8, "fixes.peak_production": 8, "fixes.high_memory": 32, "fixes.high_card": 32,
		"fixes.peak_stress": 32, "fixes.production_margin": 0.3,
		"index.three_phases": 6, "index.pass_count": 22, "index.queue_peak": 1374, "index.queue_bound": 1374,
		"index.share_13b": 35.4, "index.summary_7b": 31.6, "index.summary_13b": 35.4, "index.prefill_upto": 67,
	} {
		r := got[id]
		require.Equal(t, ArithmeticWrong, r.Verdict, "%s: %s", id, r.Reason)
		require.NotNil(t, r.Found, id)
		require.InDelta(t, found, *r.Found, max(0.01*found, 0.3), id)
		require.NotEmpty(t, r.Why, "%s: a contradiction is explained", id)
	}
	for id, r := range got {
		require.NotEqual(t, NotReproduced, r.Verdict, "%s: nothing of ours was measured", id)
		require.NotEmpty(t, r.Reason, id)
	}
	for _, id := range []string{"fixes.mean_baseline", "fixes.mean_stress", "fixes.tokens_256", "fixes.gain_512", "index.lines_fixes", "index.all_tests", "index.oom_within_share"} {
		require.Equal(t, Holds, got[id].Verdict, "%s: %s", id, got[id].Reason)
	}
}

func TestOurFiguresDecide(t *testing.T) {
	figures := func(rate, weights float64) Figures {
		return func(suite, metric string) []Figure {
			switch suite + " " + metric {
			case "configmatrix request_throughput_rps":
				return []Figure{{"baseline_0.5b_128_2", rate}}
			case "storage weights_gib":
				return []Figure{{"storage_7b_h100_80gb_int4", weights}, {"storage_7b_h100_80gb_fp32", 28}}
			}
			return nil
		}
	}
	got := rulings(t, figures(110, 5.2))
	require.Equal(t, Holds, got["fixes.rate_128"].Verdict, "9 % off is within tolerance")
	require.Equal(t, NotReproduced, got["index.storage_saving"].Verdict)
	require.Contains(t, got["index.storage_saving"].Reason, "16-bit")
	require.Equal(t, NotTestable, got["fixes.rate_256"].Verdict)
	require.Equal(t, "these results have no case configmatrix/baseline_0.5b_256_2 with request_throughput_rps", got["fixes.rate_256"].Reason)

	got = rulings(t, figures(400, 3.5))
	require.Equal(t, NotReproduced, got["fixes.rate_128"].Verdict)
	require.Contains(t, got["fixes.rate_128"].Reason, "= 400")
	require.Equal(t, Holds, got["index.storage_saving"].Verdict)

	n := 0
	for _, c := range Tally(mustJudge(t, figures(1, 1))) {
		n += c.N
	}
	require.Len(t, Ledger(), n)
}

func mustJudge(t *testing.T, f Figures) []Ruling {
	all, err := Judge(f)
	require.NoError(t, err)
	return all
}

func TestPrintedNumbers(t *testing.T) {
	for _, c := range []struct {
		text   string
		exact  bool
		lo, hi float64
	}{{"101.0", false, 100.95, 101.05}, {"16,407", false, 16406.5, 16407.5}, {"0.16", false, 0.155, 0.165}, {"11", true, 11, 11}} {
		got, err := printed(c.text, c.exact)
		require.NoError(t, err)
		require.InDelta(t, c.lo, got.lo, 1e-9)
		require.InDelta(t, c.hi, got.hi, 1e-9)
	}
	_, err := printed("many", false)
	require.Error(t, err)
}

func TestFormulas(t *testing.T) {
	s := &scope{claims: map[string]Claim{"a.b": {ID: "a.b", Quote: "«2» of 3", Exact: true, Unit: "x"}}, figures: func(string, string) []Figure {
		return []Figure{{"one", 1}, {"two", 0}, {"three", 4}}
	}}
	for formula, want := range map[string]float64{
		"1 + 2 * (3 - 1) / 4": 2, "a.b * 10": 20, `ours("s/three", "m")`: 4, `sum("s", "m")`: 5, `count("s", "m")`: 2,
		`most("s", "m") - least("s", "m")`: 4, `3 * mean("s", "m")`: 5,
	} {
		got, err := s.eval(formula)
		require.NoError(t, err, formula)
		require.InDelta(t, want, got.middle(), 1e-9, formula)
	}
	for formula, says := range map[string]string{
		"1 +": "expected", "a.c": `no claim "a.c"`, "1 / 0": "division by zero", "1 % 2": "want + - * /",
		`median("s", "m")`: "want ours", `ours("s", 1)`: "are strings", "x": "cannot hold", `ours("s/four", "m")`: "no case s/four",
		`lines("none", "")`: "no document",
	} {
		_, err := s.eval(formula)
		require.ErrorContains(t, err, says, formula)
	}
}
