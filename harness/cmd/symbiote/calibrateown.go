package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/testing-symbiote/symbiote/harness/calibrate"
	"github.com/testing-symbiote/symbiote/harness/deploy"
	"github.com/testing-symbiote/symbiote/harness/steptime"
)

// ownRuns reads the engine steps of one's own runs, of one GPU.
func ownRuns(dir string, logs []string, deployment string) (runs []calibrate.Run, err error) {
	if dir != "" {
		if runs, err = calibrate.ReadRuns(dir); err != nil {
			return nil, err
		}
	}
	if len(logs) > 0 {
		if deployment == "" {
			return nil, errors.New("-log needs -deployment, the server that wrote it")
		}
		data, err := os.ReadFile(deployment)
		if err != nil {
			return nil, err
		}
		d, err := deploy.Decode(deployment, data)
		if err != nil {
			return nil, err
		}
		if d, _, err = d.Resolve(); err != nil {
			return nil, err
		}
		for _, name := range logs {
			read, err := calibrate.ReadLog(name, d)
			if err != nil {
				return nil, err
			}
			runs = append(runs, read...)
		}
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("%s: no run or stretch of enough engine steps", cmp.Or(dir, strings.Join(logs, ", ")))
	}
	for _, r := range runs {
		if r.Deployment.GPU.ID != runs[0].Deployment.GPU.ID {
			return nil, fmt.Errorf("%s: runs of %s and of %s, want one GPU at a time", dir, runs[0].Deployment.GPU.ID, r.Deployment.GPU.ID)
		}
	}
	return runs, nil
}

// calibrateRuns fits to one's own runs.
func calibrateRuns(runs []calibrate.Run, host, out string, asJSON bool, stdout io.Writer) (err error) {
	var p calibrate.Profiles
	if p.GPU, err = steptime.GPUProfile(runs[0].Deployment.GPU); err != nil {
		return err
	}
	if p.Host, err = steptime.HostProfile(host); err != nil {
		return err
	}
	live, err := calibrate.Steps(runs, p)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(live, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, append(text, '\n'), 0o644); err != nil {
		return err
	}
	if asJSON {
		printJSON(stdout, live)
		return nil
	}
	fmt.Fprintf(stdout, "fitted on %d runs, held out %d\nmean absolute error on those held out: GPU %.1f %% of %d steps (shipped profile %.1f %%), host %.1f %% of %d turns (shipped profile %.1f %%)\n",
		len(live.FittedOn), len(live.HeldOut), live.GPUError, live.GPUSteps, live.BeforeGPU, live.HostError, live.HostTurns, live.BeforeHost)
	return nil
}
