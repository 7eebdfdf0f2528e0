package backtest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/memory"
)

// MemoryReport says how far planned memory is from what real start-ups printed. KVError is over the dense models on
// one or two ranks, KVErrorOthers over mixtures of experts, multimodal models and more ranks; KVErrorCached is KVError
// without the start-ups that had less than nothing left. LeftOut is KVError when each source's start-ups are planned
// with figures fitted to the other sources' start-ups of plain models alone.
type MemoryReport struct {
	Cases         int             `json:"cases"`
	Predicted     int             `json:"predicted"`
	Skipped       []SkippedCase   `json:"skipped"`
	KVError       AbsoluteError   `json:"kv_abs_error_gib"`
	KVErrorOthers AbsoluteError   `json:"kv_abs_error_gib_others"`
	KVErrorCached AbsoluteError   `json:"kv_abs_error_gib_where_cache_left"`
	LeftOut       AbsoluteError   `json:"kv_abs_error_gib_leave_one_source_out"`
	Right         int             `json:"verdicts_right"`
	Wrong         int             `json:"verdicts_wrong"`
	Undecided     int             `json:"verdicts_undecided"`
	PerCase       []MemoryOutcome `json:"per_case"`
}

// AbsoluteError summarizes absolute errors.
type AbsoluteError struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean"`
	P90  float64 `json:"p90"`
	Max  float64 `json:"max"`
}

// MemoryOutcome is one start-up: printed beside predicted. A verdict is undecided where what is missing or left is
// less than the model's own error.
type MemoryOutcome struct {
	ID               string   `json:"id"`
	KVPrinted        *float64 `json:"kv_gib_printed"`
	KVPredicted      float64  `json:"kv_gib_predicted"`
	TokensPrinted    *int     `json:"kv_tokens_printed"`
	TokensPredicted  int      `json:"kv_tokens_predicted"`
	VerdictPrinted   string   `json:"verdict_printed"`
	VerdictPredicted string   `json:"verdict_predicted"`
	Class            string   `json:"class"`
	Reason           string   `json:"reason,omitempty"`
	WeightsPrinted   *float64 `json:"weights_gib_printed,omitempty"`
	WeightsPredicted float64  `json:"weights_gib_predicted"`
}

const (
	fits       = "fits"
	doesNotFit = "does_not_fit"
	undecided  = "undecided"
)

// Memory plans every start-up of the files and holds the plans against what the logs printed.
func Memory(files ...string) (MemoryReport, error) {
	var toFit []fitRow
	rep := MemoryReport{Skipped: []SkippedCase{}, PerCase: []MemoryOutcome{}}
	for _, name := range files {
		rows, err := readStarts(name)
		if err != nil {
			return rep, err
		}
		for _, row := range rows {
			rep.Cases++
			o, d, err := row.plan()
			var why notPlanned
			switch {
			case errors.As(err, &why):
				rep.Skipped = append(rep.Skipped, SkippedCase{row.id(), string(why)})
				continue
			case err != nil:
				return rep, fmt.Errorf("%s:%d: %w", name, row.line, err)
			}
			rep.Predicted++
			rep.PerCase = append(rep.PerCase, o)
			if r, ok := row.fitRowOf(d, o); ok && row.plain(d) {
				toFit = append(toFit, r)
			}
		}
	}
	if rep.Cases == 0 {
		return rep, fmt.Errorf("no start-up in %s", strings.Join(files, ", "))
	}
	rep.sum()
	if len(sources(toFit)) > 5 { // fewer say nothing about the rest
		rep.LeftOut = leftOut(toFit)
	}
	return rep, nil
}

// plan predicts one row.
func (s start) plan() (MemoryOutcome, deploy.Deployment, error) {
	o := MemoryOutcome{ID: s.id(), VerdictPrinted: strings.ToLower(s.cell("verdict")), Class: "others"}
	switch o.VerdictPrinted {
	case "oom_at_run":
		o.VerdictPrinted = doesNotFit
	case fits, doesNotFit:
	default: // in no words that are known: it counts nowhere
		o.VerdictPrinted = ""
	}
	if s.cell("tag") != "" {
		o.VerdictPrinted = fits // this form holds servers that started
	}
	d, err := s.deployment()
	if err != nil {
		return o, d, err
	}
	if s.dense(d) {
		o.Class = "dense"
	}
	p, err := memory.For(d)
	var refused *failure.Error
	if err != nil && !errors.As(err, &refused) {
		return o, d, err
	}
	if failure.Classify(err) == failure.BadArguments {
		return o, d, notPlanned("vLLM would refuse the arguments as the row gives them: " + refused.Message)
	}
	o.VerdictPredicted = fits
	if refused != nil {
		o.VerdictPredicted, o.Reason = doesNotFit, refused.Message
	}
	if p.Close() {
		o.VerdictPredicted = undecided
	}
	o.KVPredicted = round(p.KVCache.GiB())
	o.TokensPredicted = int(p.KVTokens)
	o.WeightsPredicted = round(p.Weights.GiB())
	err = s.printed(&o, p)
	return o, d, err
}

// printed fills in what the log said; blocks stand for tokens where it has no tokens.
func (s start) printed(o *MemoryOutcome, p memory.Plan) error {
	if w, ok, err := s.number("weights_gib"); err != nil {
		return err
	} else if ok {
		o.WeightsPrinted = &w
	}
	tokens, err := s.whole("kv_cache_tokens", "kv_tokens")
	if err != nil {
		return err
	}
	blocks, err := s.whole("gpu_blocks", "num_gpu_blocks")
	if err != nil {
		return err
	}
	if tokens == 0 {
		tokens = blocks * p.Deployment.Engine.BlockSize
	}
	if tokens > 0 {
		o.TokensPrinted = &tokens
	}
	kv, ok, err := s.number("kv_cache_available_gib", "kv_gib")
	if err != nil {
		return err
	}
	if ok {
		o.KVPrinted = &kv
	}
	return nil
}

func round(f float64) float64 { return math.Round(f*1e4) / 1e4 }

// sum counts verdicts and errors, and puts the worst first.
func (rep *MemoryReport) sum() {
	var dense, cached, others []float64
	for _, o := range rep.PerCase {
		switch {
		case o.VerdictPrinted == "":
		case o.VerdictPredicted == undecided:
			rep.Undecided++
		case o.VerdictPredicted == o.VerdictPrinted:
			rep.Right++
		default:
			rep.Wrong++
		}
		if o.KVPrinted == nil {
			continue
		}
		if o.Class == "dense" {
			dense = append(dense, o.Error())
			if *o.KVPrinted > 0 {
				cached = append(cached, o.Error())
			}
		} else {
			others = append(others, o.Error())
		}
	}
	rep.KVError, rep.KVErrorCached, rep.KVErrorOthers = absolute(dense), absolute(cached), absolute(others)
	slices.SortStableFunc(rep.PerCase, func(a, b MemoryOutcome) int {
		switch {
		case a.badness() > b.badness():
			return -1
		case a.badness() < b.badness():
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// Error is how far the predicted KV cache is from the printed one, in GiB.
func (o MemoryOutcome) Error() float64 {
	if o.KVPrinted == nil {
		return 0
	}
	return math.Abs(o.KVPredicted - *o.KVPrinted)
}

func (o MemoryOutcome) badness() float64 {
	if o.VerdictPrinted != "" && o.VerdictPredicted != undecided && o.VerdictPredicted != o.VerdictPrinted {
		return 1e6
	}
	return o.Error()
}

// Inside says whether every case has the right verdict and an error of at most bound GiB.
func (rep MemoryReport) Inside(bound float64) bool {
	return !slices.ContainsFunc(rep.PerCase, func(o MemoryOutcome) bool { return o.badness() > bound })
}

func absolute(errs []float64) AbsoluteError {
	if len(errs) == 0 {
		return AbsoluteError{}
	}
	slices.Sort(errs)
	sum := 0.0
	for _, e := range errs {
		sum += e
	}
	last := len(errs) - 1
	x := 0.9 * float64(last)
	i := min(int(x), max(0, last-1))
	p90 := errs[i] + float64((x-float64(i))*(errs[min(i+1, last)]-errs[i]))
	return AbsoluteError{N: len(errs), Mean: round(sum / float64(len(errs))), P90: round(p90), Max: round(errs[last])}
}
