//go:build !linux

package live

import "time"

func sleepExactly(d time.Duration) { time.Sleep(d) }
