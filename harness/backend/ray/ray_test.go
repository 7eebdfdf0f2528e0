package ray

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/catalog"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

var model7b = deploy.Deployment{Model: catalog.Model{ID: "some/model"}}

func (f *fake) backend() Backend {
	if f.version == "" {
		f.version = "2.60.0"
	}
	if f.cpus == 0 {
		f.cpus = 4
	}
	return Backend{Cluster: Cluster{Dashboard: "http://dashboard:8265", Client: &http.Client{Transport: f}}, Endpoint: "http://server:8000/v1"}
}

func pipeline(rows int) workload.Pipeline {
	return workload.Pipeline{
		Rows: workload.Rows{Count: rows, Prompt: workload.Fixed(10), Output: workload.Fixed(4), SharedPrefix: 6},
		Kind: workload.HTTP, BatchSize: 4, Blocks: 2,
	}
}

// tell is a log in which every row takes a second from the start on, as far as it has come; edit changes it.
func tell(rows int, edit func(row int, lines string) string) func(time.Duration, map[string]any) string {
	return func(since time.Duration, config map[string]any) string {
		at := 1795539419.5
		var b strings.Builder
		fmt.Fprintf(&b, "2026-11-24 16:56:58 INFO worker.py:1841 -- Connecting\nTS_START {\"ray\":\"2.60.0\",\"at\":%f}\n", at)
		for row := range min(rows, int(since/time.Second)) {
			s := at + float64(row)
			lines := fmt.Sprintf("TS_SENT {\"row\":%d,\"at\":%f,\"actor\":\"vm:1\"}\nTS_ROW {\"row\":%d,\"start\":%f,\"end\":%f,\"submit\":%f,\"status\":200,\"prompt\":10,\"output\":4,\"error\":null,\"actor\":\"vm:1\"}\n",
				row, s, row, s, s+1, at)
			if edit != nil {
				lines = edit(row, lines)
			}
			b.WriteString(lines)
		}
		if since >= time.Duration(rows)*time.Second {
			fmt.Fprintf(&b, "TS_DONE {\"rows\":%d,\"at\":%f}\n", rows, at+float64(rows))
		}
		return b.String() + "TS_ROW {\"row\":9,\"sta" // a line that is being written
	}
}

func TestARunOnACluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{pending: 3 * time.Second, runs: 9 * time.Second, log: tell(8, nil)}
		r, err := f.backend().Report(t.Context(), model7b, pipeline(8))
		require.NoError(t, err)
		require.Equal(t, Tally{Asked: 8, OK: 8}, r.Tally)
		require.Equal(t, 8*time.Second, r.Makespan)
		require.Nil(t, r.Run.Failure)
		require.Empty(t, r.Run.Warnings)
		for i, q := range r.Run.Requests {
			require.Equal(t, failure.None, q.Outcome)
			require.InDelta(t, float64(i), q.Sent.Seconds(), 1e-6)
			require.InDelta(t, float64(i+1), q.Last.Seconds(), 1e-6)
			require.Equal(t, units.Never, q.First, "an answer that is not streamed has no first token")
		}
		mean, peak := InFlight(r.Run)
		require.InDelta(t, 1, mean, 1e-6)
		require.Equal(t, 1, peak)

		require.Equal(t, "http", f.job.config["kind"])
		require.Equal(t, "http://server:8000/v1/completions", f.job.config["url"])
		require.Equal(t, []any{1.0, 1.0}, f.job.config["pool"])
		require.Equal(t, 2.0, f.job.config["blocks"])
		require.Zero(t, f.stopped, "a job that ended by itself is not stopped")
	})
}

func TestThePackageHoldsScriptAndRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{runs: time.Second, log: tell(2, nil)}
		_, err := f.backend().Report(t.Context(), model7b, pipeline(2))
		require.NoError(t, err)
		for name, data := range f.packages {
			require.Regexp(t, `^_ray_pkg_[0-9a-f]{24}\.zip$`, name)
			z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
			require.NoError(t, err)
			require.Equal(t, "pipe.py", z.File[0].Name)
			require.Equal(t, "rows.jsonl", z.File[1].Name)
		}
		_, asked, _ := Backend{}.pipeline(pipeline(2))
		_, rows := rowsOf(asked)
		require.Equal(t, "[0,4,[[72057594037927936,0,6],[17293822569102704640,0,4]],0]\n[1,4,[[72057594037927936,0,6],[17293822569102704641,0,4]],0]\n", string(rows))
	})
}

// TestEveryRowHasOneOutcome: whatever the log tells, asked = ok + failed + lost, and what happened twice is counted.
func TestEveryRowHasOneOutcome(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(row int, lines string) string
		want Tally
		row  int
		is   failure.Class
	}{
		{"sent again", func(row int, s string) string {
			if row == 3 {
				return strings.SplitAfter(s, "\n")[0] + s
			}
			return s
		}, Tally{Asked: 8, OK: 8, Resent: 1}, 3, failure.None},
		{"out twice", func(row int, s string) string {
			if row == 3 {
				return s + s
			}
			return s
		}, Tally{Asked: 8, OK: 8, Resent: 1, OutTwice: 1}, 3, failure.None},
		{"lost after it was sent", func(row int, s string) string {
			if row == 3 {
				return strings.SplitAfter(s, "\n")[0]
			}
			return s
		}, Tally{Asked: 8, OK: 7, Lost: 1, LostSent: 1}, 3, failure.Aborted},
		{"never sent", func(row int, s string) string {
			if row == 7 {
				return ""
			}
			return s
		}, Tally{Asked: 8, OK: 7, Lost: 1}, 7, failure.Aborted},
		{"400", answers(400), Tally{Asked: 8, OK: 7, Failed: 1}, 3, failure.Rejected},
		{"429", answers(429), Tally{Asked: 8, OK: 7, Failed: 1}, 3, failure.Overloaded},
		{"500", answers(500), Tally{Asked: 8, OK: 7, Failed: 1}, 3, failure.ServerError},
		{"out of order", func(row int, s string) string {
			if row < 2 {
				return strings.ReplaceAll(s, fmt.Sprintf("\"row\":%d", row), fmt.Sprintf("\"row\":%d", 1-row))
			}
			return s
		}, Tally{Asked: 8, OK: 8, OutOfOrder: 1}, 0, failure.None},
		{"a row that nobody asked for", func(row int, s string) string {
			return s + strings.ReplaceAll(s, fmt.Sprintf("\"row\":%d", row), "\"row\":800")
		}, Tally{Asked: 8, OK: 8}, 0, failure.None},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{runs: 9 * time.Second, log: tell(8, c.edit)}
				r, err := f.backend().Report(t.Context(), model7b, pipeline(8))
				require.NoError(t, err)
				require.Equal(t, c.want, r.Tally)
				require.Equal(t, c.is, r.Run.Requests[c.row].Outcome)
				require.Equal(t, r.Tally.Asked, r.Tally.OK+r.Tally.Failed+r.Tally.Lost)
				if c.want.OK != 8 || c.want.Resent > 0 {
					require.Contains(t, strings.Join(r.Run.Warnings, "\n"), c.want.String())
				}
			})
		})
	}
}

func answers(code int) func(int, string) string {
	return func(row int, s string) string {
		if row == 3 {
			return strings.Replace(strings.Replace(s, "\"status\":200", fmt.Sprintf("\"status\":%d", code), 1), "null", `"{\"message\": \"no\"}"`, 1)
		}
		return s
	}
}

func TestAFailedJobIsAResult(t *testing.T) {
	for msg, class := range map[string]failure.Class{
		"ray.exceptions.RayTaskError(UserCodeException): Reached maximum retries of 0 for input row {'a': 1}. Previous Exception: Too Many Requests.": failure.Overloaded,
		"Previous Exception: ServerDisconnectedError. Full Traceback":                                                                                 failure.ConnectionLost,
		"Previous Exception: ClientConnectorError. Full Traceback":                                                                                    failure.Refused,
		"aiohttp.client_exceptions.ContentTypeError: 500, message='Attempt to decode JSON'":                                                           failure.ServerError,
		"ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.":                                                      failure.EngineDied,
		"ValueError: something else": failure.Unknown,
	} {
		synctest.Test(t, func(t *testing.T) {
			log := tell(8, nil)
			f := &fake{runs: 4 * time.Second, fails: 3, log: func(since time.Duration, c map[string]any) string {
				if since < 4*time.Second {
					return log(since, c)
				}
				return strings.TrimSuffix(log(4*time.Second, c), "TS_ROW {\"row\":9,\"sta") + fmt.Sprintf("TS_ERROR {\"type\":\"RayTaskError\",\"msg\":%q}\n", msg)
			}}
			r, err := f.backend().Report(t.Context(), model7b, pipeline(8))
			require.NoError(t, err, "a pipeline that fails is a result")
			require.Equal(t, 3, r.End.ExitCode)
			require.Equal(t, class, r.Run.Failure.Class)
			require.Equal(t, Tally{Asked: 8, OK: 4, Lost: 4}, r.Tally)
			require.Equal(t, class, r.Run.Requests[7].Outcome)
		})
	}
}

// TestNothingIsWaitedForForEver: what goes wrong around a job is an error with a name, soon, and the job is stopped.
func TestNothingIsWaitedForForEver(t *testing.T) {
	for _, c := range []struct {
		name    string
		fake    *fake
		p       workload.Pipeline
		edit    func(*Backend)
		want    error
		says    string
		within  time.Duration
		submits int
		stops   int
	}{
		{name: "old Ray", fake: &fake{version: "2.9.3"}, want: ErrTooOld, says: "runs 2.9.3, and ray.data.llm came with 2.44"},
		{name: "no version", fake: &fake{version: "nightly"}, says: `ray_version "nightly", want such as 2.60.0`},
		{name: "too many actors", p: workload.Pipeline{MinActors: 8, MaxActors: 8}, want: ErrResources, says: "8 actors needs 9 CPUs and 0 GPUs, http://dashboard:8265 has 4 and 0 in all"},
		{name: "no GPU", p: workload.Pipeline{Kind: "vllm"}, want: ErrResources, says: "needs 2 CPUs and 1 GPUs"},
		{name: "pending for ever", fake: &fake{pending: 1000 * time.Hour}, want: ErrPending, says: "end it with `ray job stop", within: 3 * time.Minute, submits: 1, stops: 1},
		{name: "never ends", fake: &fake{runs: -1}, want: ErrNeverEnds, says: "RUNNING since 1h", within: time.Hour + time.Minute, submits: 1, stops: 1},
		{name: "never ends and does not stop", fake: &fake{runs: -1, stubborn: true}, want: ErrNeverEnds, says: "is still RUNNING 30s after it was asked to stop", within: time.Hour + 2*time.Minute, submits: 1, stops: 1},
		{name: "cluster goes away", fake: &fake{runs: -1, dies: 10 * time.Second}, want: ErrGone, says: "was RUNNING when", within: time.Minute, submits: 1},
		{name: "no endpoint", edit: func(b *Backend) { b.Endpoint = "" }, says: "needs the endpoint"},
		{name: "not a URL", edit: func(b *Backend) { b.Dashboard = "127.0.0.1:8265" }, says: `"127.0.0.1:8265" is not a URL`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if c.fake == nil {
					c.fake = &fake{}
				}
				c.fake.log = tell(8, nil)
				p, b := pipeline(8), c.fake.backend()
				p.MinActors, p.MaxActors = c.p.MinActors, c.p.MaxActors
				if c.p.Kind != "" {
					p.Kind = workload.VLLM
				}
				if c.edit != nil {
					c.edit(&b)
				}
				begin := time.Now()
				_, err := b.Report(t.Context(), model7b, p)
				require.Error(t, err)
				if c.want != nil {
					require.ErrorIs(t, err, c.want)
				}
				require.ErrorContains(t, err, c.says)
				require.LessOrEqual(t, time.Since(begin), c.within)
				require.Equal(t, c.submits, c.fake.submitted, "submitted")
				require.Equal(t, c.stops, c.fake.stopped, "asked to stop")
			})
		})
	}
}

func TestACancelledRunKeepsItsRowsAndStopsItsJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{runs: -1, log: tell(80, nil)}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, errors.New("the test has seen enough"))
		defer cancel()
		r, err := f.backend().Report(ctx, model7b, pipeline(80))
		require.ErrorContains(t, err, "the test has seen enough")
		require.Equal(t, 1, f.stopped)
		require.Equal(t, "STOPPED", r.End.Status)
		require.Greater(t, r.Tally.OK, 15)
		require.Equal(t, 80, r.Tally.OK+r.Tally.Lost)
	})
}

func TestNobodyAnswers(t *testing.T) {
	c := Cluster{Dashboard: "http://127.0.0.1:1"}
	_, err := c.Version(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, "no Ray dashboard answers at http://127.0.0.1:1")
}

// TestTheServersAreLookedAt: what an engine counts and shows while the job runs is in the run.
func TestTheServersAreLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{runs: 9 * time.Second, log: tell(8, nil), metrics: func(ran time.Duration) string {
			s, running := ran.Seconds(), 0
			if s > 0 && s < 8 {
				running = int(s)
			}
			return fmt.Sprintf("vllm:num_requests_running{engine=\"0\"} %d\nvllm:num_requests_waiting{engine=\"0\"} 1\nvllm:kv_cache_usage_perc{engine=\"0\"} 0.%d\n"+
				"vllm:num_preemptions_total{engine=\"0\"} %g\nvllm:prefix_cache_queries_total{engine=\"0\"} %g\nvllm:prefix_cache_hits_total{engine=\"0\"} %g\n",
				running, running, 5+min(s, 3), 1000+min(s, 3)*10, 100+min(s, 3))
		}}
		r, err := f.backend().Report(t.Context(), model7b, pipeline(8))
		require.NoError(t, err)
		e := r.Run.Engine
		require.Equal(t, []int{7, 1, 3}, []int{e.RunningPeak, e.WaitingPeak, e.Preemptions})
		require.Equal(t, []units.Tokens{30, 3}, []units.Tokens{e.Queries, e.Hits}, "what was counted before the job is not its own")
		require.InDelta(t, 0.7, e.UsagePeak, 1e-9)
		require.NotEmpty(t, r.Run.Samples)
	})
}

func TestALoadIsOneBatch(t *testing.T) {
	b := Backend{StandIns: []string{"http://engine"}}
	chat := workload.BatchChat(50)
	for _, c := range []struct {
		arrivals workload.Arrivals
		pending  int
		due      bool
	}{{workload.AllAtOnce{}, 50, false}, {workload.Closed{InFlight: 8}, 8, false}, {workload.Poisson{Rate: 5}, 50, true}} {
		p, rows, ok := b.pipeline(chat.At(c.arrivals))
		require.True(t, ok)
		require.NoError(t, p.Validate())
		require.Equal(t, []int{50, 1, 1, c.pending}, []int{p.BatchSize, p.Blocks, p.MaxConcurrentBatches, p.MaxPending})
		require.Len(t, rows, 50)
		require.Equal(t, c.due, rows[49].At > 0)
	}
	_, _, ok := Backend{Endpoint: "http://server/v1"}.pipeline(chat.At(workload.AllAtOnce{}))
	require.False(t, ok, "the HTTP processor sends a batch's rows one after the other")
	_, _, ok = b.pipeline(workload.Sessions{Count: 1})
	require.False(t, ok)
}

// A row that is due 0.5 s after the first is held so long: the run's clock begins when the stage has the first row.
func TestRowsThatAreHeldKeepTheirTimes(t *testing.T) {
	s := &story{start: startLine{At: 100}}
	for i := range 3 {
		due := 103 + 0.5*float64(i)
		s.sent = append(s.sent, sentLine{Row: i, At: due + 0.002, Actor: "a"})
		s.rows = append(s.rows, rowLine{Row: i, Submit: due, Start: due + 0.002, End: due + 0.2, Status: 200, Output: 4})
	}
	_, rows, _ := Backend{}.pipeline(workload.BatchChat(3).At(workload.Constant{Rate: 2}))
	asked, _ := rowsOf(rows)
	first := asked[0].Intended
	got, tally := s.account(asked, failure.Aborted, "")
	require.Equal(t, Tally{Asked: 3, OK: 3}, tally)
	for i, r := range got {
		require.Equal(t, asked[i].Intended, r.Intended)
		require.InDelta(t, first.Seconds()+0.5*float64(i)+0.002, r.Sent.Seconds(), 1e-6)
		require.InDelta(t, 0.2, r.Last.Sub(r.Intended).Seconds(), 1e-6)
	}
}

func TestOtherWorkloadsAreRefused(t *testing.T) {
	_, err := (&fake{}).backend().Run(t.Context(), model7b, workload.BatchChat(8).At(workload.Poisson{Rate: 1}))
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

func TestInFlight(t *testing.T) {
	s := func(from, to float64) record.Record {
		return record.Record{Sent: units.Time(units.Seconds(from)), Last: units.Time(units.Seconds(to))}
	}
	run := &record.Run{Requests: []record.Record{s(0, 2), s(1, 3), s(3, 4), {Sent: 1, Last: units.Never}}}
	mean, peak := InFlight(run)
	require.Equal(t, 2, peak)
	require.InDelta(t, 5.0/4, mean, 1e-9)
}

func TestTheScriptIsPython(t *testing.T) {
	require.Less(t, bytes.Count(script, []byte("\n")), 200)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	cmd := exec.Command(python, "-c", "import ast,sys; ast.parse(sys.stdin.read())")
	cmd.Stdin = bytes.NewReader(script)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}
