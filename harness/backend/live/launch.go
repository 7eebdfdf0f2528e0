package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/failure"
	"github.com/testing-symbiote/symbiote/harness/record"
	"github.com/testing-symbiote/symbiote/harness/vllm"
)

// Launched is a server that was started for a deployment.
type Launched struct {
	*vllm.Server
	Log vllm.StartLog // what it printed meanwhile
}

// Start launches a server for d and waits until it answers. One that does not come up is a *failure.Error; what it
// printed is returned all the same.
func (b Backend) Start(ctx context.Context, d deploy.Deployment) (*Launched, error) {
	if len(b.Launch) == 0 {
		return nil, errors.New("live: neither an endpoint nor a command to launch one is given")
	}
	limits := b.Limits.orDefault()
	server, err := vllm.Start(vllm.Command{
		Argv: append(append(append([]string{}, b.Launch...), "serve"), vllm.Args(d)...), APIKey: b.APIKey, Log: b.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	ready, cancel := context.WithTimeoutCause(ctx, limits.Ready, fmt.Errorf("it had %v", limits.Ready))
	defer cancel()
	err = server.Ready(ready)
	l := &Launched{Server: server}
	if log, e := server.StartLog(); e == nil {
		l.Log = log
	}
	if err == nil {
		return l, nil
	}
	server.Stop(limits.Stop)
	if ctx.Err() != nil {
		return l, ctx.Err()
	}
	var why *failure.Error
	if !errors.As(err, &why) {
		why = &failure.Error{Class: failure.Unknown, Message: err.Error()}
	}
	return l, why
}

// started is Start where a server that does not come up is a Measurement.
func (b Backend) started(ctx context.Context, d deploy.Deployment) (*Launched, *Measurement, error) {
	l, err := b.Start(ctx, d)
	var refused *failure.Error
	if errors.As(err, &refused) {
		run := &record.Run{Failure: refused, Provenance: record.Provenance{Backend: "live", VLLMVersion: l.Log.Version}}
		return nil, &Measurement{StartLog: &l.Log, Run: run}, nil
	}
	return l, nil, err
}

// Keeper launches servers one at a time. A start takes a minute on a GPU, so the one that is up stays until another is
// wanted.
type Keeper struct {
	args   []string
	server *Launched
	err    error // it did not come up
}

// Server is the one that is up; nil if none is.
func (k *Keeper) Server() *Launched {
	if k.err != nil {
		return nil
	}
	return k.server
}

// Up is Start, but for a server that is up already, with the same arguments, or did not come up with them.
func (k *Keeper) Up(ctx context.Context, b Backend, d deploy.Deployment) (*Launched, error) {
	args := vllm.Args(d)
	if k.server != nil && slices.Equal(k.args, args) && (k.err != nil || !k.server.gone()) {
		return k.server, k.err
	}
	k.Down(b.Limits.orDefault().Stop)
	k.args = args
	k.server, k.err = b.Start(ctx, d)
	return k.server, k.err
}

func (l *Launched) gone() bool {
	select {
	case <-l.Done():
		return true
	default:
		return false
	}
}

// Down stops the server that is up, which may take so long to go by itself.
func (k *Keeper) Down(grace time.Duration) {
	if k.server != nil {
		k.server.Stop(grace)
	}
	*k = Keeper{}
}
