package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/serve"
	"github.com/testing-symbiote/symbiote/harness/units"
)

const serveUsage = `usage: symbiote serve -deployment FILE [flags]

The simulated engine as an OpenAI-compatible vLLM stand-in: its answers, errors, metrics and shut-down are vLLM's, its
latency is the engine's, its text is synthetic. SIGTERM ends it with exit code 0, as it does vLLM.

`

// serveFlags are what the command line says.
type serveFlags struct {
	deployments []string
	replicas    int
	addr        string
	faults      string
	stepMS      float64
	cfg         serve.Config
}

func serveCommand(args []string, stdout, stderr io.Writer) int {
	var f serveFlags
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, serveUsage)
		fs.PrintDefaults()
	}
	fs.Func("deployment", "deployment `file`; several, or -replicas, make replicas behind one router", func(s string) error {
		f.deployments = append(f.deployments, s)
		return nil
	})
	fs.IntVar(&f.replicas, "replicas", 1, "engines for each deployment")
	fs.Func("router", "round_robin or least_load, among replicas (default round_robin)", func(s string) error {
		f.cfg.Router = serve.Router(s)
		return nil
	})
	fs.StringVar(&f.addr, "addr", "127.0.0.1:8000", "where to listen; without a host on loopback alone")
	fs.Float64Var(&f.cfg.Speed, "speed", 1, "how many simulated seconds pass in a real one")
	fs.Float64Var(&f.stepMS, "step-ms", -1, "every step takes so many `milliseconds`, 0 = none; < 0 = as the deployment's would")
	fs.StringVar(&f.faults, "faults", "", "fault `file`: what goes wrong, and when")
	fs.BoolVar(&f.cfg.Admin, "admin", false, "let faults be changed while it runs, by PUT /admin/faults")
	fs.Func("api-key", "`key` that /v1 needs; may be given several times", func(s string) error {
		f.cfg.APIKeys = append(f.cfg.APIKeys, s)
		return nil
	})
	fs.BoolVar(&f.cfg.LoadTracker, "enable-server-load-tracking", false, "count requests in flight for /load")
	fs.IntVar(&f.cfg.Limits.Conns, "max-connections", 0, "open connections (default 16384)")
	fs.IntVar(&f.cfg.Limits.Body, "max-body-bytes", 0, "size of a request's body (default 64 MiB)")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	switch {
	case fs.NArg() > 0:
		return fail(stderr, "serve", fmt.Errorf("argument %q, want flags alone", fs.Arg(0)))
	case len(f.deployments) == 0:
		return fail(stderr, "serve", errors.New("no -deployment, want a file as in the README"))
	case f.replicas < 1 || f.replicas > 1024:
		return fail(stderr, "serve", fmt.Errorf("-replicas = %d, want 1 to 1024", f.replicas))
	case f.cfg.Speed <= 0:
		return fail(stderr, "serve", fmt.Errorf("-speed = %v, want > 0", f.cfg.Speed))
	}
	if err := f.read(); err != nil {
		return fail(stderr, "serve", err)
	}
	return f.run(stdout, stderr)
}

// read loads the files that the flags name.
func (f *serveFlags) read() error {
	for _, name := range f.deployments {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		d, err := deploy.Decode(name, data)
		if err != nil {
			return err
		}
		for range f.replicas {
			f.cfg.Deployments = append(f.cfg.Deployments, d)
		}
	}
	if f.stepMS >= 0 {
		f.cfg.Timer = serve.Fixed(units.Milliseconds(f.stepMS))
	}
	if f.faults == "" {
		return nil
	}
	data, err := os.ReadFile(f.faults)
	if err != nil {
		return err
	}
	f.cfg.Faults, err = serve.DecodeFaults(f.faults, data)
	return err
}

// run serves until a signal or the death of an engine.
func (f *serveFlags) run(stdout, stderr io.Writer) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	died := make(chan struct{})
	f.cfg.Precise = true
	f.cfg.Died = func() { close(died) }
	if start := f.startFaults(); start.OutOfMemory {
		serve.LogOutOfMemory(stderr)
		return 1
	} else if start.DelaySeconds > 0 {
		select {
		case <-time.After(time.Duration(start.DelaySeconds * float64(time.Second))):
		case <-signals:
			return 0
		}
	}
	s, err := serve.New(f.cfg)
	var refused *failure.Error
	switch {
	case errors.As(err, &refused): // what vLLM would not start with either, told and ended as it does
		serve.LogFailure(stderr, refused)
		return 1
	case err != nil:
		return fail(stderr, "serve", err)
	}
	defer s.Close()
	l, err := net.Listen("tcp", loopback(f.addr))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		serve.LogPortInUse(stderr)
		return 1
	case err != nil:
		return fail(stderr, "serve", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	s.LogStart(stderr, l.Addr().String())
	fmt.Fprintf(stdout, "serving %s on http://%s (simulated timing, synthetic text)\n", strings.Join(s.Names(), ", "), l.Addr())
	select {
	case <-signals:
		down := make(chan struct{})
		go func() { defer close(down); s.Shutdown() }()
		select {
		case <-down:
		case <-signals: // the second one does not wait
		}
		serve.LogEnd(stderr)
		return 0
	case <-died: // requests have their errors; the port closes at once, the process follows
		time.Sleep(200 * time.Millisecond)
		s.Close()
		time.Sleep(time.Second)
		return 0
	case err := <-ended:
		if err != nil {
			return fail(stderr, "serve", err)
		}
		return 0
	}
}

func (f *serveFlags) startFaults() serve.Start {
	if f.cfg.Faults == nil {
		return serve.Start{}
	}
	return f.cfg.Faults.Start
}

// loopback keeps an address without a host off the network.
func loopback(addr string) string {
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "" {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}
