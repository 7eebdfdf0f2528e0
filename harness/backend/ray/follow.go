package ray

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Job is a command that a cluster runs in a folder of files.
type Job struct {
	ID         string // of the submission, not used before on this cluster
	Entrypoint string
	Env        map[string]string
	Files      []File
}

// File is one file of a job's working directory.
type File struct {
	Name string
	Data []byte
	Mode uint32 // 0 = 0644
}

// End is how a job ended.
type End struct {
	Status   string // SUCCEEDED, FAILED, STOPPED; the last one seen if it was lost sight of
	ExitCode int    // of the entrypoint; 0 if it has none
	Message  string // Ray's words
	Ran      time.Duration
}

// Run uploads, submits and follows a job, and shows each complete line of its log once. It returns when the job has
// ended; one that ctx or a limit ends is stopped first, and the error says which. What the log showed until then was
// shown.
func (c Cluster) Run(ctx context.Context, j Job, see func(line string)) (End, error) {
	b, err := pack(j.Files)
	if err != nil {
		return End{}, err
	}
	if err := c.upload(ctx, b); err != nil {
		return End{}, err
	}
	if err := c.submit(ctx, j, "gcs://"+b.name); err != nil {
		// The answer may have been lost on its way back, after the job was taken.
		if errors.Is(err, ErrUnreachable) {
			err = errors.Join(err, ignore(c.Stop(context.WithoutCancel(ctx), j.ID), ErrNoJob, ErrUnreachable))
		}
		return End{}, err
	}
	f := &follower{Cluster: c, id: j.ID, see: see, limits: c.Limits.filled(), began: time.Now()}
	err = f.follow(ctx)
	if err != nil && !errors.Is(err, ErrGone) && !errors.Is(err, ErrNoJob) {
		rest := context.WithoutCancel(ctx)
		err = errors.Join(err, c.Stop(rest, j.ID))
		f.look(rest)
	}
	if err == nil || !errors.Is(err, ErrGone) {
		f.read(context.WithoutCancel(ctx))
	}
	return f.end(), err
}

func ignore(err error, these ...error) error {
	for _, e := range these {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

// follower watches one job.
type follower struct {
	Cluster
	id     string
	see    func(string)
	limits Limits
	began  time.Time

	last     status
	shown    int       // bytes of the log
	heard    time.Time // when the dashboard last answered
	nextRead time.Time
}

// follow returns when the job has ended, or says why it is no longer waited for.
func (f *follower) follow(ctx context.Context) error {
	f.heard = f.began
	for {
		err := f.look(ctx)
		now := time.Now()
		switch waited := now.Sub(f.began); {
		case ctx.Err() != nil:
			return fmt.Errorf("ray: job %s was %s after %v: %w", f.id, f.last.Status, waited.Round(time.Millisecond), context.Cause(ctx))
		case errors.Is(err, ErrNoJob):
			return fmt.Errorf("ray: job %s was submitted, but is not known any more: %w", f.id, err)
		case err != nil && now.Sub(f.heard) > f.limits.Silence:
			return fmt.Errorf("ray: job %s was %s when %w %v ago; what it started ends with the cluster: %v", f.id, f.last.Status, ErrGone, now.Sub(f.heard).Round(time.Second), err)
		case err != nil:
		case f.last.over():
			return nil
		case f.last.Status == "PENDING" && waited > f.limits.Pending:
			return fmt.Errorf("ray: %w: %s is PENDING since %v: %s", ErrPending, f.id, waited.Round(time.Second), brief(f.last.Message))
		case waited > f.limits.Job:
			return fmt.Errorf("ray: %w: %s is %s since %v", ErrNeverEnds, f.id, f.last.Status, waited.Round(time.Second))
		case f.last.Status == "RUNNING" && now.After(f.nextRead):
			f.read(ctx)
			// The whole log comes each time: reading it may take a tenth of the time, not more.
			f.nextRead = time.Now().Add(max(2*time.Second, 10*time.Since(now)))
		}
		select {
		case <-ctx.Done():
		case <-time.After(f.limits.Poll):
		}
	}
}

func (f *follower) look(ctx context.Context) error {
	s, err := f.status(ctx, f.id)
	if err == nil {
		f.last, f.heard = s, time.Now()
	}
	return err
}

// read shows what the log has gained, up to its last complete line.
func (f *follower) read(ctx context.Context) {
	text, err := f.logs(ctx, f.id)
	if err != nil || len(text) < f.shown {
		return // the next reading has it all
	}
	news := text[f.shown:]
	end := strings.LastIndexByte(news, '\n') + 1
	for line := range strings.Lines(news[:end]) {
		f.see(strings.TrimRight(line, "\r\n"))
	}
	f.shown += end
}

func (f *follower) end() End {
	e := End{Status: f.last.Status, Message: f.last.Message}
	if f.last.ExitCode != nil {
		e.ExitCode = *f.last.ExitCode
	}
	if f.last.Ended > 0 {
		e.Ran = time.Duration(f.last.Ended-f.last.Started) * time.Millisecond
	}
	return e
}
