package backtest

import (
	"net"
	"net/url"
	"strings"
	"time"
)

// replayLive sends an exchange to a running server. What needs a scene is skipped.
func replayLive(x *exchange, server string) (got *answer, skip bool, err error) {
	for _, part := range []string{"kill-", "sigterm-", "preempt-", "disconnect-", "queued-", "load-", "metrics-", "prefix-", "keep-alive-"} {
		if strings.HasPrefix(x.name(), part) {
			return nil, true, nil
		}
	}
	u, err := url.Parse(server)
	if err != nil {
		return nil, false, err
	}
	conn, err := net.DialTimeout("tcp", u.Host, 10*time.Second)
	if err != nil {
		return nil, false, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return nil, false, err
	}
	c := send(conn, x.raw())
	<-c.done
	return &c.got, false, nil
}
