// Package suite is how a benchmark is a go test: a table of cases, each with a deployment, a workload and a promise.
//
//	func TestMine(t *testing.T) {
//		suite.Run(t, suite.Spec{
//			Asks: "Does a 7B model on an L40S hold 4 requests a second?",
//			SLO:  slo.Target{TTFT: time.Second, TPOT: 50 * time.Millisecond},
//			Cases: []suite.Case{{
//				Name: "arrivals=poisson",
//				On:   suite.On("Qwen/Qwen2.5-7B-Instruct", "l40s"),
//				Play: workload.BatchChat(1000).At(workload.Poisson{Rate: 4}),
//				Want: suite.Meets(99),
//			}},
//		})
//	}
//
// Run judges each case by its Want, the cases together by the Spec's Promises, and holds the table of all cases to
// the golden file of the test. Twins shows that each Want can be broken, Advise what would help a case that is overrun.
// Bench reports the same figures to go test -bench, and so to benchstat and the gate.
//
// The backend is chosen by build tag: without one the simulator, with -tags gpu a live vLLM endpoint, with -tags ray
// a Ray cluster. The same Spec runs on each; only the simulator is held to golden tables.
//
// Start at Run.
package suite

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/testing-symbiote/symbiote/fixtures"
	"github.com/testing-symbiote/symbiote/golden"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/memory"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/stats"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

// Spec is a question and the cases that answer it.
type Spec struct {
	Asks     string     // printed above the table
	SLO      slo.Target // what each request is promised; the zero Target promises an answer
	Cases    []Case
	Columns  []Column  // what a row shows after the case's name; nil = Standard
	Promises []Promise // what the cases keep together
}

// Case is one row: key=value/key=value names let benchstat project on the keys.
type Case struct {
	Name string
	On   deploy.Deployment
	Play workload.Workload   // nil = only plan the memory; a live server is started for it
	Also []workload.Workload // further runs on the same deployment, each from a fresh start, or with prompts that a live server has not seen
	Want Want                // the zero Want promises nothing
}

// On is a deployment of a model on a GPU with vLLM's defaults, by the names that fixtures knows. It panics on a name
// that nobody knows, since that is a defect of the test.
func On(model, gpu string) deploy.Deployment {
	m, err := fixtures.Model(model)
	if err != nil {
		panic(err)
	}
	g, err := fixtures.GPU(gpu)
	if err != nil {
		panic(err)
	}
	return deploy.Deployment{Model: m, GPU: g}
}

// Result is what a case came to.
type Result struct {
	Case    Case
	Plan    memory.Plan
	Failure *failure.Error // the deployment does not start; what follows is then empty
	Run     *record.Run    // of Case.Play
	Also    []*record.Run  // of Case.Also
	Summary stats.Summary  // of Run
	Verdict slo.Verdict    // of Run
}

// Results are the results of a Spec's cases, in their order.
type Results []Result

// Of returns the result of the case with this name. It panics if there is none, since that is a defect of the test.
func (rs Results) Of(name string) Result {
	for _, r := range rs {
		if r.Case.Name == name {
			return r
		}
	}
	panic(fmt.Sprintf("suite: no case is named %q", name))
}

// Run runs the cases as subtests and returns their results; nil where -run left cases out or one could not be measured.
func Run(t *testing.T, s Spec) Results {
	t.Helper()
	s.validate()
	b, err := serving()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	defer release(b)
	cases := s.start(ctx, b, exact && !filtered())
	defer cases.wait()
	results, kept := make(Results, len(s.Cases)), make([]error, len(s.Cases))
	done := 0
	var skipped []string
	for i, c := range s.Cases {
		t.Run(c.Name, func(t *testing.T) {
			r, err := cases.result(i)
			if errors.Is(err, errors.ErrUnsupported) {
				skipped = append(skipped, c.Name)
				t.Skipf("%s: not on this backend: %v", c.Name, err)
			}
			if err != nil {
				t.Fatalf("%s: cannot be measured: %v", c.Name, err)
			}
			done++
			results[i] = r
			s.attributes(t, r)
			for _, line := range r.remarks() {
				t.Log(line)
			}
			if err := c.Want.check(r); err != nil {
				kept[i] = err
				t.Errorf("%s: want that it %s: %v", c.Name, c.Want.Says, err)
			}
		})
	}
	if len(skipped) > 0 {
		t.Logf("%d of %d cases were not played, because this server cannot: %s", len(skipped), len(s.Cases), strings.Join(skipped, ", "))
	}
	if done < len(s.Cases) {
		return nil // a part of the table is no table
	}
	var broken []string
	for _, p := range s.Promises {
		if err := p.Check(results); err != nil {
			broken = append(broken, p.Says)
			t.Errorf("promised: %s: %v", p.Says, err)
		}
	}
	table := s.Table(results)
	if err := s.leave(t.Name(), table, results, kept, broken); err != nil {
		t.Error(err)
	}
	if exact {
		golden.Check(t, table)
	}
	return results
}

// Measure runs the cases without judging them, for those who want figures and no test.
func (s Spec) Measure(ctx context.Context) (Results, error) {
	s.validate()
	b, err := serving()
	if err != nil {
		return nil, err
	}
	defer release(b)
	cases := s.start(ctx, b, exact)
	defer cases.wait()
	results := make(Results, len(s.Cases))
	for i := range s.Cases {
		if results[i], err = cases.result(i); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Cases[i].Name, err)
		}
	}
	return results, nil
}

// validate panics on a table that contradicts itself.
func (s Spec) validate() {
	seen := map[string]bool{}
	for _, c := range s.Cases {
		if c.Name == "" || seen[c.Name] || strings.ContainsAny(c.Name, " \t") {
			panic(fmt.Sprintf("suite: case name %q, want one that is not empty, has no blank and no twin", c.Name))
		}
		seen[c.Name] = true
	}
}

// filtered reports whether -run names cases, so that only those should be computed.
func filtered() bool {
	f := flag.Lookup("test.run")
	return f != nil && strings.Contains(f.Value.String(), "/")
}

// attributes notes the row in the test's output, from where it reaches a JUnit report as properties.
func (s Spec) attributes(t *testing.T, r Result) {
	if r.Case.Want.Says != "" {
		t.Attr("want", r.Case.Want.Says)
	}
	for _, c := range s.columns() {
		t.Attr(blanks.ReplaceAllString(c.Name, "_"), c.cell(r))
	}
}

var blanks = regexp.MustCompile(`\s+`)
