//go:build unix

package suite

import (
	"syscall"
	"time"
)

// cpuTime is what this process has computed so far, on all cores. Unlike the wall's time it hardly depends on who
// else uses the machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
