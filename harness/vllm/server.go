package vllm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/testing-symbiote/symbiote/harness/failure"
)

// Command is how a server is started.
type Command struct {
	Argv   []string  // "vllm serve MODEL flags…", without --host and --port
	Env    []string  // beside our own environment
	APIKey string    // reaches the server by its environment, never by its command line
	Host   string    // default 127.0.0.1
	Port   int       // 0 picks a free one
	Log    io.Writer // also gets everything the server prints; may be nil
}

// Server is a vLLM process that was started here.
type Server struct {
	URL string // http://127.0.0.1:8000

	cmd    *exec.Cmd
	log    *logBuffer
	key    string
	done   chan struct{} // closed when the process is gone
	exit   error         // of the process, after done
	client *http.Client
}

// Start starts the process. It answers nothing before Ready.
func Start(c Command) (*Server, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("vllm: no command to start")
	}
	if c.Host == "" {
		c.Host = "127.0.0.1"
	}
	if c.Port == 0 {
		port, err := freePort(c.Host)
		if err != nil {
			return nil, fmt.Errorf("vllm: %w", err)
		}
		c.Port = port
	}
	port := strconv.Itoa(c.Port)
	argv := append(append([]string{}, c.Argv...), "--host", c.Host, "--port", port)
	s := &Server{
		URL:  "http://" + net.JoinHostPort(c.Host, port),
		cmd:  exec.Command(argv[0], argv[1:]...),
		log:  &logBuffer{also: c.Log, secret: c.APIKey},
		key:  c.APIKey,
		done: make(chan struct{}),
		client: &http.Client{
			Timeout:   2 * time.Second,
			Transport: &http.Transport{DisableKeepAlives: true}, // an open connection keeps a stopping vLLM alive
		},
	}
	s.cmd.Env = append(os.Environ(), c.Env...)
	if c.APIKey != "" {
		s.cmd.Env = append(s.cmd.Env, "VLLM_API_KEY="+c.APIKey)
	}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.WaitDelay = 5 * time.Second // workers may hold the pipe after their parent is gone
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("vllm: start %s: %w", argv[0], err)
	}
	go func() {
		s.exit = s.cmd.Wait()
		close(s.done)
	}()
	return s, nil
}

// freePort asks the kernel for one. Somebody else may take it before vLLM binds it; the log then says so.
func freePort(host string) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// pollEvery is how often Ready asks. vLLM needs 20 s at the least.
const pollEvery = 200 * time.Millisecond

// Ready waits until /health answers 200, the process ends, or ctx does: give it a deadline. A server that does not
// come up is a *failure.Error with what its log says.
func (s *Server) Ready(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if s.healthy(ctx) {
			return nil
		}
		select {
		case <-s.done:
			d := s.Diagnose()
			if d.Class == failure.None {
				d = readLog(s.log.text()).unknown(fmt.Sprintf("the process ended (%s) before it answered", s.ended()))
			}
			return d.Err()
		case <-ctx.Done():
			d := readLog(s.log.text()).unknown("/health did not answer 200 in the time given: " + context.Cause(ctx).Error())
			d.Class = failure.NeverReady
			return d.Err()
		case <-tick.C:
		}
	}
}

func (s *Server) healthy(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/health", nil)
	if err != nil {
		return false
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Done is closed when the process is gone.
func (s *Server) Done() <-chan struct{} { return s.done }

// PID of the API server, whose process group the engine core and the workers belong to.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// ended says how the process ended, as a shell would.
func (s *Server) ended() string {
	if s.exit == nil {
		return "exit code 0"
	}
	return s.exit.Error()
}

// Stopped says how a Stop went.
type Stopped struct {
	After  time.Duration
	Killed bool   // SIGTERM was not enough
	How    string // exit code 0, signal: killed, …
}

func (s Stopped) String() string {
	if s.Killed {
		return fmt.Sprintf("killed after %.1fs: SIGTERM did not end it (%s)", s.After.Seconds(), s.How)
	}
	return fmt.Sprintf("stopped after %.1fs (%s)", s.After.Seconds(), s.How)
}

// Stop ends the server: SIGTERM, a bounded wait, then SIGKILL to its process group and nobody else's. Close your own
// connections first: vLLM waits for them. Stopping twice is harmless.
func (s *Server) Stop(grace time.Duration) Stopped {
	start := time.Now()
	var out Stopped
	select {
	case <-s.done:
	default:
		s.cmd.Process.Signal(syscall.SIGTERM)
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-s.done:
		case <-timer.C:
			out.Killed = true
		}
	}
	// Workers can outlive their API server, so the group is killed in any case. While the group has members its
	// number is not given to anybody else; once it has none the kill finds nothing.
	syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.done // SIGKILL cannot be refused, and WaitDelay bounds the wait for the pipe
	out.After, out.How = time.Since(start), s.ended()
	return out
}

// Log is what the server printed: all of it, or its beginning and end where it was long. The API key is left out.
func (s *Server) Log() string { return s.log.text() }

// Diagnose reads the log so far.
func (s *Server) Diagnose() Diagnosis { return Diagnose(s.log.text()) }

// StartLog reads the figures that the start printed.
func (s *Server) StartLog() (StartLog, error) { return ParseStartLog(strings.NewReader(s.log.text())) }
