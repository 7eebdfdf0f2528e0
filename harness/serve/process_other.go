//go:build !linux

package serve

import "time"

func cpuSeconds() float64 { return 0 }

func maxFiles() float64 { return 0 }

func nap(d time.Duration) { time.Sleep(d) }
