package live

import (
	"syscall"
	"time"
)

// sleepExactly blocks its thread. A Go timer of an idle process fires up to a millisecond late, because the poller
// counts in milliseconds; the kernel's own sleep is late by its timer slack of 50 µs.
func sleepExactly(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	syscall.Nanosleep(&ts, nil) // an interrupted sleep is looked at again
}
